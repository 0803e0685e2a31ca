"""When recording could have stopped: scores of the first checkpoints against those of all."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Final

import numpy as np
from tqdm.auto import tqdm

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.evaluation.agreement import overlap, rank_agreement
from ltc.lost_losses import warn_of_lost_losses
from ltc.references import mean_references
from ltc.score_plan import ScorePlan, plan_score
from ltc.scores import Scores
from ltc.store import Store, open_store
from ltc.tables import columns, counted
from ltc.tiles import parse_memory, read_tiles, tile_width
from ltc_kernels import count_missing, online_scores, online_state, online_update

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ltc.selection.plan import Balance

__all__ = ["Stability", "stability", "stability_table"]

SAMPLES: Final = 200_000
BYTES_PER_SAMPLE: Final = 128  # of those looked at, beside their losses: moments, ranks, selections
BYTES_PER_REFERENCE_VALUE: Final = 48
STABLE: Final = 0.99
_ROWS_SHOWN: Final = 16


@dataclass(frozen=True, eq=False)
class Stability:
    """How scores of the first checkpoints agree with those of all; `stability` makes one.

    Attributes
    ----------
    checkpoints : float64 array [T]
        The last checkpoint of each prefix.
    correlation : float64 array [T]
        Spearman correlation of the scores with those of all checkpoints; NaN where there are none.
    overlap : float64 array [T]
        Share of the coreset that the prefix selects, too; NaN where there are no scores.
    fraction : float
        Size of that coreset, the highest scores of each class.
    num_samples, num_train : int
        Training samples that were looked at, and all.
    signal, reference : str
        How they were scored.
    """

    checkpoints: NDArray[np.float64]
    correlation: NDArray[np.float64]
    overlap: NDArray[np.float64]
    fraction: float
    num_samples: int
    num_train: int
    signal: str
    reference: str

    def stable_from(self, correlation: float = STABLE) -> float:
        """Return the checkpoint from which on the correlation stays at this value or above.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            The value is no number, or no correlation.

        Examples
        --------
        >>> curve = np.array([np.nan, 0.9, 0.5, 0.95, 1.0])
        >>> found = Stability(np.arange(5.0), curve, curve, 0.1, 10, 10, "loss", "mean")
        >>> found.stable_from(0.9)
        3.0
        """
        _check_number("correlation", correlation)
        if not -1 <= correlation <= 1:
            raise ArgumentValueError(f"correlation must lie in -1..1, got {correlation}")
        below = np.flatnonzero(~(self.correlation[:-1] >= correlation))
        return float(self.checkpoints[below[-1] + 1 if below.size else 0])


def stability(
    run: str | os.PathLike[str] | Store,
    *,
    signal: str = "difference",
    reference: str = "class-mean",
    checkpoints: slice | Sequence[int] | None = None,
    fraction: float = 0.1,
    samples: int = SAMPLES,
    seed: int = 0,
    memory_limit: str | int = "512MB",
    progress: bool = False,
) -> Stability:
    """Compare the scores at each prefix of the checkpoints with those at all of them.

    One pass over the store, which keeps the losses of some samples; over these, running moments
    give the scores after every checkpoint.

    Parameters
    ----------
    run : path or Store
        A store written by `Recorder` or `write_store`.
    signal : {"difference", "loss"}
        As for :func:`ltc.score`.
    reference : {"class-mean", "mean"}
        As for :func:`ltc.score`.
    checkpoints : slice or sequence of int, optional
        Positions of the checkpoints to use, unique and ascending; all by default.
    fraction : float
        Size of the coreset whose overlap is told, 0 to 1.
    samples : int
        At most this many training samples, drawn at random, are looked at; fewer where
        `memory_limit` doesn't hold their losses. With 200,000, a correlation of 0.9 is known to
        about 0.001.
    seed : int
        Which samples.
    memory_limit : str or int
        Bytes, such as ``"512MB"``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Stability

    Warns
    -----
    UserWarning
        Losses that were recorded are lost; they count as missing.

    Raises
    ------
    StoreError
        Not a store, a lost chunk of labels, or a changed chunk.
    ArgumentValueError, ArgumentTypeError
        An argument that doesn't fit, or fewer than three signal values.

    Examples
    --------
    >>> import ltc
    >>> rng = np.random.default_rng(0)
    >>> course = np.exp(-0.5 * np.arange(9.0))[:, None]
    >>> train, val = (course + 0.02 * rng.random((9, size)) for size in (300, 20))
    >>> run = directory / "run.zarr"
    >>> ltc.write_store(run, train, val, train_labels=[0] * 300, val_labels=[0] * 20)
    >>> found = stability(run)
    >>> found.correlation.round(2)
    array([ nan,  nan,  nan, 0.33, 0.58, 0.74, 0.85, 0.94, 1.  ])
    >>> found.stable_from(0.9)
    7.0
    """
    if reference not in ("class-mean", "mean"):
        raise ArgumentValueError(f"reference must be class-mean or mean, got {reference!r}")
    _check_number("fraction", fraction)
    if not 0 < fraction <= 1:
        raise ArgumentValueError(f"fraction must lie in 0..1 and not be 0, got {fraction}")
    if isinstance(samples, bool) or not isinstance(samples, int):
        raise ArgumentTypeError(f"samples must be an integer, got {samples!r}")
    if samples < 1:
        raise ArgumentValueError(f"samples must be at least 1, got {samples}")
    store = run if isinstance(run, Store) else open_store(run)
    memory = parse_memory(memory_limit)
    plan = plan_score(store, signal, reference, checkpoints, None, memory)
    picked = _pick(plan, samples, seed)
    losses, missing_train = _read(plan, picked, progress=progress)
    means, missing_val = mean_references(
        store, plan.rows, plan.val_groups, plan.num_groups, memory=plan.memory // 4
    )
    warn_of_lost_losses(store, plan.rows, {"train": missing_train, "val": missing_val})
    groups = np.zeros(picked.size, np.int32)
    labels = None if plan.labels is None else plan.labels[picked]
    if plan.num_groups > 1 and labels is not None:
        groups = labels
    agreement, common = _compare(plan, losses, means, groups, labels, fraction, progress)
    return Stability(
        checkpoints=store.checkpoints[plan.rows],
        correlation=agreement,
        overlap=common,
        fraction=fraction,
        num_samples=picked.size,
        num_train=store.num_train,
        signal=plan.signal,
        reference=plan.reference,
    )


def stability_table(found: Stability, *, every: bool = False) -> str:
    """Describe how scores settle, at most 80 columns wide.

    Parameters
    ----------
    found : Stability
        From `stability`.
    every : bool
        Show every prefix, not only some of many.
    """
    looked_at = counted(found.num_train, "sample")
    if found.num_samples < found.num_train:
        looked_at = f"{found.num_samples:,} of {looked_at}, at random"
    facts = [
        ("stability", f"signal {found.signal}, reference {found.reference}; {looked_at}"),
        ("correlation", "Spearman, scores up to a checkpoint with those of all"),
        ("overlap", f"of the coresets, the highest {100 * found.fraction:g} % of each class"),
    ]
    total = found.checkpoints.size
    shown = np.arange(total)
    if total > _ROWS_SHOWN and not every:
        shown = np.unique(np.linspace(0, total - 1, _ROWS_SHOWN).round().astype(int))
    rows: list[tuple[str, ...]] = [("up to", "correlation", "overlap")]
    for t in shown:
        cells = (_cell(curve[t]) for curve in (found.correlation, found.overlap))
        rows.append((f"{found.checkpoints[t]:g}", *cells))
    end = f"correlation at least {STABLE:g} from checkpoint {found.stable_from():g} on"
    return "\n".join([*columns(facts, "<<"), "", *columns(rows, "<>>"), "", end])


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentTypeError(f"{name} must be a number, got {value!r}")


def _cell(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _pick(plan: ScorePlan, samples: int, seed: int) -> NDArray[np.int64]:
    """Samples to look at, ascending: half of the memory is for them."""
    affordable = (plan.memory // 2) // (2 * len(plan.rows) + BYTES_PER_SAMPLE)
    size = min(samples, plan.store.num_train, max(affordable, 1))
    if size == plan.store.num_train:
        return np.arange(size)
    picked = np.random.default_rng(seed).choice(
        plan.store.num_train, size, replace=False, shuffle=False
    )
    return np.sort(picked)


def _read(
    plan: ScorePlan, picked: NDArray[np.int64], *, progress: bool
) -> tuple[NDArray[np.float16], int]:
    """Losses of the picked samples, shape (T, n), from one pass over all; how many are missing."""
    store = plan.store
    reserved = BYTES_PER_REFERENCE_VALUE * plan.num_groups * len(plan.rows)
    width = tile_width(
        store.num_train,
        store.chunk_samples,
        len(plan.rows),
        memory=plan.memory // 2 - reserved,
        per_sample=8,
    )
    losses = np.empty((len(plan.rows), picked.size), dtype=np.float16)
    missing = 0
    with tqdm(
        total=store.num_train, desc="read", unit=" samples", unit_scale=True, disable=not progress
    ) as bar:
        for begin, tile in read_tiles(store, plan.rows, width):
            end = begin + tile.shape[1]
            first, last = np.searchsorted(picked, (begin, end))
            losses[:, first:last] = tile[:, picked[first:last] - begin]
            missing += count_missing(tile)
            bar.update(end - begin)
    return losses, missing


def _prefixes(
    plan: ScorePlan,
    losses: NDArray[np.float16],
    means: NDArray[np.float64],
    groups: NDArray[np.int32],
) -> Iterator[NDArray[np.float32]]:
    """Scores after every checkpoint."""
    state = online_state(losses.shape[1], plan.num_groups, signal=plan.signal)
    for row, references in zip(losses, means.T, strict=True):
        online_update(state, row, references, groups, signal=plan.signal)
        yield online_scores(state, groups)


def _compare(
    plan: ScorePlan,
    losses: NDArray[np.float16],
    means: NDArray[np.float64],
    groups: NDArray[np.int32],
    labels: NDArray[np.int32] | None,
    fraction: float,
    progress: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Correlation and overlap after every checkpoint."""

    def coreset(values: NDArray[np.float32]) -> NDArray[np.int64]:
        balance: Balance | None = None if labels is None else "class"
        return Scores(values, labels).select(fraction=fraction, balance=balance).indices

    (final,) = deque(_prefixes(plan, losses, means, groups), maxlen=1)
    best = coreset(final)
    agreement, common = np.full((2, len(losses)), np.nan)
    prefixes = _prefixes(plan, losses, means, groups)
    for t, values in enumerate(
        tqdm(prefixes, total=len(losses), desc="compare", disable=not progress)
    ):
        if not (np.isnan(values) | np.isnan(final)).all():
            agreement[t] = rank_agreement(values, final)
            common[t] = overlap(best, coreset(values))
    return agreement, common
