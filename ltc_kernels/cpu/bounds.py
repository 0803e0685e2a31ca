"""Upper bounds of correlations from a few principal axes, which spare most of the products.

Let ``V`` hold orthonormal axes of the queries' unit signals, ``a = V x`` and ``b = V y`` the
coordinates of a sample and a query, and ``r`` and ``s`` the norms of what is left of them. Then, by
the inequality of Cauchy and Schwarz, ``|x . y - a . b| <= r s``. Where no bound of a block of
samples with a group of queries reaches the limits, its products need not be formed: nothing of it
could have entered a heap.

**Rounding.** The coordinates and norms of what is multiplied, the float32 units, are found in
float64; rounding them to float32 is an error of ``2 u`` in ``a . b`` (u = 2^-24), summing the P
products one of at most ``P u``, and summing the S products of the exact path, whose result is
compared, one of at most ``S u``, as no partial sum exceeds 1 by more than rounding. Norms are
rounded up. `margin` adds all of these to the bound, with some to spare, so that pruning is
rigorous: results are the same bits.

**Order.** A bound helps only if it excludes a whole block for a whole group of queries. Both are
sorted: cut into slabs of equal size along the first axis, each of these along the second, and so
on, so that neighbours are alike. That makes the difference: on recorded losses, 20 % of the blocks
remain instead of 85 %.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from ltc_kernels.cpu.packing import Queries, aligned_empty, as_groups
from ltc_kernels.cpu.product import QUERIES
from ltc_kernels.cpu.simd import LANES
from ltc_kernels.cpu.threads import for_ranges, thread_count

SHARE: Final = 5  # one axis for so many signal values
SHORTEST: Final = 32  # signal values; bounds of fewer do not pay
LONGEST: Final = 256  # finding the axes of more would take too long
SORTED_AXES: Final = 4
SLACK: Final = 1e-12  # of squared norms: float64 axes are orthonormal only up to rounding
UP: Final = np.float32(1 + 2.0**-22)

_TILE = types.Array(types.float32, 3, "C", readonly=True)


@dataclass(frozen=True)
class Bounds:
    """Queries in the coordinates of their axes, in the order in which they are grouped.

    Attributes
    ----------
    axes : ndarray of float64, shape (P, S)
        Orthonormal, by falling share of the queries' squares.
    coordinates : ndarray of float32, shape (G, P, QUERIES)
        Of the queries, in groups.
    rests : ndarray of float32, shape (G * QUERIES,)
        Norms of what the axes leave.
    margin : float
        What rounding can add to a correlation, at most.
    """

    axes: NDArray[np.float64]
    coordinates: NDArray[np.float32]
    rests: NDArray[np.float32]
    margin: np.float32

    @property
    def cost(self) -> float:
        """Arithmetic of a bound, as a share of a product's."""
        return float((len(self.axes) + 3) / self.axes.shape[1])


def query_bounds(queries: Queries) -> tuple[Bounds, NDArray[np.int64]] | None:
    """Bounds for these queries, and the order that groups them; None where they would not pay."""
    length = queries.units.shape[1]
    usable = np.flatnonzero(queries.complete)
    if not SHORTEST <= length <= LONGEST or len(usable) < LANES:
        return None
    rows = queries.rows().astype(np.float64)  # [M, S]
    squares = rows[usable].T @ rows[usable]
    count = QUERIES * max(round(length / SHARE / QUERIES), 1)
    axes = np.ascontiguousarray(np.linalg.eigh(squares)[1][:, : -count - 1 : -1].T)
    coordinates = rows @ axes.T
    order = slab_order(coordinates[:, :SORTED_AXES].T, QUERIES)
    left = np.square(rows).sum(axis=1) - np.square(coordinates).sum(axis=1)
    rests = np.full(len(queries.units) * QUERIES, np.nan, dtype=np.float32)
    rests[: len(rows)] = np.sqrt(np.maximum(left, 0.0) + SLACK)[order] * UP
    margin = np.float32((length + count + 16) * 2.0**-24)
    return Bounds(axes, as_groups(coordinates[order]), rests, margin), order


