"""What a reader should know before believing a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.reporting.names import isolated, shortened
from ltc.tables import counted, share
from ltc.validation import FEWEST, LEAST_CORRELATION, ValidationQuality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.reporting.contents import Contents

__all__ = ["find_warnings"]

_NAMED: Final = 5  # of the classes that a sentence is about
_LETTERS: Final = 60  # of each name


def find_warnings(contents: Contents) -> list[str]:
    """Return what makes scores doubtful, one sentence each; an empty list where nothing does."""
    return [*_of_recording(contents), *_of_scores(contents), *_of_validation(contents)]


def _of_recording(contents: Contents) -> list[str]:
    store, found = contents.plan.store, []
    for split, name in (("train", "training"), ("val", "validation")):
        commits = [getattr(commit, split) for commit in store.commits]
        size = store.size(split)
        none = sum(commit.observed == 0 for commit in commits)
        missing = sum(size - commit.observed + commit.nonfinite for commit in commits)
        clipped = sum(commit.clipped for commit in commits)
        nonfinite = sum(commit.nonfinite for commit in commits)
        if none:
            found.append(
                f"At {counted(none, 'checkpoint')} no {name} sample has a loss; scores leave these "
                "checkpoints out."
            )
        if missing - none * size > 0:
            found.append(
                f"{share(missing, size * len(commits))} of the {name} losses are missing; such "
                "trajectories are correlated over what there is."
            )
        if nonfinite:
            gone = counted(nonfinite, f"{name} loss", f"{name} losses")
            found.append(f"Inf or NaN when recorded: {gone}.")
        if clipped:
            capped = counted(clipped, f"{name} loss", f"{name} losses")
            found.append(f"Beyond float16, so stored as 65504 with the sign: {capped}.")
    lost = contents.plan.scores.metadata.get("lost", {})
    for split, number in lost.items():
        if number:
            found.append(
                f"{number:,} losses of {split} that were recorded are lost; ltc verify names them."
            )
    return found


def _of_scores(contents: Contents) -> list[str]:
    plan = contents.plan
    undefined = int(np.count_nonzero(plan.scores.undefined))
    found = []
    if undefined:
        found.append(
            f"{share(undefined, plan.scores.values.size)} of the training samples have no score, "
            "for want of losses that change, or of validation samples to compare them with."
        )
    metadata = plan.scores.metadata
    made_from, revision = metadata.get("committed"), metadata.get("revision")
    if (made_from is not None and made_from != plan.store.committed) or (
        revision is not None and revision != plan.store.revision
    ):
        found.append(
            "The scores were made from other checkpoints than the run has now: score again."
        )
    return found


def _of_validation(contents: Contents) -> list[str]:
    quality = contents.quality
    if not isinstance(quality, ValidationQuality):
        return [f"The validation split can't be looked at: {quality.reason}"]
    found = []
    if quality.shared_ids is not None and quality.shared_ids.size:
        found.append(
            f"{counted(quality.shared_ids.size, 'id is', 'ids are')} in both splits: where one "
            "names the same sample in both, its validation loss tells nothing of generalisation."
        )
    of = counted(quality.classes.size, "class", "classes")
    empty = quality.classes[quality.sizes == 0]
    if empty.size:
        found.append(
            f"{empty.size:,} of {of} have no validation samples, and no scores by class: "
            f"{_listed(contents, empty)}."
        )
    small = quality.classes[(quality.sizes > 0) & (quality.sizes < FEWEST)]
    if small.size:
        found.append(
            f"{small.size:,} of {of} have fewer than {FEWEST} validation samples, so that their "
            f"scores depend on few: {_listed(contents, small)}."
        )
    if quality.unstable.size:
        found.append(
            f"{quality.unstable.size:,} of {of} have an unstable mean: the means of two halves of "
            f"their validation samples are correlated by less than {LEAST_CORRELATION}: "
            f"{_listed(contents, quality.unstable)}."
        )
    return found


def _listed(contents: Contents, classes: NDArray[np.int64]) -> str:
    names = [
        isolated(shortened(contents.plan.name(label), _LETTERS))
        for label in classes[:_NAMED].tolist()
    ]
    more = f" and {classes.size - _NAMED:,} more" if classes.size > _NAMED else ""
    return ", ".join(names) + more
