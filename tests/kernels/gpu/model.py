"""The arithmetic of `ltc_kernels.gpu.group` in NumPy, for lengths that the interpreter is slow at.

It follows the kernel operation by operation, and a test holds the two to the same bits. With
``fused`` a multiplication and the addition after it are rounded once, as a GPU does it.
"""

import numpy as np

from ltc_kernels import prepare_references
from ltc_kernels.gpu.weights import BLOCK, block_weights

F = np.float32


def group_correlation(losses, references, groups, *, signal, fused):
    """Scores of the fast path, NaN where it has none."""
    prepared = prepare_references(references, signal=signal)
    length = len(losses) - (signal == "difference")
    weights = block_weights(prepared.weights[:, :length])[groups].T
    losses = losses.astype(F)
    absent = -length % BLOCK
    with np.errstate(all="ignore"):
        score, squares, smallest = _sums(losses, weights, absent, signal == "difference", fused)
        return np.where((squares > smallest) & (squares < F(1e36)), score, F(np.nan))


def _fma(a, b, c, fused):
    if fused:
        return (a.astype(np.float64) * np.float64(b) + np.float64(c)).astype(F)
    return a * b + c


def _block(rows, weights, base, rest, differences, fused):
    total = squares = products = np.zeros(rows.shape[1], F)
    for row, weight in zip(rows, weights, strict=True):
        value = (row - base) - rest
        if differences:
            base = row
        total = total + value
        squares = _fma(value, value, squares, fused)
        products = _fma(value, weight, products, fused)
    return total, squares, products, base


def _add(total, lost, part):
    more = part - lost
    new = total + more
    return new, (new - total) - more


def _sums(losses, weights, absent, differences, fused):
    count = F(BLOCK - absent)
    first = losses[0]
    rows = losses[int(differences) :]
    block, rows = rows[: BLOCK - absent], rows[BLOCK - absent :]
    last = block[-1]
    if differences:
        base, rest = first, (last - first) / count
    else:
        sums = np.zeros_like(last)
        for row in block:
            sums = sums + (row - last)
        offset = sums / count
        base = last + offset
        rest = offset - (base - last)
    _, squares, products, base = _block(
        block, weights[absent:BLOCK], base, rest, differences, fused
    )
    lost_squares = lost_products = np.zeros_like(last)
    for begin in range(0, len(rows), BLOCK):
        block = rows[begin : begin + BLOCK]
        reciprocal = F(1) / (count + F(BLOCK))
        before = base
        if differences:
            rest = (base - first) * (F(1) / count)
        some = weights[BLOCK + begin : 2 * BLOCK + begin]
        total, more_squares, more_products, base = _block(
            block, some, base, rest, differences, fused
        )
        if differences:
            moved = (base - before) * F(1 / BLOCK) - rest
        else:
            moved = total * F(1 / BLOCK)
            step = total * reciprocal
            new = base + step
            seen = new - base
            rest = rest + ((base - (new - seen)) + (step - seen))
            base = new
        more_squares = _fma(moved * moved, reciprocal * F(-BLOCK * BLOCK), more_squares, fused)
        squares, lost_squares = _add(squares, lost_squares, more_squares)
        products, lost_products = _add(products, lost_products, more_products)
        count += F(BLOCK)
    smallest = np.full_like(last, 1e-30)
    if differences:
        drift = base - first
        smallest = smallest + drift * drift * ((F(1) / count) * F(2.0**-12))
    return products / np.sqrt(squares), squares, smallest
