"""A recorder that is made once training starts: before, the framework's processes aren't there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltc.errors import RecorderStateError
from ltc.integrations.batches import index_of, losses_of
from ltc.recorder import Recorder

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["DeferredRecorder"]


class DeferredRecorder:
    """What callbacks have in common that make their own recorder.

    Parameters
    ----------
    path : str or path
        The store.
    arguments : mapping
        The others of :class:`ltc.Recorder`.
    """

    def __init__(self, path: str | os.PathLike[str], arguments: Mapping[str, Any]) -> None:
        self._path = path
        self._arguments = dict(arguments)
        self._recorder: Recorder | None = None
        self._state: Mapping[str, Any] | None = None

    @property
    def recorder(self) -> Recorder:
        """The recorder, while there is one.

        Raises
        ------
        RecorderStateError
            Training has not started, or is over.
        """
        if self._recorder is None:
            raise RecorderStateError("there is a recorder only while the trainer fits a model")
        return self._recorder

    def open(self) -> None:
        """Make the recorder, and go on where a state says that it was."""
        arguments = dict(self._arguments)
        if self._state is not None:  # whoever loads a checkpoint of the model goes on with the run
            arguments["resume"] = True
        self._recorder = Recorder(self._path, **arguments)
        if self._state is not None:
            self._recorder.load_state_dict(self._state, rewind=True)
            self._state = None

    def close(self) -> None:
        """Release the store, if it is open; what is pending is dropped, and a line says so."""
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def update(self, split: str, outputs: Any, batch: Any, *, mode: str) -> None:
        """Record the losses of a batch that the outputs of a step tell."""
        index, losses = index_of(batch), losses_of(outputs, batch)
        self.recorder.update(split, index, mode=mode, **losses)

    def state_dict(self) -> dict[str, Any]:
        """Return what is pending in all processes, which all call this; empty before training."""
        if self._recorder is None:
            return {}
        self._recorder.consolidate()
        return self._recorder.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a run was, as soon as training starts."""
        self._state = state or None
