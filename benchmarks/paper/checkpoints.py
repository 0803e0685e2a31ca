"""How few checkpoints are enough: the first half, every third, and others, against all of them.

Differences on passes after each epoch, with the checkpoint before training.
"""

from collections.abc import Iterator
from pathlib import Path

import ltc
from benchmarks.paper import variants
from benchmarks.paper.jobs import Job
from benchmarks.paper.recording import Recorded
from benchmarks.paper.study import Study
from benchmarks.paper.variants import Variant
from benchmarks.results import Table

TITLE = "How few checkpoints are enough"
FEWEST = 4  # a correlation of differences takes three of them


def picks(count: int) -> dict[str, tuple[str, slice]]:
    """Return what is tried with so many checkpoints: a name, words, and which."""
    half = (count + 1) // 2
    tried = {
        "cld-top": ("all", slice(None)),  # as in figure 3
        "first-half": ("first half", slice(half)),
        "last-half": ("last half", slice(count - half, None)),
        "second": ("every second", slice(None, None, 2)),
        "third": ("every third", slice(None, None, 3)),
        "after-first": ("none before training", slice(1, None)),
        "first-third": ("first third", slice((count + 2) // 3)),
    }
    return {
        name: (f"{words} ({length})", which)
        for name, (words, which) in tried.items()
        if (length := len(range(*which.indices(count)))) >= FEWEST
    }


def _variant(name: str, label: str, which: slice) -> Variant:
    def score(run: Recorded) -> ltc.Scores:
        return ltc.score(run.passes, checkpoints=which)

    return Variant(name if name == "cld-top" else f"checkpoints-{name}", label, score)


def _variants(study: Study) -> list[Variant]:
    count = study.recipe.epochs + 1
    return [_variant(name, *pick) for name, pick in picks(count).items()]


def stages(study: Study) -> Iterator[list[Job]]:
    """Yield lists of jobs."""
    return variants.stages(study, _variants(study))


def tables(study: Study) -> list[Table]:
    """Agreement, AUC and accuracy of each choice of checkpoints."""
    return variants.tables(study, _variants(study), TITLE)


def draw(study: Study, path: Path) -> Path:
    """Draw the same."""
    return variants.draw(study, _variants(study), TITLE, path)
