"""What is kept of every commit besides the losses, as objects and as the arrays of a store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError, StoreCorruptError
from ltc.store.format import COUNTS, MODES, SPLITS
from ltc.store.kinds import LOSSES, UNKNOWN, common_loss

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "RECORD_PATHS",
    "Commit",
    "SplitCommit",
    "SplitLosses",
    "SplitRecord",
    "add_up",
    "checked_blocks",
    "from_arrays",
    "to_arrays",
]

RECORD_PATHS: Final = (
    *(f"{split}/checkpoint" for split in SPLITS),
    *(f"commits/{split}_{name}" for split in SPLITS for name in (*COUNTS, "mode")),
    "commits/time",
)
"""The arrays [checkpoint] that hold the commits."""


@dataclass(frozen=True)
class SplitCommit:
    """How the losses of one split came to be at one checkpoint.

    Attributes
    ----------
    observed : int
        Number of samples seen.
    duplicate : int
        Number of samples seen more than once; the mean of their losses is stored.
    clipped : int
        Number of finite losses beyond float16, stored as 65504 with their sign.
    nonfinite : int
        Number of samples seen whose loss was infinite or NaN, stored as missing.
    mode : {"training", "evaluation", "array", "none"}
        Where the losses come from; ``"none"`` where no sample was seen.
    loss : {"cross-entropy", "given", "unknown"}
        What they are: hard-label cross-entropy, or what the user gave without a word on it;
        unknown of arrays, and of stores of earlier versions.
    """

    observed: int
    duplicate: int
    clipped: int
    nonfinite: int
    mode: str
    loss: str = UNKNOWN


@dataclass(frozen=True)
class SplitRecord:
    """What is recorded of one split, or of a range of its samples, at one checkpoint.

    Attributes
    ----------
    losses : float16 array [sample]
        NaN where a sample was not seen; see :func:`ltc.store.rounding.to_stored`.
    observed : int
        Number of samples seen.
    duplicate : int
        Number of samples seen more than once.
    clipped : int
        Number of finite losses beyond float16.
    nonfinite : int
        Number of samples seen whose loss was infinite or NaN.
    mode : {"training", "evaluation", "array", "none"}
        Where the losses come from; ``"none"`` where no sample was seen.
    loss : {"cross-entropy", "given", "unknown"}
        What they are.
    """

    losses: NDArray[np.float16]
    observed: int
    duplicate: int
    clipped: int
    nonfinite: int
    mode: str
    loss: str = UNKNOWN

    def check(self, split: str, size: int) -> SplitCommit:
        """Return what is kept besides the losses, of which there must be as many as `size`.

        Raises
        ------
        ArgumentTypeError
            The losses are not a float16 array.
        ArgumentValueError
            They have another shape, a count or the mode can't be.
        """
        if not isinstance(self.losses, np.ndarray) or self.losses.dtype != np.float16:
            kind = getattr(self.losses, "dtype", type(self.losses).__name__)
            raise ArgumentTypeError(f"{split}.losses must be a float16 array, got {kind}")
        if self.losses.shape != (size,):
            raise ArgumentValueError(
                f"{split}.losses must have one entry per sample, shape ({size},), got "
                f"{self.losses.shape}"
            )
        if self.mode not in MODES:
            raise ArgumentValueError(f"{split}.mode must be one of {MODES}, got {self.mode!r}")
        if self.loss not in LOSSES:
            raise ArgumentValueError(f"{split}.loss must be one of {LOSSES}, got {self.loss!r}")
        counts = {name: getattr(self, name) for name in COUNTS}
        for name, count in counts.items():
            if not 0 <= count <= size:
                raise ArgumentValueError(f"{split}.{name} must lie in 0..{size}, got {count}")
        return SplitCommit(**counts, mode=self.mode, loss=self.loss)


def add_up(split: str, parts: Sequence[SplitCommit]) -> SplitCommit:
    """Return what is kept of a split that was recorded in ranges of samples.

    Raises
    ------
    ArgumentValueError
        Their modes differ.
    """
    modes = {part.mode for part in parts}
    if len(modes) != 1:
        raise ArgumentValueError(f"{split}.mode must be the same throughout, got {sorted(modes)}")
    counts = {name: sum(getattr(part, name) for part in parts) for name in COUNTS}
    loss = common_loss(part.loss for part in parts) or UNKNOWN
    return SplitCommit(**counts, mode=modes.pop(), loss=loss)


SplitLosses: TypeAlias = SplitRecord | Iterable[SplitRecord]
"""One split at one checkpoint: whole, or in blocks of consecutive samples."""


def checked_blocks(
    split: str, losses: SplitLosses, size: int, block_samples: int
) -> Iterator[tuple[int, NDArray[np.float16], SplitCommit]]:
    """Yield the first sample, the losses and what else is kept of each block.

    Parameters
    ----------
    split : str
        For messages.
    losses : SplitRecord, or iterable of SplitRecord
        All of the split, or blocks of it that have `block_samples` samples each, the last one
        fewer.
    size : int
        Number of samples of the split.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        As :meth:`SplitRecord.check`, or there are too few blocks.
    """
    whole = isinstance(losses, SplitRecord)
    begin = 0
    for record in [losses] if isinstance(losses, SplitRecord) else losses:
        width = size if whole else min(block_samples, size - begin)
        yield begin, record.losses, record.check(split, width)
        begin += width
    if begin < size:
        raise ArgumentValueError(f"{split} must have {size} samples, got {begin} in blocks")


@dataclass(frozen=True)
class Commit:
    """One checkpoint of a store.

    Attributes
    ----------
    checkpoint : float
        The epoch or step given to the commit.
    time : float
        When it was made, in seconds since 1970-01-01 UTC.
    train, val : SplitCommit
        What was recorded of either split.
    """

    checkpoint: float
    time: float
    train: SplitCommit
    val: SplitCommit


def to_arrays(commits: Sequence[Commit]) -> dict[str, NDArray[Any]]:
    """Return the values of the arrays in `RECORD_PATHS`, by their paths."""
    checkpoints = np.array([commit.checkpoint for commit in commits], np.float64)
    arrays: dict[str, NDArray[Any]] = {
        "commits/time": np.array([commit.time for commit in commits], np.float64)
    }
    for split in SPLITS:
        parts: list[SplitCommit] = [getattr(commit, split) for commit in commits]
        arrays[f"{split}/checkpoint"] = checkpoints
        for count in COUNTS:
            values = [getattr(part, count) for part in parts]
            arrays[f"commits/{split}_{count}"] = np.array(values, np.int64)
        modes = [MODES.index(part.mode) for part in parts]
        arrays[f"commits/{split}_mode"] = np.array(modes, np.int8)
    return {path: arrays[path] for path in RECORD_PATHS}


def from_arrays(
    arrays: Mapping[str, NDArray[Any]], losses: Mapping[str, Sequence[str]]
) -> tuple[Commit, ...]:
    """Return the commits that the arrays in `RECORD_PATHS` hold.

    Parameters
    ----------
    arrays : mapping of str to array [checkpoint]
        By path.
    losses : mapping of str to sequence of str
        What the losses of each split are at each checkpoint.

    Raises
    ------
    StoreCorruptError
        A mode is none of those known.
    """
    parts = {split: _split_commits(split, arrays, losses[split]) for split in SPLITS}
    return tuple(
        Commit(checkpoint, time, train, val)
        for checkpoint, time, train, val in zip(
            arrays["train/checkpoint"].tolist(),
            arrays["commits/time"].tolist(),
            parts["train"],
            parts["val"],
            strict=True,
        )
    )


def _split_commits(
    split: str, arrays: Mapping[str, NDArray[Any]], losses: Sequence[str]
) -> list[SplitCommit]:
    codes = arrays[f"commits/{split}_mode"]
    unknown = (codes < 0) | (codes >= len(MODES))
    if unknown.any():
        row = int(unknown.argmax())
        raise StoreCorruptError(
            f"commits/{split}_mode must lie in 0..{len(MODES) - 1}, got {codes[row]} at row {row}"
        )
    counts = [arrays[f"commits/{split}_{count}"].tolist() for count in COUNTS]
    modes = [MODES[code] for code in codes.tolist()]
    return [SplitCommit(*row) for row in zip(*counts, modes, losses, strict=True)]
