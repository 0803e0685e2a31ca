"""Recording per-sample losses while a model trains."""

from ltc.recorder.recording import Recorder

__all__ = ["Recorder"]
