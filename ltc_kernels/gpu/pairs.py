"""Every training sample with every query on a GPU: the whole matrix, and what the product can't do.

Most pairs are served by one product on tensor cores. A sample that it can't serve is known before,
by its scale. One without a gap is given a unit signal in float64, which the product takes as losses
of its own; the pairs of one with a gap are compared one by one, over the values that both sides
have. So are complete samples with queries that have a gap.
"""

from collections.abc import Iterator
from typing import Any, Final, Protocol

import torch

from ltc_kernels.algebra import MINIMUM_VALUES, Signal, signal_length
from ltc_kernels.gpu.pairs_masked import correlate_pairs
from ltc_kernels.gpu.pairs_product import correlate
from ltc_kernels.gpu.pairs_queries import Queries, prepare_queries, unit_signals
from ltc_kernels.gpu.pairs_terms import Samples, prepare_samples
from ltc_kernels.gpu.tiles import ROW, empty_tile

COLUMNS: Final = 2**22  # of a product at once: programs are counted in 31 bits
QUERIES: Final = 2**16
MATRIX_BYTES: Final = 64 * 2**20  # of correlations on their way into the matrix
FLOAT64_BYTES: Final = 64 * 2**20  # of what is prepared at once in float64, before its temporaries


class Sink(Protocol):
    """Where correlations go."""

    @property
    def most(self) -> int:
        """How many columns it takes at once from those that are done again."""

    def product(self, samples: Samples, columns: Any | None) -> None:
        """Take the product with all queries; ``columns`` are those of the samples, or all."""

    def pairs(self, columns: Any, val: Any, queries: Any) -> None:
        """Take pairs with a gap: some columns with some queries and their trajectories [T, m]."""


def pair_correlation(train: Any, val: Any, *, signal: Signal) -> Any:
    """See `ltc_kernels.pair_correlation`; tensors [T, N] and [T, M] on one device.

    Rows of the result begin at multiples of 64 elements.
    """
    num_samples, num_queries = train.shape[1], val.shape[1]
    out = empty_tile(num_queries, num_samples, torch.float32, train.device)
    if signal_length(len(train), signal) < MINIMUM_VALUES:
        return out.fill_(torch.nan)
    for rows in spans(num_queries, QUERIES):
        queries = prepare_queries(val[:, rows], signal=signal)
        for columns in spans(num_samples, COLUMNS):
            samples = prepare_samples(train[:, columns], signal=signal)
            compare(samples, queries, _Matrix(samples, queries, out[rows, columns]))
    return out


def compare(samples: Samples, queries: Queries, sink: Sink) -> None:
    """Give a sink the correlations of all pairs, each that is defined once."""
    sink.product(samples, None)
    unserved = torch.isnan(samples.shifts[1, : samples.size])
    complete = ~unserved
    for columns in batches(unserved.nonzero().flatten(), samples, sink):
        losses = samples.losses[:, columns]
        whole = torch.isfinite(losses).all(dim=0)
        complete[columns] = whole
        units, defined = unit_signals(losses[:, whole], signal=samples.signal)
        if defined.any():
            again = prepare_samples(units[:, defined].to(torch.float32), signal="loss")
            sink.product(again, columns[whole][defined])
    val = queries.losses
    gaps = (~complete).nonzero().flatten()
    others = complete.nonzero().flatten()
    incomplete = queries.defined & ~queries.complete
    for some, chosen in ((gaps, queries.defined), (others, incomplete)):
        rows = chosen.nonzero().flatten()
        if not len(rows):
            continue
        for columns in batches(some, samples, sink):
            for few in torch.split(rows, _step(val)):
                sink.pairs(columns, val[:, few].to(torch.float32), few)


def spans(size: int, most: int) -> Iterator[slice]:
    """Divide a range into parts of at most ``most``.

    Examples
    --------
    >>> list(spans(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    for begin in range(0, size, most):
        yield slice(begin, min(begin + most, size))


def batches(columns: Any, samples: Samples, sink: Sink) -> Iterator[Any]:
    """Some columns, as many at a time as fit into memory in float64, and as a sink takes."""
    if len(columns):
        yield from torch.split(columns, min(_step(samples.losses), sink.most))


def _step(losses: Any) -> int:
    return max(FLOAT64_BYTES // (8 * len(losses)), 1)


class _Matrix:
    """The matrix of all correlations [M, N] as a sink."""

    def __init__(self, samples: Samples, queries: Queries, out: Any) -> None:
        self._samples, self._queries, self._out = samples, queries, out

    @property
    def most(self) -> int:
        return ROW * max(MATRIX_BYTES // (4 * ROW * self._queries.size), 1)

    def product(self, samples: Samples, columns: Any | None) -> None:
        if columns is None:
            correlate(samples, self._queries, self._out)
            return
        some = empty_tile(self._queries.size, samples.size, torch.float32, self._out.device)
        correlate(samples, self._queries, some)
        self._out[:, columns] = some

    def pairs(self, columns: Any, val: Any, queries: Any) -> None:
        correlate_pairs(self._samples, columns, val, queries, self._out)
