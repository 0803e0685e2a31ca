"""How far the validation split can be relied on as a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import ArgumentValueError
from ltc.references import val_tiles
from ltc.shared_ids import shared_ids
from ltc.store import Store, open_store
from ltc.store.picking import pick_checkpoints
from ltc.tables import columns, counted
from ltc.tiles import parse_memory
from ltc_kernels.algebra import MINIMUM_VALUES
from ltc_kernels.checks import check_signal

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ValidationQuality", "validation_quality", "validation_table"]

FEWEST: Final = 10  # validation samples of a class
LEAST_CORRELATION: Final = 0.8  # of the two halves of a class
BYTES_PER_VALUE: Final = 96  # of a half's mean trajectory: sums, counts, and what is made of them
BYTES_PER_LOSS: Final = 32  # of a tile: a stored loss, its mask, its float64 value and its half
_SHOWN: Final = 4


@dataclass(frozen=True, eq=False)
class ValidationQuality:
    """What is known of a validation split; `validation_quality` makes one.

    Attributes
    ----------
    shared_ids : int64 or str array, or None
        Ids that are in both splits; None where either split has no ids.
    classes : int64 array [C]
        Labels of the training samples, ascending; empty in a run without labels.
    sizes : int64 array [C]
        Number of validation samples of each of these classes.
    correlation : float64 array [C]
        Pearson correlation over the checkpoints of the mean trajectories of two halves of each
        class; NaN where a half is empty, or has fewer than three signal values.
    signal : str
        What was correlated.
    """

    shared_ids: NDArray[Any] | None
    classes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    correlation: NDArray[np.float64]
    signal: str

    @property
    def small(self) -> NDArray[np.int64]:
        """Classes that have fewer than 10 validation samples."""
        return self.classes[self.sizes < FEWEST]

    @property
    def unstable(self) -> NDArray[np.int64]:
        """Classes whose halves are correlated by less than 0.8."""
        return self.classes[self.correlation < LEAST_CORRELATION]


def validation_quality(
    run: str | os.PathLike[str] | Store,
    *,
    signal: str = "difference",
    checkpoints: slice | Sequence[int] | None = None,
    memory_limit: str | int = "512MB",
) -> ValidationQuality:
    """Look at what a class is compared with: whose samples, how many, and how steady their mean is.

    The validation samples of each class are taken in turn into two halves. If the mean trajectories
    of both tell the same, so would another draw of validation samples; if not, scores of the class
    depend on which samples happened to be in the split. Two halves are correlated less than two
    splits of the whole size would be.

    Parameters
    ----------
    run : path or Store
        A store written by `Recorder` or `write_store`.
    signal : {"difference", "loss"}
        As for `score`.
    checkpoints : slice or sequence of int, optional
        Positions of the checkpoints to use, unique and ascending; all by default. Those without any
        validation loss are left out.
    memory_limit : str or int
        Bytes beyond labels and ids, such as ``"512MB"``.

    Returns
    -------
    ValidationQuality
        Ids that are in both splits, and the size and the correlation of every class.

    Raises
    ------
    StoreError
        Not a store, a lost chunk of labels or ids, or a changed chunk.
    ArgumentValueError, ArgumentTypeError, ArgumentIndexError
        An argument that doesn't fit the store.

    Examples
    --------
    >>> import ltc
    >>> course = np.random.default_rng(0).random((20, 1))
    >>> val = course + 0.01 * np.random.default_rng(1).random((20, 12))
    >>> labels = {"train_labels": [0, 1], "val_labels": [0] * 10 + [1] * 2}
    >>> ltc.write_store(directory / "run.zarr", val[:, :2], val, **labels)
    >>> quality = ltc.validation_quality(directory / "run.zarr")
    >>> quality.sizes, quality.small, quality.unstable
    (array([10,  2]), array([1]), array([], dtype=int64))
    """
    checked = check_signal(signal)
    memory = parse_memory(memory_limit)
    store = run if isinstance(run, Store) else open_store(run)
    picked = pick_checkpoints(checkpoints, store.committed)
    rows = [t for t in picked if store.commits[t].val.observed]
    both = shared_ids(store.ids("train"), store.ids("val"))
    labels, val_labels = store.labels("train"), store.labels("val")
    if labels is None or val_labels is None:
        none = np.empty(0, np.int64)
        return ValidationQuality(both, none, none, np.empty(0), checked)
    classes = np.unique(labels).astype(np.int64)
    places = np.searchsorted(classes, val_labels)
    # Classes without training samples are one more, which nobody asks for.
    places[(places == classes.size) | (classes[places % classes.size] != val_labels)] = classes.size
    sizes = np.bincount(places, minlength=classes.size + 1)
    halves = (2 * places + _half(places)).astype(np.int32)
    left = memory - BYTES_PER_VALUE * 2 * sizes.size * len(rows)
    if left <= 0:
        raise ArgumentValueError(
            f"memory_limit must hold two trajectories for each of {classes.size:,} classes, "
            f"{-left / 1e6:.1f} MB more than it does"
        )
    means = _means(store, rows, halves, 2 * sizes.size, memory=left)
    signals = np.diff(means, axis=1) if checked == "difference" else means
    correlation = _correlations(signals[0::2], signals[1::2])
    return ValidationQuality(both, classes, sizes[:-1], correlation[:-1], checked)


def validation_table(quality: ValidationQuality) -> str:
    """Describe a validation split, and warn of what makes scores doubtful.

    Parameters
    ----------
    quality : ValidationQuality
        Of the run.
    """
    facts = [("ids in both", _shared(quality.shared_ids))]
    if quality.classes.size:
        defined = quality.correlation[~np.isnan(quality.correlation)]
        spread = f"{defined.min():.2f} to {defined.max():.2f}" if defined.size else "not defined"
        facts += [
            ("class sizes", f"{quality.sizes.min():,} to {quality.sizes.max():,} samples"),
            ("class halves", f"correlation {spread}, of {quality.signal}s of their means"),
        ]
    lines = ["validation split", *columns(facts, "<<")]
    if quality.shared_ids is not None and quality.shared_ids.size:
        lines.append(
            "warning: where an id names the same sample in both splits, its validation\n"
            "  loss tells nothing of generalisation"
        )
    of = f"of {counted(quality.classes.size, 'class', 'classes')}"
    if quality.small.size:
        sizes = quality.sizes[quality.sizes < FEWEST]
        lines.append(
            f"warning: {quality.small.size:,} {of} with fewer than {FEWEST} validation samples\n"
            f"  class (samples): {_listed(quality.small, sizes, 'd')}"
        )
    if quality.unstable.size:
        found = quality.correlation[quality.correlation < LEAST_CORRELATION]
        lines.append(
            f"warning: {quality.unstable.size:,} {of} with an unstable mean, halves correlated "
            f"below {LEAST_CORRELATION}\n"
            f"  class (correlation): {_listed(quality.unstable, found, '.2f')}"
        )
    return "\n".join(lines)


def _half(groups: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return 0 and 1 in turn within each group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    sizes = np.diff(np.append(starts, groups.size))
    half = np.empty(groups.size, np.int64)
    half[order] = (np.arange(groups.size) - np.repeat(starts, sizes)) % 2
    return half


def _means(
    store: Store, rows: list[int], halves: NDArray[np.int32], number: int, *, memory: int
) -> NDArray[np.float64]:
    """Return the mean trajectory of each half over the samples observed, [half, checkpoint].

    In NumPy, as a look at a run is over before a compiled pass is loaded.
    """
    sums, counts = np.zeros((2, number, len(rows)))
    for begin, losses in val_tiles(store, rows, memory=memory, bytes_per_loss=BYTES_PER_LOSS):
        half = halves[begin : begin + losses.shape[1]]
        for t, stored in enumerate(losses):
            observed = ~np.isnan(stored)
            weights = stored[observed].astype(np.float64)
            sums[:, t] += np.bincount(half[observed], weights, minlength=number)
            counts[:, t] += np.bincount(half[observed], minlength=number)
    with np.errstate(invalid="ignore"):  # 0 / 0: no sample was observed
        means: NDArray[np.float64] = sums / counts
    return means


def _correlations(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation of each row of both, over the values that both have."""
    both = np.isfinite(a) & np.isfinite(b)
    number = both.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = (
            np.where(both, row - (np.where(both, row, 0).sum(axis=1) / number)[:, None], 0)
            for row in (a, b)
        )
        found = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    found[number < MINIMUM_VALUES] = np.nan
    correlations: NDArray[np.float64] = found.clip(-1, 1)
    return correlations


def _shared(both: NDArray[Any] | None) -> str:
    if both is None:
        return "not known, as the splits don't both have ids"
    if not both.size:
        return "none"
    shown = ", ".join(map(str, both[:_SHOWN].tolist()))
    return f"{both.size:,}: {shown}{', ...' if both.size > _SHOWN else ''}"


def _listed(classes: NDArray[np.int64], values: NDArray[Any], form: str) -> str:
    """Return classes with their values, the lowest first, and the others left out."""
    order = np.argsort(values, kind="stable")[:_SHOWN]
    shown = ", ".join(f"{classes[k]} ({values[k]:{form}})" for k in order)
    return shown + (", ..." if classes.size > _SHOWN else "")
