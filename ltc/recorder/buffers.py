"""What a recorder holds between two commits: per sample, the sum of its losses and their number.

That is 8 bytes per sample, float32 and int32, so a sample seen more than once gets the mean of its
losses and one never seen stays missing. Losses from the CPU are added with NumPy, those from any
other device with torch on that device, where nothing is read back before the commit.

Losses are added scaled by 2**-32. A power of two costs no accuracy, and the sum of two losses near
the end of float32's range stays finite: infinity in a sum means that a loss was infinite.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from ltc.errors import ArgumentIndexError, RecorderStateError
from ltc.store.rounding import to_stored
from ltc.store.writer import SplitRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

SCALE = 2.0**-32
_HOST_SCALE = np.float32(SCALE)


@dataclass(frozen=True, slots=True)
class HostBatch:
    """Checked losses on the CPU: every index lies inside its split."""

    index: NDArray[np.intp]  # [B]
    losses: NDArray[np.float32]  # [B]


@dataclass(frozen=True, slots=True)
class DeviceBatch:
    """Losses on another device; only their shapes and dtypes are checked."""

    index: torch.Tensor  # int64 [B], values unknown
    losses: torch.Tensor  # float32 [B], detached
    valid: torch.Tensor | None = None  # bool [B]: false where the target was none of the classes


Batch: TypeAlias = HostBatch | DeviceBatch


class Totals(NamedTuple):
    """What a buffer holds of consecutive samples, on the CPU."""

    sums: NDArray[np.float32]  # [n], scaled by SCALE
    counts: NDArray[np.int32]  # [n]


class KeptOut(NamedTuple):
    """How many losses a buffer didn't take."""

    outside: int  # their index lay outside the split
    invalid: int  # their target was none of the classes


class HostBuffer:
    """Sums and counts of one split in NumPy arrays.

    Parameters
    ----------
    size : int
        Number of samples in the split.
    """

    def __init__(self, size: int) -> None:
        self._sums = np.zeros(size, np.float32)
        self._counts = np.zeros(size, np.int32)

    def add(self, batch: HostBatch) -> None:
        """Add a checked batch; an index may occur more than once."""
        np.add.at(self._sums, batch.index, batch.losses * _HOST_SCALE)
        # A scalar 1 would take NumPy's slow path, ten times slower.
        np.add.at(self._counts, batch.index, np.ones(batch.index.size, np.int32))

    def totals(self, begin: int, end: int) -> Totals:
        """Return views of the buffer's own arrays, to be read before the next `add`."""
        return Totals(self._sums[begin:end], self._counts[begin:end])

    def kept_out(self) -> KeptOut:
        """Return that nothing was: indices and targets on the CPU are checked before."""
        return KeptOut(0, 0)

    def clear(self) -> None:
        """Forget everything that was added."""
        self._sums.fill(0)
        self._counts.fill(0)


class DeviceBuffer:
    """Sums and counts of one split in tensors on a device, with guard slots around the samples.

    Slot 0 takes negative indices, slot N + 1 those beyond the split, slot N + 2 losses without a
    valid target. So a wrong index can't write outside, and `add` never waits for the device to
    know.

    Parameters
    ----------
    size : int
        Number N of samples in the split.
    device : torch.device
        Where the losses are.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        import torch

        self._size = size
        # Tensors made in inference mode could not be changed outside it.
        with torch.inference_mode(False):
            self._sums = torch.zeros(size + 3, dtype=torch.float32, device=device)
            self._counts = torch.zeros(size + 3, dtype=torch.int32, device=device)
            self._one = torch.ones(1, dtype=torch.int32, device=device)

    def add(self, batch: DeviceBatch) -> None:
        """Queue a batch on the device's current stream; an index may occur more than once."""
        slots = batch.index.clamp(-1, self._size).add_(1)
        if batch.valid is not None:
            slots.masked_fill_(~batch.valid, self._size + 2)
        self._sums.index_add_(0, slots, batch.losses, alpha=SCALE)
        self._counts.index_add_(0, slots, self._one.expand(slots.shape[0]))

    def totals(self, begin: int, end: int) -> Totals:
        """Copy what was added to some samples to the CPU; this waits for the device."""
        slots = slice(begin + 1, end + 1)
        return Totals(self._sums[slots].cpu().numpy(), self._counts[slots].cpu().numpy())

    def kept_out(self) -> KeptOut:
        """Return what the guard slots hold; this waits for the device."""
        below, beyond, invalid = self._counts[[0, self._size + 1, self._size + 2]].tolist()
        return KeptOut(below + beyond, invalid)

    def clear(self) -> None:
        """Forget everything that was added."""
        self._sums.zero_()
        self._counts.zero_()