def slab_order(coordinates: NDArray[Any], leaf: int) -> NDArray[np.int64]:
    """An order of points [axis, point] in which each ``leaf`` of them are near each other.

    Examples
    --------
    >>> slab_order(np.array([[0.0, 5.0, 1.0, 6.0], [1.0, 0.0, 0.0, 1.0]]), 1)
    array([2, 0, 1, 3])
    """
    num_axes, num_points = coordinates.shape
    leaves = -(-num_points // leaf)
    parts = [max(int(np.ceil(leaves ** (1 / num_axes))), 1)] * num_axes
    size = leaf * int(np.prod(parts))
    padded = np.full((num_axes, size), np.inf, dtype=np.float32)
    padded[:, :num_points] = coordinates
    order: NDArray[np.int64] = np.arange(size)
    slabs = 1
    for values, count in zip(padded, parts, strict=True):
        rows = order.reshape(slabs, -1)
        inside = np.argsort(values[rows], axis=1)
        order = np.take_along_axis(rows, inside, axis=1).reshape(-1)
        slabs *= count
    inside_only: NDArray[np.int64] = order[order < num_points]
    return inside_only


def sorted_tile(
    units: NDArray[np.float32], bounds: Bounds
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Sort a tile [block, term, lane]; return it, coordinates, norms of rests, and the order."""
    blocks, length, _ = units.shape
    step = max(-(-blocks // (2 * thread_count())), 1)
    rough = aligned_empty((blocks, SORTED_AXES, LANES))
    rests = np.empty((blocks, LANES), dtype=np.float32)
    main = np.ascontiguousarray(bounds.axes[:SORTED_AXES])
    for_ranges(lambda begin, end: _project(units, main, rough, rests, begin, end), blocks, step)
    order = slab_order(rough.transpose(1, 0, 2).reshape(SORTED_AXES, -1), LANES)
    arranged = aligned_empty((blocks, length, LANES))
    coordinates = aligned_empty((blocks, len(bounds.axes), LANES))

    def task(begin: int, end: int) -> None:
        _arrange(units, order, arranged, begin, end)
        _project(arranged, bounds.axes, coordinates, rests, begin, end)

    for_ranges(task, blocks, step)
    return arranged, coordinates, rests, order


@njit(
    types.void(
        _TILE,
        types.Array(types.int64, 1, "C", readonly=True),
        types.Array(types.float32, 3, "C"),
        types.intp,
        types.intp,
    ),
    nogil=True,
    cache=True,
)
def _arrange(units: Any, order: Any, out: Any, begin: int, end: int) -> None:
    """Copy the samples of ``order`` into the blocks ``begin`` to ``end``."""
    for block in range(begin, end):
        for lane in range(LANES):
            source, place = divmod(order[block * LANES + lane], LANES)
            for term in range(units.shape[1]):
                out[block, term, lane] = units[source, term, place]


@njit(
    types.void(
        _TILE,
        types.Array(types.float64, 2, "C", readonly=True),
        types.Array(types.float32, 3, "C"),
        types.Array(types.float32, 2, "C"),
        types.intp,
        types.intp,
    ),
    nogil=True,
    cache=True,
)
def _project(units: Any, axes: Any, out: Any, rests: Any, begin: int, end: int) -> None:
    """Coordinates of the blocks ``begin`` to ``end`` along each axis, and norms of the rests."""
    length = units.shape[1]
    wide = np.empty((length, LANES))
    left = np.empty(LANES)
    one = np.empty(LANES)
    other = np.empty(LANES)
    for block in range(begin, end):
        left[:] = 0.0
        for term in range(length):
            for lane in range(LANES):
                value = np.float64(units[block, term, lane])
                wide[term, lane] = value
                left[lane] += value * value
        for axis in range(0, len(axes), 2):  # an even number of them: each value is loaded once
            one[:] = 0.0
            other[:] = 0.0
            for term in range(length):
                for lane in range(LANES):
                    one[lane] += axes[axis, term] * wide[term, lane]
                    other[lane] += axes[axis + 1, term] * wide[term, lane]
            for lane in range(LANES):
                out[block, axis, lane] = one[lane]
                out[block, axis + 1, lane] = other[lane]
                left[lane] -= one[lane] * one[lane] + other[lane] * other[lane]
        for lane in range(LANES):
            rests[block, lane] = np.float32(np.sqrt(max(left[lane], 0.0) + SLACK)) * UP
