"""What each process says of itself when all of them commit, and what has to agree.

A report travels inside the array that is added up over the processes: each of them fills a row of
its own in a table that is zero elsewhere, so the sum of the tables has every row.
"""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from numbers import Real
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ltc.errors import ArgumentValueError, RecorderStateError
from ltc.recorder.splits import PENDING
from ltc.store.format import SPLITS
from ltc.store.kinds import LOSSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ltc.recorder.splits import SplitBuffer

_NUMBER: Final = struct.Struct("<d")
_KINDS: Final = (None, *LOSSES)
REPORT_WORDS: Final = _NUMBER.size + 2 * len(SPLITS)


class Report(NamedTuple):
    """What one process says.

    Attributes
    ----------
    checkpoint : float
        What it gave to `commit`; NaN where that is no number, or nothing is to be committed.
    modes : dict of str to (str or None)
        What is pending of each split, one of :data:`ltc.recorder.splits.PENDING`.
    losses : dict of str to (str or None)
        What these losses are, one of :data:`ltc.store.kinds.LOSSES`.
    """

    checkpoint: float
    modes: dict[str, str | None]
    losses: dict[str, str | None]

    @classmethod
    def of(cls, checkpoint: object, splits: Mapping[str, SplitBuffer]) -> Report:
        """Return the report of this process."""
        modes = {split: buffer.mode for split, buffer in splits.items()}
        losses = {split: buffer.loss for split, buffer in splits.items()}
        return cls(as_number(checkpoint), modes, losses)

    def to_words(self) -> NDArray[np.float32]:
        """Return a row of the table: whole numbers below 256, which survive any addition."""
        modes = bytes(PENDING.index(self.modes[split]) for split in SPLITS)
        losses = bytes(_KINDS.index(self.losses[split]) for split in SPLITS)
        data = _NUMBER.pack(self.checkpoint) + modes + losses
        return np.frombuffer(data, np.uint8).astype(np.float32)

    @classmethod
    def from_words(cls, words: NDArray[np.float32]) -> Report:
        """Return the report that a row of the table holds."""
        data = words.astype(np.uint8).tobytes()
        (checkpoint,) = _NUMBER.unpack_from(data)
        codes = data[_NUMBER.size :]
        modes, losses = codes[: len(SPLITS)], codes[len(SPLITS) :]
        return cls(
            checkpoint,
            {split: PENDING[code] for split, code in zip(SPLITS, modes, strict=True)},
            {split: _KINDS[code] for split, code in zip(SPLITS, losses, strict=True)},
        )


def as_number(value: object) -> float:
    """Return a number as a float, and NaN for anything else: the store will refuse both alike."""
    if isinstance(value, Real) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
    return math.nan


def check_equal(name: str, numbers: Sequence[float]) -> None:
    """Check that all processes gave the same number, by rank, or all of them none.

    Raises
    ------
    ArgumentValueError
        They did not.
    """
    for rank, number in enumerate(numbers):
        if _NUMBER.pack(number) != _NUMBER.pack(numbers[0]):
            raise ArgumentValueError(
                f"{name} must be the same number in every process, got {_spell(numbers[0])} on "
                f"rank 0 and {_spell(number)} on rank {rank}"
            )


def common_mode(modes: Sequence[str | None]) -> str | None:
    """Return what is pending of a split when what all processes have of it is put together.

    A pass that failed in one process leaves no half of its split, whatever the others recorded.
    """
    found = set(modes) - {None}
    passes = {"failed", "empty", "evaluation"}
    if found <= passes:
        return next((mode for mode in ("failed", "evaluation", "empty") if mode in found), None)
    return "mixed" if len(found) > 1 else found.pop()


def check_reports(reports: Sequence[Report]) -> None:
    """Check that the processes commit the same checkpoint, in the same modes.

    Raises
    ------
    ArgumentValueError
        Checkpoints differ.
    RecorderStateError
        A split has losses of both modes, or a pass without a batch.
    """
    check_equal("checkpoint", [report.checkpoint for report in reports])
    for split in reports[0].modes:
        modes = [report.modes[split] for report in reports]
        common = common_mode(modes)
        if common == "empty":
            raise RecorderStateError(
                f"evaluate got no batch of split {split!r} in any process; evaluate it again, or "
                "rewind to drop what is pending"
            )
        if common == "mixed":
            got = ", ".join(f"{mode} on rank {rank}" for rank, mode in enumerate(modes) if mode)
            raise RecorderStateError(
                f"split {split!r} must have one mode in all processes, got {got}; rewind drops "
                "what is pending"
            )


def _spell(number: float) -> str:
    return "none" if math.isnan(number) else f"{number:g}"