class SplitBuffer:
    """The losses of one split since the last commit, from whichever devices they came.

    Parameters
    ----------
    split : str
        ``"train"`` or ``"val"``, for messages.
    size : int
        Number of samples in the split.

    Attributes
    ----------
    mode : str or None
        ``"training"`` or ``"evaluation"``; None while nothing is pending.
    """

    def __init__(self, split: str, size: int) -> None:
        self.split = split
        self.size = size
        self.mode: str | None = None
        self._host: HostBuffer | None = None
        self._devices: dict[torch.device, DeviceBuffer] = {}

    def check_mode(self, mode: str) -> None:
        """Raise :class:`RecorderStateError` if losses of another mode are pending."""
        if self.mode is not None and self.mode != mode:
            raise RecorderStateError(
                f"split {self.split!r} has {self.mode} losses since the last commit and takes no "
                f"{mode} losses before the next: a checkpoint has one mode per split"
            )

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Let a block add losses in the mode ``"evaluation"``; if it fails, nothing stays pending.

        Raises
        ------
        RecorderStateError
            Training losses are pending.
        """
        self.check_mode("evaluation")
        self.mode = "evaluation"
        try:
            yield
        except BaseException:
            self.clear()
            raise

    def add(self, batch: Batch, mode: str) -> None:
        """Add a batch to the buffer of its device, which is made when first needed."""
        if isinstance(batch, HostBatch):
            if self._host is None:
                self._host = HostBuffer(self.size)
            self._host.add(batch)
        else:
            device = batch.losses.device
            if device not in self._devices:
                self._devices[device] = DeviceBuffer(self.size, device)
            self._devices[device].add(batch)
        self.mode = mode

    def records(self, block_samples: int) -> Iterator[SplitRecord]:
        """Return the mean loss per sample as the store takes it, and the counts that go with it.

        Beside the sums and counts, only one block is in memory at a time.

        Parameters
        ----------
        block_samples : int
            Samples in each record but the last.

        Raises
        ------
        ArgumentIndexError
            Losses came with an index outside the split, or a target outside the classes, on a
            device where that can't be known earlier.
        """
        self._check_kept_out()  # now, and not when the first record is taken
        return (
            self._record(begin, min(begin + block_samples, self.size))
            for begin in range(0, self.size, block_samples)
        )

    def _record(self, begin: int, end: int) -> SplitRecord:
        """Return the record of some samples."""
        if self.mode is None:
            return SplitRecord(np.full(end - begin, np.nan, np.float16), 0, 0, 0, 0, "none")
        totals = self._totals(begin, end)
        unseen = totals.counts == 0
        with np.errstate(over="ignore"):
            means = totals.sums / np.maximum(totals.counts, 1).astype(np.float32)
            means /= _HOST_SCALE
        # Rounded before the unseen become NaN: conversions of NaN are slow, and would be counted.
        losses, clipped, nonfinite = to_stored(means)
        np.copyto(losses, np.nan, where=unseen)
        return SplitRecord(
            losses=losses,
            observed=end - begin - int(np.count_nonzero(unseen)),
            duplicate=int(np.count_nonzero(totals.counts > 1)),
            clipped=clipped,
            nonfinite=nonfinite,
            mode=self.mode,
        )

    def clear(self) -> None:
        """Forget everything since the last commit; the memory is kept for the next checkpoint."""
        self.mode = None
        for buffer in self._buffers():
            buffer.clear()

    def _buffers(self) -> list[HostBuffer | DeviceBuffer]:
        host = [] if self._host is None else [self._host]
        return [*host, *self._devices.values()]

    def _totals(self, begin: int, end: int) -> Totals:
        parts = [buffer.totals(begin, end) for buffer in self._buffers()]
        return Totals(
            sums=reduce(np.add, [part.sums for part in parts]),
            counts=reduce(np.add, [part.counts for part in parts]),
        )

    def _check_kept_out(self) -> None:
        parts = [buffer.kept_out() for buffer in self._buffers()]
        if outside := sum(part.outside for part in parts):
            raise ArgumentIndexError(
                f"index must lie in 0..{self.size - 1} for split {self.split!r}; "
                f"{outside} of the losses since the last commit had an index outside"
            )
        if invalid := sum(part.invalid for part in parts):
            raise ArgumentIndexError(
                f"targets must be classes of the logits; {invalid} of the losses of split "
                f"{self.split!r} since the last commit had a target outside them"
            )
