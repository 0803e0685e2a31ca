"""The pass of `neighbors` over a store: a search for each class, on the CPU or on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.conveyor import Conveyor, CudaPlace
from ltc.devices import on_device, to_host
from ltc.tiles import read_tiles, tile_width
from ltc_kernels import PairSearch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ltc.conveyor import Place
    from ltc.store import Store
    from ltc_kernels.algebra import Signal

__all__ = ["ClassSearch"]

BYTES_PER_SAMPLE: Final = 32  # of a tile, beside the losses: its index, and its place by class


class ClassSearch:
    """The best of all training samples for some queries, or of those of each query's class.

    Parameters
    ----------
    val : ndarray of float16, shape (T, M)
        The queries.
    k : int
        How many of each end.
    signal : {"difference", "loss"}
        What is correlated.
    device : str
        ``"cpu"``, or the name of a GPU.
    classes : pair of int32 arrays, shapes (N,) and (M,), or None
        Of the training samples that are looked at and of the queries, to look within a class.
    place : Place, optional
        The device that tiles go to; by default the one that `device` names.
    """

    def __init__(
        self,
        val: NDArray[np.float16],
        k: int,
        *,
        signal: Signal,
        device: str,
        classes: tuple[NDArray[np.int32], NDArray[np.int32]] | None,
        place: Place | None = None,
    ) -> None:
        self._place = CudaPlace(device) if place is None and device != "cpu" else place
        self._train_classes = None if classes is None else classes[0]
        self._members = {0: np.arange(val.shape[1])} if classes is None else members(classes[1])
        backend = "auto" if self._place is None else "gpu"
        self._searches = {
            group: PairSearch(
                on_device(np.ascontiguousarray(val[:, places]), device, tensor=self._on_gpu),
                k,
                signal=signal,
                ends="both",
                backend=backend,
            )
            for group, places in self._members.items()
        }
        self._first = 0  # the sample that the classes begin with
        # Up to here each search knows the training samples; a tile that is halved comes again.
        self._known = dict.fromkeys(self._searches, -1)

    @property
    def _on_gpu(self) -> bool:
        return self._place is not None

    def run(
        self, store: Store, rows: Sequence[int], *, memory: int, samples: slice | None = None
    ) -> Iterator[NDArray[np.float16]]:
        """Look at all training samples, or at a range of whole chunks; yield their tiles."""
        self._first = 0 if samples is None else samples.start
        width = tile_width(
            store.num_train,
            store.chunk_samples,
            len(rows),
            memory=memory,
            per_sample=BYTES_PER_SAMPLE,
        )
        if self._place is None:
            for begin, losses in read_tiles(store, rows, width, samples=samples):
                self._offer(begin, losses)
                yield losses
            return
        conveyor = Conveyor(self._place, self._offer, len(rows), width)
        tiles = read_tiles(store, rows, width, allocate=self._place.host_rows, samples=samples)
        for begin, losses in tiles:
            conveyor.take(begin, losses)
            yield losses
        conveyor.finish()

    def results(self) -> Iterator[tuple[NDArray[np.int64], list[tuple[Any, Any]]]]:
        """Places among the queries, and values and indices of both ends for them."""
        for group, places in self._members.items():
            found = self._searches[group].results()
            yield places, [(to_host(values), to_host(indices)) for values, indices in found]

    def _offer(self, begin: int, losses: Any) -> None:
        end = begin + losses.shape[1]
        if self._train_classes is None:
            self._searches[0].add(losses, np.arange(begin, end))
            return
        classes = self._train_classes[begin - self._first : end - self._first]
        for group, columns in members(classes).items():
            if group not in self._searches or begin + columns[-1] <= self._known[group]:
                continue
            some = on_device(columns, str(losses.device)) if self._on_gpu else columns
            self._searches[group].add(losses[:, some], begin + columns)
            self._known[group] = begin + int(columns[-1])


def members(labels: NDArray[np.int32]) -> dict[int, NDArray[np.int64]]:
    """Positions of each label that there is, ascending.

    Examples
    --------
    >>> members(np.array([5, 2, 5], np.int32))
    {2: array([1]), 5: array([0, 2])}
    """
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True)) if len(names) else {}
