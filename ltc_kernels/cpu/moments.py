"""One checkpoint into the running moments of samples, in registers and in place.

Bytes per sample: the state once in and once out, 16 or 18 each way (34 with gaps), two of loss and
four of group. Bound by memory.

With n values before this one, ``d`` its deviation from their mean, and ``e`` that of the
reference's (Welford 1962; for the product, Bennett et al. 2009),

    squares += d^2 n / (n + 1)      product += d e n / (n + 1)      mean += d / (n + 1)

so that everything is centred before it is multiplied, and the squares only grow. Sums carry 32
significant bits or more (`ltc_kernels.online`): in a float32 alone, thousands of late checkpoints
would each be rounded away against the first ones, which hold most of the variance. The mean of
differences needs no sum, it is (last - first) / n. Across gaps an anchor takes the place of the
first loss, and each gap moves it by what the loss changed meanwhile.

Without gaps the reference's side, ``e n / (n + 1)``, is that of the whole group and comes in
float64. With gaps, each sample has its own, over the values that both have.
"""

import numpy as np
from numba import njit, types

from ltc_kernels.cpu.simd import (
    LANES,
    ZERO,
    load,
    load_upper,
    splat,
    store,
    store_upper,
    where_finite,
)
from ltc_kernels.online import (
    ANCHOR,
    COUNT,
    FIRST,
    LAST,
    MEAN,
    PRODUCT,
    REFERENCE_MEAN,
    REFERENCE_SQUARES,
    SQUARES,
)

ONE = np.float32(1.0)
BLOCK = 1024  # samples, a multiple of LANES: what a gather wrote is read when it has been stored


@njit(inline="always")
def _accumulate(words, halves, row, i, part):
    """Add to a sum, and keep what the addition loses (Knuth's two-sum)."""
    high = load(words, row, i)
    more = load_upper(halves, row, i) + part
    total = high + more
    seen = total - high
    store(total, words, row, i)
    store_upper((high - (total - seen)) + (more - seen), halves, row, i)


@njit(inline="always")
def _deviation(value, rest, words, halves, row, i):
    """``value + rest`` less a mean."""
    return (value - load(words, row, i)) + (rest - load_upper(halves, row, i))


@njit(nogil=True)
def _gather(terms, groups, out):
    """One value per sample from one per group; not negative, so no index counts from the end."""
    for i in range(out.size):
        out[i] = terms[np.uint32(groups[i])]


@njit(nogil=True)
def _copy(values, out):
    for i in range(out.size):
        out[i] = values[i]


def _differences(losses, groups, terms, before, begin, end, words, halves):
    """Samples ``begin`` to ``end``, ``before`` differences being there; no gap."""
    weights = np.empty((1, BLOCK), np.float32)
    count = splat(np.float32(max(before, 1)))
    share = splat(np.float32(before / (before + 1)))
    for start in range(begin, end, BLOCK):
        stop = min(start + BLOCK, end)
        _gather(terms[0], groups[start:stop], weights[0, : stop - start])
        for i in range(start, stop, LANES):
            last = load(halves, LAST, i)
            mean = (last - load(halves, FIRST, i)) / count
            deviation = (load(losses, 0, i) - last) - mean
            _accumulate(words, halves, SQUARES, i, deviation * deviation * share)
            _accumulate(words, halves, PRODUCT, i, deviation * load(weights, 0, i - start))
        _copy(losses[0, start:stop], halves[LAST, start:stop])


def _losses(losses, groups, terms, before, begin, end, words, halves):
    """Samples ``begin`` to ``end``, ``before`` losses being there; no gap."""
    weights = np.empty((1, BLOCK), np.float32)
    count = splat(np.float32(before + 1))
    share = splat(np.float32(before / (before + 1)))
    zero = splat(ZERO)
    for start in range(begin, end, BLOCK):
        stop = min(start + BLOCK, end)
        _gather(terms[0], groups[start:stop], weights[0, : stop - start])
        for i in range(start, stop, LANES):
            deviation = _deviation(load(losses, 0, i), zero, words, halves, MEAN, i)
            _accumulate(words, halves, SQUARES, i, deviation * deviation * share)
            _accumulate(words, halves, PRODUCT, i, deviation * load(weights, 0, i - start))
            _accumulate(words, halves, MEAN, i, deviation / count)


