"""The losses of one split since the last commit, from whichever devices and processes they came."""

from __future__ import annotations

from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.errors import ArgumentIndexError, RecorderStateError
from ltc.recorder.buffers import SCALE, DeviceBuffer, HostBatch, HostBuffer, Totals
from ltc.store.kinds import GIVEN, UNKNOWN, common_loss
from ltc.store.rounding import to_stored
from ltc.store.writer import SplitRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from ltc.recorder.buffers import Batch

PENDING: Final = (None, "failed", "empty", "training", "evaluation", "mixed")
"""What may be pending of a split: nothing, a pass that failed or had no batch, losses of one mode
or, of several processes, of both."""

_BLOCK: Final = 1 << 20  # words that are moved between buffers at a time


class SplitBuffer:
    """Sums and counts of one split, on every device that losses came from.

    Parameters
    ----------
    split : str
        ``"train"`` or ``"val"``, for messages.
    size : int
        Number of samples in the split.
    words : float32 tensor [2, N + 3], optional
        Memory of zeros that `gather` brings everything to.

    Attributes
    ----------
    mode : str or None
        One of `PENDING`; None while nothing is pending.
    loss : str or None
        What the pending losses are, one of :data:`ltc.store.kinds.LOSSES`; None where there are
        none.
    """

    def __init__(self, split: str, size: int, words: torch.Tensor | None = None) -> None:
        self.split = split
        self.size = size
        self.mode: str | None = None
        self.loss: str | None = None
        self._host: HostBuffer | None = None
        self._devices: dict[torch.device, DeviceBuffer] = {}
        self._target: HostBuffer | DeviceBuffer | None = None
        self._restored = False
        self._empty = True
        if words is not None and words.device.type == "cpu":
            self._target = self._host = HostBuffer(size, words.numpy())
        elif words is not None:
            self._target = self._devices[words.device] = DeviceBuffer(size, words.device, words)

    @property
    def pending(self) -> bool:
        """Whether losses were recorded since the last commit."""
        return self.mode in ("training", "evaluation", "mixed")

    def check_mode(self, mode: str) -> None:
        """Raise :class:`RecorderStateError` if losses of another mode are pending."""
        if self.pending and self.mode != mode:
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
        self._empty = self.mode != "evaluation"
        self.mode = "evaluation"
        try:
            yield
        except BaseException:
            self.clear()
            self.mode = "failed"
            raise
        if self._empty:
            self.mode = "empty"

    def add(self, batch: Batch, mode: str, loss: str = GIVEN) -> None:
        """Add a batch to the buffer of its device, which is made when first needed."""
        if isinstance(batch, HostBatch):
            self._host_buffer().add(batch)
        else:
            device = batch.losses.device
            if device not in self._devices:
                self._devices[device] = DeviceBuffer(self.size, device)
            if self._restored:
                # Going on where it was left: the sums grow in the order in which losses come.
                _add(self._host_buffer(), self._devices[device])
                self._host_buffer().clear()
            self._devices[device].add(batch)
        self._restored = self._empty = False
        self.mode = mode
        self.loss = common_loss([self.loss, loss])

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

    def words(self) -> NDArray[np.float32]:
        """Return a copy of the sums and counts [2, N + 3] of all devices."""
        copy = HostBuffer(self.size)
        for buffer in self._buffers():
            _add(buffer, copy)
        return copy.words

    def gather(self) -> None:
        """Bring everything to the memory that was given when this was made."""
        if self._target is None:
            return
        for buffer in self._buffers():
            if buffer is not self._target:
                _add(buffer, self._target)
                buffer.clear()

    def restore(self, words: NDArray[np.float32]) -> None:
        """Add sums and counts [2, N + 3] of another buffer; the caller sets `mode` and `loss`."""
        host = self._host_buffer().words
        host += words
        self._restored = True

    def clear(self) -> None:
        """Forget everything since the last commit; the memory is kept for the next checkpoint."""
        self.mode = self.loss = None
        self._restored = False
        for buffer in self._buffers():
            buffer.clear()

    def _host_buffer(self) -> HostBuffer:
        if self._host is None:
            self._host = HostBuffer(self.size)
        return self._host

    def _buffers(self) -> list[HostBuffer | DeviceBuffer]:
        host = [] if self._host is None else [self._host]
        return [*host, *self._devices.values()]

    def _record(self, begin: int, end: int) -> SplitRecord:
        """Return the record of some samples."""
        if self.mode is None or not self.pending:
            return SplitRecord(np.full(end - begin, np.nan, np.float16), 0, 0, 0, 0, "none")
        totals = self._totals(begin, end)
        unseen = totals.counts == 0
        with np.errstate(over="ignore"):
            means = totals.sums / np.maximum(totals.counts, 1)
            means /= np.float32(SCALE)
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
            loss=self.loss or UNKNOWN,
        )

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


def _add(source: HostBuffer | DeviceBuffer, target: HostBuffer | DeviceBuffer) -> None:
    """Add what one buffer holds to another, a block at a time."""
    import torch

    words, sums = torch.as_tensor(source.words).view(-1), torch.as_tensor(target.words).view(-1)
    for start in range(0, words.numel(), _BLOCK):
        block = slice(start, start + _BLOCK)
        sums[block].add_(words[block].to(sums.device))
