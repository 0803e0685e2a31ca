"""Recording modes: losses of the training steps themselves, or of a pass after each epoch.

The first cost nothing, and come from a model that changes within the epoch.
"""

from collections.abc import Iterator
from pathlib import Path

import ltc
from benchmarks.paper import variants
from benchmarks.paper.jobs import Job
from benchmarks.paper.methods import correlation_scores
from benchmarks.paper.recording import Recorded
from benchmarks.paper.study import Study
from benchmarks.paper.variants import Variant
from benchmarks.results import Table

TITLE = "Recording modes"


def _steps(signal: str) -> Variant:
    def score(run: Recorded) -> ltc.Scores:
        return correlation_scores(run.steps, signal, "class-mean")

    return Variant(f"{NAMES[signal]}-of-steps", f"{WORDS[signal]} of training steps", score)


def _passes(signal: str) -> Variant:
    def score(run: Recorded) -> ltc.Scores:
        return correlation_scores(run.passes, signal, "class-mean")

    return Variant(NAMES[signal], f"{WORDS[signal]} of passes", score)


def _later(signal: str) -> Variant:
    def score(run: Recorded) -> ltc.Scores:
        return ltc.score(run.steps, signal=signal, checkpoints=slice(1, None))

    label = f"{WORDS[signal]} of training steps, none before training"
    return Variant(f"{NAMES[signal]}-of-later-steps", label, score)


WORDS = {"difference": "differences", "loss": "losses"}
NAMES = {"difference": "cld-top", "loss": "ltc-top"}  # those of figure 3
VARIANTS = (
    _passes("difference"),
    _steps("difference"),
    _later("difference"),
    _passes("loss"),
    _steps("loss"),
    _later("loss"),
)


def stages(study: Study) -> Iterator[list[Job]]:
    """Yield lists of jobs."""
    return variants.stages(study, VARIANTS)


def tables(study: Study) -> list[Table]:
    """Agreement, AUC and accuracy of each mode."""
    return variants.tables(study, VARIANTS, TITLE)


def draw(study: Study, path: Path) -> Path:
    """Draw the same."""
    return variants.draw(study, VARIANTS, TITLE, path)