@njit(inline="always")
def _add_common(key, deviation, term, rest, words, halves, i):
    """The part that both signals share, for samples whose key is finite; others stay."""
    zero = splat(ZERO)
    other = _deviation(term, rest, words, halves, REFERENCE_MEAN, i)
    deviation = where_finite(key, deviation, zero)
    other = where_finite(key, other, zero)
    before = load(words, COUNT, i)
    count = before + splat(ONE)
    share = before / count
    _accumulate(words, halves, SQUARES, i, deviation * deviation * share)
    _accumulate(words, halves, PRODUCT, i, deviation * other * share)
    _accumulate(words, halves, REFERENCE_SQUARES, i, other * other * share)
    _accumulate(words, halves, REFERENCE_MEAN, i, other / count)
    store(where_finite(key, count, before), words, COUNT, i)
    return deviation / count


def _differences_with_gaps(losses, groups, terms, _before, begin, end, words, halves):
    """Samples ``begin`` to ``end``, each with a count of its own."""
    own = np.empty((2, BLOCK), np.float32)
    zero = splat(ZERO)
    for start in range(begin, end, BLOCK):
        stop = min(start + BLOCK, end)
        for row in range(2):
            _gather(terms[row], groups[start:stop], own[row, : stop - start])
        for i in range(start, stop, LANES):
            term, rest = load(own, 0, i - start), load(own, 1, i - start)
            current = load(losses, 0, i)
            last = load(halves, LAST, i)
            anchor = load(words, ANCHOR, i)
            total = where_finite(last, last - anchor, anchor)
            # Before the first difference the sum is zero, and so is its mean: 0 / 0 isn't.
            mean = total / load(words, COUNT, i)
            mean = where_finite(mean, mean, zero)
            difference = current - last
            key = difference + term
            _add_common(key, difference - mean, term, rest, words, halves, i)
            moved = where_finite(current, current - total, total)
            store(where_finite(key, anchor, moved), words, ANCHOR, i)
        _copy(losses[0, start:stop], halves[LAST, start:stop])


def _losses_with_gaps(losses, groups, terms, _before, begin, end, words, halves):
    """Samples ``begin`` to ``end``, each with a count of its own."""
    own = np.empty((2, BLOCK), np.float32)
    zero = splat(ZERO)
    for start in range(begin, end, BLOCK):
        stop = min(start + BLOCK, end)
        for row in range(2):
            _gather(terms[row], groups[start:stop], own[row, : stop - start])
        for i in range(start, stop, LANES):
            term, rest = load(own, 0, i - start), load(own, 1, i - start)
            current = load(losses, 0, i)
            deviation = _deviation(current, zero, words, halves, MEAN, i)
            more = _add_common(current + term, deviation, term, rest, words, halves, i)
            _accumulate(words, halves, MEAN, i, more)


_compiled = njit(
    types.void(
        types.Array(types.uint16, 2, "C", readonly=True),
        types.Array(types.int32, 1, "C", readonly=True),
        types.Array(types.float32, 2, "C", readonly=True),
        types.intp,
        types.intp,
        types.intp,
        types.Array(types.float32, 2, "C"),
        types.Array(types.uint16, 2, "C"),
    ),
    nogil=True,
    cache=True,
)
add_differences = _compiled(_differences)
add_losses = _compiled(_losses)
add_differences_with_gaps = _compiled(_differences_with_gaps)
add_losses_with_gaps = _compiled(_losses_with_gaps)
