"""The samples that a report shows one by one: which, and their losses beside others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.references import mean_references
from ltc.selection.ranking import best_first
from ltc.tiles import parse_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.reporting.arguments import ReportPlan
    from ltc.store import Store

__all__ = ["Courses", "choose_extremes", "choose_queries", "references_of"]

QUERIES: Final = 6


@dataclass(frozen=True, eq=False)
class Courses:
    """Trajectories of some samples of one split.

    Attributes
    ----------
    samples : int64 array [n]
        Ascending, each once.
    losses : float16 array [T, n]
        At all checkpoints.
    """

    samples: NDArray[np.int64]
    losses: NDArray[np.float16]

    @classmethod
    def read(cls, store: Store, split: str, samples: NDArray[np.int64]) -> Courses:
        """Read the trajectories of samples, in any order, repeated or not."""
        once = np.unique(samples)
        return cls(once, store.read(split, samples=once))

    def of(self, sample: int) -> NDArray[np.float16]:
        """Return the trajectory of one of them, shape [T]."""
        return self.losses[:, int(np.searchsorted(self.samples, sample))]


def choose_extremes(values: NDArray[np.float32], number: int) -> dict[str, NDArray[np.int64]]:
    """Return the samples of the highest and the lowest scores, and those closest to 0.

    Examples
    --------
    >>> found = choose_extremes(np.array([0.9, np.nan, -0.7, 0.1], np.float32), 1)
    >>> {name: samples.tolist() for name, samples in found.items()}
    {'highest': [0], 'lowest': [2], 'undecided': [3]}
    """
    defined = np.count_nonzero(~np.isnan(values))
    orders = {"highest": values, "lowest": -values, "undecided": -np.abs(values)}
    return {name: best_first(keys)[: min(number, defined)] for name, keys in orders.items()}


def choose_queries(
    store: Store, number: int = QUERIES
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return validation samples worth a look, by their loss at the last checkpoint that has any.

    Half of them are those of the highest loss, the others those nearest to the median; each half is
    of different classes, as far as there are so many.

    Returns
    -------
    hard, typical : int64 arrays
        Best first; together at most `number`, and none is in both.
    """
    observed = [t for t, commit in enumerate(store.commits) if commit.val.observed]
    losses = store.read("val", checkpoints=observed[-1:])
    if not losses.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    last = losses[0].astype(np.float32)
    if np.isnan(last).all():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    labels = store.labels("val")
    hard = _of_different_classes(last, labels, number - number // 2, set())
    distance = -np.abs(last - np.nanmedian(last))
    typical = _of_different_classes(distance, labels, number // 2, set(hard))
    return np.array(hard, np.int64), np.array(typical, np.int64)


def _of_different_classes(
    keys: NDArray[np.float32],
    labels: NDArray[np.int32] | None,
    number: int,
    taken: set[int],
) -> list[int]:
    """The first samples by falling keys, each of another class before any class comes again."""
    order = [sample for sample in best_first(keys).tolist() if not np.isnan(keys[sample])]
    order = [sample for sample in order if sample not in taken]
    if labels is None:
        return order[:number]
    first: list[int] = []
    seen: set[int] = set()
    for sample in order:
        if len(first) == number:
            break
        if int(labels[sample]) not in seen:
            seen.add(int(labels[sample]))
            first.append(sample)
    rest = [sample for sample in order[: number + len(first)] if sample not in first]
    return (first + rest)[:number]


def references_of(plan: ReportPlan, samples: NDArray[np.int64]) -> dict[int, NDArray[np.float64]]:
    """Return the mean validation trajectory [T] that each training sample is seen beside.

    That of its class, or of all where its score was made with such a reference; none where it was
    made within groups that the store doesn't know.
    """
    store, labels, metadata = plan.store, plan.scores.labels, plan.scores.metadata
    by_class = labels is not None and str(metadata.get("reference", "class")).startswith("class")
    val_labels = store.labels("val") if by_class else np.zeros(store.num_val, np.int32)
    if val_labels is None or (by_class and metadata.get("groups", "class") != "class"):
        return {}
    groups = labels if by_class and labels is not None else np.zeros(store.num_train, np.int32)
    means, _ = mean_references(
        store,
        range(store.committed),
        val_labels,
        1 + max(int(groups.max()), int(val_labels.max())),
        memory=parse_memory(plan.memory_limit) // 4,
    )
    return {int(sample): means[groups[sample]] for sample in samples}
