"""The best of every query so far, and how samples are offered to them.

Up to 64 neighbours are kept by the programs that form the products; beyond that candidates go
through memory. Either way samples are gone over in growing steps, so that each begins with limits
from those before, and few products exceed them: some k times what a step is longer than what was
seen. Where the samples come in an order that makes it more, candidates find no room; the step is
then taken again, and half as long, down to so few samples that there is room for all.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import torch

from ltc_kernels.gpu.pairs_masked import collect_pairs
from ltc_kernels.gpu.pairs_queries import Queries
from ltc_kernels.gpu.pairs_terms import Samples
from ltc_kernels.gpu.tiles import ROW, row_length
from ltc_kernels.gpu.topk_candidates import SIZES, collect, reduce_candidates
from ltc_kernels.gpu.topk_keys import NOTHING
from ltc_kernels.gpu.topk_running import MOST, keep_best

FIRST_STEP: Final = 2**14  # samples that are looked at before there are limits
GROWTH: Final = 3  # a step is at most so many times what was seen before it
CANDIDATE_BYTES: Final = 256 * 2**20  # of candidates in memory
MOST_CANDIDATES: Final = 2**14  # of one query at one end


@dataclass
class Best:
    """The best of every query at both ends.

    Attributes
    ----------
    queries : Queries
        Those.
    k : int
        How many are asked for.
    ends : slice
        Which of the two ends are.
    keys : tensor of int64, shape (2, M, k or more)
        See `ltc_kernels.gpu.topk_keys`; best first. The smallest are there with their sign changed.
    limits : tensor of float32, shape (2, M)
        The k-th best; -inf while there are fewer, inf where an end isn't asked for.
    """

    queries: Queries
    k: int
    ends: slice
    keys: Any = field(init=False, repr=False)
    limits: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Begin with nobody."""
        lists, device = (2, self.queries.size), self.queries.weights.device
        size = next(size for size in SIZES if size >= self.k)
        self.keys = torch.full((*lists, size), NOTHING, dtype=torch.int64, device=device)
        self.limits = torch.full(lists, torch.inf, device=device)
        self.limits[self.ends] = -torch.inf

    def merge(self, keys: Any, counts: Any, places: Any) -> None:
        """Take candidates in; ``places`` are what the columns in their keys stand for."""
        reduce_candidates(self.keys, self.limits, keys, counts, places, self.k, self.ends)


class Offering:
    """Some samples on their way into the best: a `ltc_kernels.gpu.pairs.Sink`.

    Parameters
    ----------
    best : Best
        Where they go.
    samples : Samples
        What is offered.
    place : int
        How many samples came before these.
    """

    def __init__(self, best: Best, samples: Samples, place: int) -> None:
        self._best, self._samples, self._place = best, samples, place
        self._lists, self._device = tuple(best.limits.shape), best.limits.device
        room = CANDIDATE_BYTES // (8 * self._lists[0] * self._lists[1] * ROW) * ROW
        self.most = min(max(room, ROW), MOST_CANDIDATES)
        self._memory: Any = None

    def product(self, samples: Samples, columns: Any | None) -> None:
        """Offer the products of all queries with samples, or with some of them that come late."""
        if columns is not None:
            self._collect(samples, self._place + columns)
        elif self._best.k <= MOST:
            self._keep(samples)
        else:
            self._collect_in_steps(samples)

    def pairs(self, columns: Any, val: Any, queries: Any) -> None:
        """Offer pairs with a gap."""
        best, (keys, counts) = self._best, self._candidates()
        place = torch.arange(self._samples.size, device=self._device) + self._place
        collect_pairs(self._samples, columns, val, queries, best.limits, keys, counts)
        best.merge(keys, counts, place)

    def _keep(self, samples: Samples) -> None:
        begin = 0
        while begin < samples.size:
            seen = self._place + begin
            end = min(begin + row_length(max(FIRST_STEP, GROWTH * seen)), samples.size)
            part = samples.part(begin, end)
            keys = keep_best(part, self._best.queries, self._best.limits, self._best.k)
            counts = torch.full(self._lists, keys.shape[2], dtype=torch.int32, device=self._device)
            self._best.merge(keys, counts, self._places(begin, end))
            begin = end

    def _collect_in_steps(self, samples: Samples) -> None:
        begin, step = 0, self.most
        while begin < samples.size:
            end = min(begin + step, samples.size)
            if self._collect(samples.part(begin, end), self._places(begin, end)):
                begin = end
                expected = (self._place + begin) * self.most // (2 * self._best.k)
                step = max(min(2 * step, expected // ROW * ROW), self.most)
            else:
                step = max(step // (2 * ROW) * ROW, self.most)

    def _collect(self, samples: Samples, places: Any) -> bool:
        """Offer samples at once; False, and nothing done, if candidates found no room."""
        best, (keys, counts) = self._best, self._candidates()
        collect(samples, best.queries, best.limits, keys, counts)
        if samples.size > self.most and int(counts.max()) > self.most:
            return False
        best.merge(keys, counts, places)
        return True

    def _places(self, begin: int, end: int) -> Any:
        return torch.arange(self._place + begin, self._place + end, device=self._device)

    def _candidates(self) -> tuple[Any, Any]:
        """Room for candidates, and that there are none yet."""
        if self._memory is None:
            shape = (*self._lists, self.most)
            self._memory = torch.empty(shape, dtype=torch.int64, device=self._device)
        return self._memory, torch.zeros(self._lists, dtype=torch.int32, device=self._device)
