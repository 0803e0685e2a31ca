"""What a recorder holds between two commits: per sample, the sum of its losses and their number.

That is 8 bytes per sample, two float32, so a sample seen more than once gets the mean of its losses
and one never seen stays missing. Losses from the CPU are added with NumPy, those from any other
device with torch on that device, where nothing is read back before the commit.

Losses are added scaled by 2**-32. A power of two costs no accuracy, and the sum of two losses near
the end of float32's range stays finite: infinity in a sum means that a loss was infinite. Counts
are float32 like the sums, so that one array can be added up over processes; past 2**24, where they
stop growing by ones, so has a sum of that many losses.

Sums and counts are the rows of one array, ``[2, N + 3]``, with guard slots around the samples: slot
0 takes negative indices, slot N + 1 those beyond the split, slot N + 2 losses without a valid
target. So a wrong index on a device can't write outside, and `add` never waits for the device to
know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

SCALE: Final = 2.0**-32
GUARDS: Final = 3
_HOST_SCALE: Final = np.float32(SCALE)


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
    counts: NDArray[np.float32]  # [n], whole numbers


class KeptOut(NamedTuple):
    """How many losses a buffer didn't take."""

    outside: int  # their index lay outside the split
    invalid: int  # their target was none of the classes


class HostBuffer:
    """Sums and counts of one split in a NumPy array.

    Parameters
    ----------
    size : int
        Number N of samples in the split.
    words : float32 array [2, N + 3], optional
        Memory to use, of zeros; by default the buffer's own.
    """

    def __init__(self, size: int, words: NDArray[np.float32] | None = None) -> None:
        self.words = np.zeros((2, size + GUARDS), np.float32) if words is None else words
        self._sums, self._counts = self.words[:, 1 : size + 1]
        self._ones = np.ones(0, np.float32)

    def add(self, batch: HostBatch) -> None:
        """Add a checked batch; an index may occur more than once."""
        length = batch.index.size
        if self._ones.size < length:
            self._ones = np.ones(length, np.float32)
        np.add.at(self._sums, batch.index, batch.losses * _HOST_SCALE)
        # A scalar 1 would take NumPy's slow path, ten times slower.
        np.add.at(self._counts, batch.index, self._ones[:length])

    def totals(self, begin: int, end: int) -> Totals:
        """Return views of the buffer's own array, to be read before the next `add`."""
        return Totals(*self.words[:, begin + 1 : end + 1])

    def kept_out(self) -> KeptOut:
        """Return what the guard slots hold: what came from a device in another process."""
        return _kept_out(self.words[1, [0, -2, -1]])

    def clear(self) -> None:
        """Forget everything that was added."""
        self.words.fill(0)


class DeviceBuffer:
    """Sums and counts of one split in a tensor on a device.

    Parameters
    ----------
    size : int
        Number N of samples in the split.
    device : torch.device
        Where the losses are.
    words : float32 tensor [2, N + 3], optional
        Memory on that device to use, of zeros; by default the buffer's own.
    """

    def __init__(self, size: int, device: torch.device, words: torch.Tensor | None = None) -> None:
        import torch

        self._size = size
        # Tensors made in inference mode could not be changed outside it.
        with torch.inference_mode(False):
            if words is None:
                words = torch.zeros((2, size + GUARDS), dtype=torch.float32, device=device)
            self.words = words
            self._sums, self._counts = words
            self._one = torch.ones(1, dtype=torch.float32, device=device)

    def add(self, batch: DeviceBatch) -> None:
        """Queue a batch on the device's current stream; an index may occur more than once."""
        slots = batch.index.clamp(-1, self._size).add_(1)
        if batch.valid is not None:
            slots.masked_fill_(~batch.valid, self._size + 2)
        self._sums.index_add_(0, slots, batch.losses, alpha=SCALE)
        self._counts.index_add_(0, slots, self._one.expand(slots.shape[0]))

    def totals(self, begin: int, end: int) -> Totals:
        """Copy what was added to some samples to the CPU; this waits for the device."""
        return Totals(*self.words[:, begin + 1 : end + 1].cpu().numpy())

    def kept_out(self) -> KeptOut:
        """Return what the guard slots hold; this waits for the device."""
        return _kept_out(self.words[1, [0, -2, -1]])

    def clear(self) -> None:
        """Forget everything that was added."""
        self.words.zero_()


def _kept_out(guards: NDArray[np.float32] | torch.Tensor) -> KeptOut:
    below, beyond, invalid = map(int, guards.tolist())
    return KeptOut(below + beyond, invalid)
