"""The search for the best on a GPU: samples come in parts, and results at the end.

The best are kept as keys whose places count the samples in the order in which they came; which
samples those are is looked up at the end.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ltc_kernels.algebra import MINIMUM_VALUES, Signal
from ltc_kernels.errors import ArgumentValueError
from ltc_kernels.gpu.pairs import COLUMNS, compare, spans
from ltc_kernels.gpu.pairs_queries import prepare_queries
from ltc_kernels.gpu.pairs_terms import prepare_samples
from ltc_kernels.gpu.tiles import as_tile
from ltc_kernels.gpu.topk_best import Best, Offering
from ltc_kernels.gpu.topk_keys import MOST_SAMPLES, split_keys
from ltc_kernels.gpu.topk_running import MOST

STATE_BYTES: Final = 64 * 2**20  # of the keys of the best that one search holds


def pair_topk(train: Any, val: Any, k: int, *, signal: Signal, largest: bool) -> tuple[Any, Any]:
    """See `ltc_kernels.pair_topk`; tensors [T, N] and [T, M] on one device."""
    shape, device = (val.shape[1], k), train.device
    values = torch.empty(shape, dtype=torch.float32, device=device)
    indices = torch.empty(shape, dtype=torch.int64, device=device)
    samples = as_tile(train)
    for some in spans(val.shape[1], max(STATE_BYTES // (8 * 2 * max(k, MOST)), 1)):
        search = PairSearch(val[:, some], k, signal=signal, signs=(1 if largest else -1,))
        if samples.shape[1]:
            search.add(samples, np.arange(samples.shape[1]))
        ((values[some], indices[some]),) = search.results()
    return values, indices


class PairSearch:
    """See `ltc_kernels.PairSearch`; ``val`` [T, M] is a tensor on the device of the search.

    ``signs`` are 1 for the largest, -1 for the smallest.
    """

    def __init__(self, val: Any, k: int, *, signal: Signal, signs: tuple[int, ...]) -> None:
        ends = slice(0 if 1 in signs else 1, 2 if -1 in signs else 1)
        self._best = Best(prepare_queries(val, signal=signal), k, ends)
        self._signs = signs
        self._pieces: list[_Piece] = []
        self._seen = 0

    def add(self, train: Any, samples: NDArray[np.int64]) -> None:
        """Offer more samples [T, n], at least one; ``samples``, on the CPU, ascend.

        Whatever is raised, such as by a device out of memory, the search is as it was before, and
        the same samples may come again.
        """
        queries, count = self._best.queries, len(samples)
        if self._seen + count > MOST_SAMPLES:
            raise ArgumentValueError(
                f"a search takes at most {MOST_SAMPLES} samples, got {self._seen + count}"
            )
        piece = _Piece.of(samples, self._seen, train.device)
        if queries.num_terms >= MINIMUM_VALUES and queries.size:
            before = self._best.keys.clone(), self._best.limits.clone()
            try:
                for columns in spans(count, COLUMNS):
                    some = prepare_samples(train[:, columns], signal=queries.signal)
                    compare(some, queries, Offering(self._best, some, self._seen + columns.start))
            except BaseException:
                self._best.keys, self._best.limits = before
                raise
        self._pieces.append(piece)
        self._seen += count

    def results(self) -> list[tuple[Any, Any]]:
        """Values and samples [M, k] of each end, best first; the search ends."""
        found = []
        for sign in self._signs:
            keys = self._best.keys[0 if sign > 0 else 1, :, : self._best.k]
            values, places = split_keys(keys)
            found.append((values if sign > 0 else 0.0 - values, self._samples_at(places)))
        return found

    def _samples_at(self, places: Any) -> Any:
        """The samples that came at ``places``; -1 stays."""
        if not self._pieces:
            return places
        device = places.device
        starts = torch.tensor([piece.place for piece in self._pieces], device=device)
        i_piece = (torch.searchsorted(starts, places, right=True) - 1).clamp(min=0)
        within = places - starts[i_piece]
        firsts = torch.tensor([piece.first for piece in self._pieces], device=device)
        samples = firsts[i_piece] + within
        tables = [piece.table for piece in self._pieces if piece.table is not None]
        if tables:
            sizes = [0 if piece.table is None else len(piece.table) for piece in self._pieces]
            begins = torch.tensor(np.cumsum([0, *sizes[:-1]]), device=device)
            table = torch.cat(tables)
            scattered = torch.tensor(sizes, device=device)[i_piece] > 0
            looked_up = table[(begins[i_piece] + within).clamp(0, len(table) - 1)]
            samples = torch.where(scattered, looked_up, samples)
        return torch.where(places < 0, places, samples)


@dataclass(frozen=True)
class _Piece:
    """Samples that were added together: where they come in order, and which they are."""

    place: int
    first: int
    table: Any | None  # of all of them, unless they follow one another

    @classmethod
    def of(cls, samples: NDArray[np.int64], place: int, device: Any) -> "_Piece":
        first, last = int(samples[0]), int(samples[-1])
        scattered = last - first != len(samples) - 1
        return cls(place, first, torch.from_numpy(samples).to(device) if scattered else None)
