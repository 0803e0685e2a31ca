"""The matrix of correlations, written once; whole pages of a row at a time."""

import numpy as np
from numba import njit, types

from ltc_kernels.algebra import CONSTANT_TOLERANCE
from ltc_kernels.cpu.masked import _largest, _pearson
from ltc_kernels.cpu.product import QUERIES, products, store_products
from ltc_kernels.cpu.simd import LANES

BLOCKS = 16  # of a tile, that a group of queries meets before the next: 4096 bytes of each row

_TILE = types.Array(types.float32, 3, "C", readonly=True)
_SAMPLES = types.Array(types.int64, 1, "C", readonly=True)
_ROWS = types.Array(types.float64, 2, "C", readonly=True)
_MATRIX = types.Array(types.float32, 2, "C")


@njit(
    types.void(_TILE, _TILE, types.intp, _MATRIX, types.intp, types.intp),
    nogil=True,
    cache=True,
)
def multiply(tile, queries, column, out, begin, end):
    """Products with the groups ``begin`` to ``end``, into ``out`` [query, sample] from a column."""
    scratch = np.empty((QUERIES, LANES), np.float32)
    num_queries, num_samples = out.shape
    for first_block in range(0, len(tile), BLOCKS):
        for group in range(begin, end):
            first = group * QUERIES
            for block in range(first_block, min(first_block + BLOCKS, len(tile))):
                sums = products(tile, block, queries, group)
                place = column + block * LANES
                if first + QUERIES <= num_queries and place + LANES <= num_samples:
                    store_products(sums, out, first, place)
                    continue
                store_products(sums, scratch, 0, 0)
                for q in range(min(QUERIES, num_queries - first)):
                    for lane in range(min(LANES, num_samples - place)):
                        out[first + q, place + lane] = scratch[q, lane]


@njit(
    types.void(_MATRIX, types.intp, _ROWS, _SAMPLES, _ROWS, _SAMPLES, types.intp, types.intp),
    nogil=True,
    cache=True,
)
def multiply_rows(out, lag, rows, samples, val, queries, begin, end):
    """Correlations with ``val[begin:end]``, the ``queries`` of ``out``, over what both have."""
    own = np.empty(len(rows))
    for i in range(len(rows)):
        own[i] = CONSTANT_TOLERANCE * _largest(rows[i])
    for m in range(begin, end):
        other = CONSTANT_TOLERANCE * _largest(val[m])
        for i in range(len(rows)):
            out[queries[m], samples[i]] = _pearson(rows[i], val[m], lag, own[i], other)
