"""What is measured on the runs, beside the accuracy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import ltc
from ltc.demo.experiment import Part, Row, Run
from ltc.evaluation import rank_agreement
from ltc_kernels import group_correlation

__all__ = [
    "flipped_share",
    "pass_scores",
    "recorder_share",
    "seconds_per_commit",
    "storage_correlation",
]


def flipped_share(part: Part, row: Row, size: float) -> NDArray[np.float64]:
    """Return the share of flipped labels in the coresets of one row and size, float64 [seeds]."""
    return np.array([run.flipped[run.coresets[row, size]].mean() for run in part.runs])


def storage_correlation(run: Run) -> float:
    """Return the rank correlation of the scores with those of the losses before they were stored.

    Between scores of the float16 values in the store and of the float32 losses that they were
    rounded from.
    """
    float_scores = _scores(run, run.recording.train_losses)
    return rank_agreement(run.scores.values, float_scores.values)


def pass_scores(run: Run) -> ltc.Scores:
    """Return the scores of training losses from passes of their own, at the same checkpoints."""
    return _scores(run, run.recording.pass_losses)


def _scores(run: Run, train_losses: NDArray[np.float32]) -> ltc.Scores:
    """Return the scores of losses that are not in the store, against the recorded references."""
    labels = run.val_labels
    means = [
        run.recording.val_losses[:, labels == group].mean(1, dtype=np.float64)
        for group in range(labels.max() + 1)
    ]
    values = group_correlation(train_losses, np.stack(means), run.labels, signal="difference")
    return ltc.Scores(values, run.scores.labels, run.scores.ids)


def recorder_share(runs: Sequence[Run], timer: str) -> float:
    """Return the share of the training time that one of the recorder's timers counted, all runs."""
    seconds = [run.recording.seconds for run in runs]
    return sum(each[timer] for each in seconds) / sum(each["training"] for each in seconds)


def seconds_per_commit(runs: Sequence[Run]) -> float:
    """Return the mean time of a commit, in seconds."""
    commits = sum(len(run.recording.train_losses) for run in runs)
    return sum(run.recording.seconds["commit"] for run in runs) / commits
