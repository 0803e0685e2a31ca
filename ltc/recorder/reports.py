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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ltc.recorder.splits import SplitBuffer

_CHECKPOINT: Final = struct.Struct("<d")
REPORT_WORDS: Final = _CHECKPOINT.size + len(SPLITS)


class Report(NamedTuple):
    """What one process says.

    Attributes
    ----------
    checkpoint : float
        What it gave to `commit`; NaN where that is no number, or nothing is to be committed.
    modes : dict of str to (str or None)
        What is pending of each split, one of :data:`ltc.recorder.splits.PENDING`.
    """

    checkpoint: float
    modes: dict[str, str | None]

    @classmethod
    def of(cls, checkpoint: object, splits: Mapping[str, SplitBuffer]) -> Report:
        """Return the report of this process."""
        value = math.nan
        if isinstance(checkpoint, Real) and not isinstance(checkpoint, bool):
            with suppress(OverflowError):  # the store refuses it
                value = float(checkpoint)
        return cls(value, {split: buffer.mode for split, buffer in splits.items()})

    def to_words(self) -> NDArray[np.float32]:
        """Return a row of the table: whole numbers below 256, which survive any addition."""
        modes = bytes(PENDING.index(self.modes[split]) for split in SPLITS)
        return np.frombuffer(_CHECKPOINT.pack(self.checkpoint) + modes, np.uint8).astype(np.float32)

    @classmethod
    def from_words(cls, words: NDArray[np.float32]) -> Report:
        """Return the report that a row of the table holds."""
        data = words.astype(np.uint8).tobytes()
        (checkpoint,) = _CHECKPOINT.unpack_from(data)
        modes = data[_CHECKPOINT.size :]
        return cls(checkpoint, {s: PENDING[m] for s, m in zip(SPLITS, modes, strict=True)})


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
    first = reports[0]
    for rank, report in enumerate(reports):
        if _CHECKPOINT.pack(report.checkpoint) != _CHECKPOINT.pack(first.checkpoint):
            raise ArgumentValueError(
                "checkpoint must be the same number in every process, got "
                f"{_name(first.checkpoint)} on rank 0 and {_name(report.checkpoint)} on rank {rank}"
            )
    for split in first.modes:
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


def _name(checkpoint: float) -> str:
    return "none" if math.isnan(checkpoint) else f"{checkpoint:g}"
