"""Tiles of losses to a GPU: one is at work while the next is copied and another is read.

A thread reads tiles into pinned memory (`ltc.tiles`); each is copied on a stream of its own while
the kernels work on the one before. Where the GPU's memory doesn't hold what a tile takes, the tile
is halved, and so are all after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from ltc.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Conveyor", "CudaPlace", "Place"]

SMALLEST: Final = 1024  # samples; if a tile of so many doesn't fit, nothing else will
ROW: Final = 64  # samples that parts of a tile begin at multiples of, for loads of 16 bytes


class Place(Protocol):
    """A device, as far as a conveyor needs to know it."""

    name: str
    out_of_memory: type[Exception]

    def host_rows(self, num_checkpoints: int, width: int) -> NDArray[np.float16]:
        """Return memory that is copied from fast, with rows as long as those of `tile`."""

    def tile(self, num_checkpoints: int, width: int) -> Any:
        """Return room on the device, a tensor [T, width]."""

    def send(self, losses: NDArray[np.float16], tile: Any) -> Any:
        """Begin to copy; return what to wait for. Work that was begun on the tile comes first."""

    def wait(self, sent: Any) -> None:
        """Return once it is copied: what it was copied from may change."""

    def follow(self, sent: Any) -> None:
        """Let work that is begun from now on find it copied."""

    def release(self) -> None:
        """Give back what of the device's memory isn't in use."""


class Conveyor:
    """Hands tiles in the host's memory over to work on a device.

    Parameters
    ----------
    place : Place
        The device.
    work : callable
        ``work(begin, tile)`` gets the first sample of a tile and its losses, a tensor (T, n) on the
        device. If it runs out of memory, it has changed nothing.
    num_checkpoints, width : int
        Sizes of the largest tile.
    """

    def __init__(
        self, place: Place, work: Callable[[int, Any], None], num_checkpoints: int, width: int
    ) -> None:
        self._place = place
        self._do = work
        self._num_checkpoints = num_checkpoints
        self._width = width
        self._tiles: list[Any] = []
        self._turn = 0
        self._waiting: tuple[int, Any, Any] | None = None

    @property
    def width(self) -> int:
        """Samples of a tile on the device; fewer than at first after it ran out of memory."""
        return self._width

    def take(self, begin: int, losses: NDArray[np.float16]) -> None:
        """Take a tile, which may change when this returns, and work on the one before.

        Raises
        ------
        BackendUnavailableError
            The device has too little memory for the smallest tile.
        """
        start, count = 0, losses.shape[1]
        while start < count:
            tile = self._next_tile()
            stop = min(start + self._width, count)
            part = tile[:, : stop - start]
            sent = self._place.send(losses[:, start:stop], part)
            self._work_off()
            self._waiting = begin + start, part, sent
            self._place.wait(sent)
            start = stop

    def finish(self) -> None:
        """Work on the last tile."""
        self._work_off()

    def _next_tile(self) -> Any:
        """Room for a tile, of the two the one that was not taken last."""
        if self._tiles and self._tiles[0].shape[1] != self._width:
            self._work_off()  # on what lies in the wider ones, before they go
            self._tiles = []
        while len(self._tiles) < 2:
            try:
                self._tiles.append(self._place.tile(self._num_checkpoints, self._width))
                continue
            except self._place.out_of_memory:
                pass
            self._work_off()
            self._tiles = []
            self._halve(self._width)
        self._turn = 1 - self._turn
        return self._tiles[self._turn]

    def _work_off(self) -> None:
        if self._waiting is not None:
            begin, tile, sent = self._waiting
            self._waiting = None
            self._place.follow(sent)
            self._work(begin, tile)

    def _work(self, begin: int, tile: Any) -> None:
        try:
            self._do(begin, tile)
            return
        except self._place.out_of_memory:
            pass
        # Outside the handler: what the error holds on to has been given up.
        half = self._halve(tile.shape[1])
        self._work(begin, tile[:, :half])
        self._work(begin + half, tile[:, half:])

    def _halve(self, width: int) -> int:
        """Give memory back, and make tiles at most half as wide; return that width."""
        if width <= SMALLEST:
            raise BackendUnavailableError(
                f"{self._place.name} must have memory free for a tile of {width:,} samples at "
                f"{self._num_checkpoints:,} checkpoints, and has not; free some, or use device "
                '"cpu"'
            )
        self._place.release()
        half = -(-width // (2 * ROW)) * ROW
        self._width = min(self._width, half)
        return half


class CudaPlace:
    """A GPU of CUDA or ROCm, through torch; see :class:`Place`.

    Parameters
    ----------
    name : str
        ``"cuda:0"`` and so on.
    """

    def __init__(self, name: str) -> None:
        import torch

        self.name = name
        self.out_of_memory: type[Exception] = torch.OutOfMemoryError
        self._device = torch.device(name)
        self._copies = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def host_rows(self, num_checkpoints: int, width: int) -> NDArray[np.float16]:
        """See :class:`Place`."""
        import torch

        from ltc_kernels.gpu.tiles import empty_tile, whole

        tile = empty_tile(num_checkpoints, width, torch.float16, "cpu", pin_memory=True)
        rows: NDArray[np.float16] = whole(tile).numpy()  # which keeps the pinned memory alive
        return rows

    def tile(self, num_checkpoints: int, width: int) -> Any:
        """See :class:`Place`."""
        import torch

        from ltc_kernels.gpu.tiles import empty_tile

        return empty_tile(num_checkpoints, width, torch.float16, self._device)

    def send(self, losses: NDArray[np.float16], tile: Any) -> Any:
        """See :class:`Place`."""
        import torch

        source, target = one_piece(torch.from_numpy(losses), tile)
        self._copies.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._copies):
            target.copy_(source, non_blocking=True)
            return self._copies.record_event()

    def wait(self, sent: Any) -> None:
        """See :class:`Place`."""
        sent.synchronize()

    def follow(self, sent: Any) -> None:
        """See :class:`Place`."""
        import torch

        torch.cuda.current_stream(self._device).wait_event(sent)

    def release(self) -> None:
        """See :class:`Place`."""
        import torch

        torch.cuda.empty_cache()


def one_piece(source: Any, target: Any) -> tuple[Any, Any]:
    """Make the copy of a tensor [T, n] one transfer, where rows of both are as long.

    Each becomes all that lies from its first value to its last; where the lengths of rows differ,
    both stay as they are.
    """
    length = source.stride(0)
    if length != target.stride(0) or source.stride(1) != 1:
        return source, target
    rows, width = source.shape
    size, strides = ((rows - 1) * length + width,), (1,)
    return source.as_strided(size, strides), target.as_strided(size, strides)
