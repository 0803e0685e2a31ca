"""What ways to select may look at: the losses of a recorded run, and what is made of them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

import ltc
from benchmarks.paper.methods import difficulties

Indices: TypeAlias = NDArray[np.int64]
Signal: TypeAlias = Literal["loss", "difference", "unit"]
Cutoff: TypeAlias = float | Literal["unlearned"]
LEARNED = 0.2  # mean probability of the label


@dataclass(frozen=True, eq=False)
class Losses:
    """What an idea may look at: never which labels were flipped, nor the test split."""

    run: Path

    @cached_property
    def store(self) -> ltc.Store:
        """What was recorded."""
        return ltc.open_store(self.run)

    @cached_property
    def scores(self) -> ltc.Scores:
        """Correlations of differences with those of the class's mean (CLD)."""
        return ltc.score(self.store)

    @cached_property
    def on_losses(self) -> ltc.Scores:
        """The same of the losses themselves."""
        return ltc.score(self.store, signal="loss")

    @cached_property
    def difficulties(self) -> dict[str, ltc.Scores]:
        """Mean and spread of the probability of the label, and DUAL's score."""
        return difficulties(self.run)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Mean probability of the label over the checkpoints."""
        return self.difficulties["confidence"].values

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """Of the training split."""
        labels = self.store.labels("train")
        assert labels is not None
        return labels

    def signals(self, kind: Signal) -> NDArray[np.float32]:
        """Return trajectories to measure distances between, [T', N]."""
        values = self.store.read("train").astype(np.float32)
        if kind == "loss":
            return values
        values = np.diff(values, axis=0)
        if kind == "unit":  # distances are then those of correlations
            values = values - values.mean(axis=0)
            values /= np.maximum(np.linalg.norm(values, axis=0), 1e-9)
        return values

    def aside(self, cutoff: Cutoff) -> Indices | None:
        """Return what to set aside: a share of each class, lowest scores first, or the unlearned.

        Those are samples whose mean probability of the label is at most `LEARNED`: how many there
        are, the run says.
        """
        if cutoff == "unlearned":
            return np.flatnonzero(~(self.confidence > LEARNED))
        if not cutoff:
            return None
        kept = self.scores.select(fraction=1.0 - cutoff).indices
        return np.setdiff1d(np.arange(self.labels.size), kept)

    def select(self, values: NDArray[Any], k: int, cutoff: Cutoff = 0.0, **how: Any) -> Indices:
        """Select by values, from what the cutoff leaves if it leaves enough."""
        aside = self.aside(cutoff)
        if aside is not None and values.size - aside.size < k:
            aside = None
        scores = ltc.Scores(values.astype(np.float32), self.labels)
        return scores.select(k=k, exclude=aside, **how).indices
