"""The arithmetic of the product of pairs on tensor cores, in a model: the contract holds.

Triton's interpreter multiplies in float32, so what tensor cores do is shown here: operands are
rounded to float16, products are exact, and a few at a time are added to the accumulator by cutting
off what lies below the last place of the largest, then cutting the sum to 24 bits (Fasi, Higham,
Mikaitis and Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021). How many at a time, and
how many places more are kept, is (4, 0) on V100, (8, 1) on A100 and (16, 2) since H100 (Khattak and
Mikaitis, arXiv 2512.07004). Where nothing is published the worst of them stands for it.
"""

import numpy as np
import pytest

from assertions import TOLERANCES, assert_scores_close
from kernels import cases
from ltc_kernels.algebra import unit_signals
from ltc_kernels.reference import pair_correlation

pytest.importorskip("triton")

from ltc_kernels.gpu.pairs_plan import BLOCK_TERMS, SPAN
from ltc_kernels.gpu.pairs_queries import SCALE_EXPONENT
from ltc_kernels.gpu.pairs_terms import LARGEST_EXPONENT

UNITS = {"the worst": (4, 0), "A100": (8, 1), "H100": (16, 2)}
HOSTILE = [cases.offset, cases.outlier_first, cases.outlier_last, cases.drift, cases.early]


def cut(values, places):
    """Values without what is below the last of ``places`` places, by their own sizes."""
    unit = np.ldexp(1.0, np.frexp(values)[1] - places)
    return np.trunc(values / unit) * unit


def multiply(accumulator, weights, losses, unit):
    """``accumulator`` [M, N] plus ``weights`` [M, K] times ``losses`` [K, N], on tensor cores."""
    at_once, more = unit
    weights, losses = weights.astype(np.float64), losses.astype(np.float64)
    for k in range(0, len(losses), at_once):
        some = slice(k, k + at_once)
        products = weights[:, some].T[:, :, None] * losses[some, None, :]
        terms = np.concatenate([accumulator[None], products])
        place = np.ldexp(1.0, np.frexp(np.abs(terms).max(axis=0))[1] - 24 - more)
        accumulator = cut((np.trunc(terms / place) * place).sum(axis=0), 24)
    return accumulator


def parts(values):
    """High and low part in float16."""
    high = values.astype(np.float16)
    return high, (values - high).astype(np.float16)


def centred(losses, signal):
    """What the kernels make of losses [T, N] in float32, and scale."""
    losses = losses.astype(np.float32)
    terms = np.diff(losses, axis=0) if signal == "difference" else losses - losses[-1]
    mean = terms.sum(axis=0, dtype=np.float32) / np.float32(len(terms))
    spread = np.abs(terms - mean).max(axis=0)
    return (terms - mean) * np.ldexp(np.float32(1), LARGEST_EXPONENT + 1 - np.frexp(spread)[1])


def correlate(train, val, signal, unit, *, split=True, block=BLOCK_TERMS):
    """Correlations [M, N] by the steps of `ltc_kernels.gpu.pairs_product`."""
    z = centred(train, signal)
    units, _ = unit_signals(np.ascontiguousarray(val.T, dtype=np.float64), signal=signal)
    (z_high, z_low), (w_high, w_low) = parts(z), parts(units * 2.0**SCALE_EXPONENT)
    products = np.zeros((len(units), z.shape[1]), dtype=np.float32)
    squares = np.zeros(z.shape[1], dtype=np.float32)
    lost = np.zeros_like(squares)
    for begin in range(0, len(z), SPAN * block):
        span_products = np.zeros_like(products)
        span_squares = np.zeros((block, z.shape[1]), dtype=np.float32)
        for first in range(begin, min(begin + SPAN * block, len(z)), block):
            some = slice(first, first + block)
            span_squares[: len(z[some])] += np.square(z[some])
            part = np.zeros(products.shape)
            if split:
                part = multiply(part, w_high[:, some], z_low[some], unit)
                part = multiply(part, w_low[:, some], z_high[some], unit)
            part = multiply(part, w_high[:, some], z_high[some], unit)
            span_products += part.astype(np.float32)
        products += span_products
        more = span_squares.sum(axis=0, dtype=np.float32) - lost
        sums = squares + more
        lost = (sums - squares) - more
        squares = sums
    return products * (np.float32(2.0**-SCALE_EXPONENT) / np.sqrt(squares))


def errors(num_checkpoints, change, signal, dtype, unit, **others):
    size = (40, 20) if num_checkpoints < 1000 else (12, 7)
    case = cases.case(num_checkpoints, size[0], num_groups=size[1], dtype=dtype, change=change)
    val = case.references.T.astype(dtype)
    expected = pair_correlation(case.losses, val, signal=signal)
    return correlate(case.losses, val, signal, unit, **others), expected


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("change", [None, *HOSTILE])
def test_the_contract_holds(unit, signal, change):
    for dtype in (np.float16, np.float32):
        for num_checkpoints in (90, 257):
            assert_scores_close(*errors(num_checkpoints, change, signal, dtype, unit))


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("change", HOSTILE)
def test_the_contract_holds_at_4096_checkpoints(unit, signal, change):
    assert_scores_close(*errors(4096, change, signal, np.float32, unit))


def test_operands_in_one_part_would_break_it():
    actual, expected = errors(90, None, "loss", np.float32, UNITS["H100"], split=False)
    assert np.abs(actual - expected).max() > 10 * TOLERANCES["contract"][0]


def test_one_accumulator_for_all_terms_would_break_it():
    actual, expected = errors(4096, cases.early, "loss", np.float32, UNITS["H100"], block=4096)
    assert np.abs(actual - expected).max() > 5 * TOLERANCES["contract"][0]


def test_tensor_cores_cut_off_towards_zero():
    one, small = np.ones((1, 1)), np.full((1, 1), 0.99 * 2.0**-23)
    for sign in (1, -1):
        assert multiply(sign * one, sign * small, one, UNITS["the worst"]) == sign
        assert multiply(sign * one, one, sign * one, UNITS["the worst"]) == 2 * sign
