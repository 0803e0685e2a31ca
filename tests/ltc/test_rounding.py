"""The one rule by which a loss becomes a stored float16, in each of its three forms."""

import functools

import numpy as np
import pytest

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.store.rounding import to_stored
from ltc_kernels import round_losses

FORMS = {
    "recording": to_stored,
    "compiled": round_losses,
    "definition": functools.partial(round_losses, backend="reference"),
}

CASES = [
    # loss, what is stored, clipped, nonfinite
    (0.5, 0.5, 0, 0),
    (-0.0, -0.0, 0, 0),
    (1e-30, 0.0, 0, 0),
    (65504.0, 65504.0, 0, 0),
    (65505.0, 65504.0, 1, 0),  # rounds to 65504 without an infinity on the way
    (65519.9, 65504.0, 1, 0),
    (65520.0, 65504.0, 1, 0),
    (3e38, 65504.0, 1, 0),
    (-3e38, -65504.0, 1, 0),
    (np.inf, np.nan, 0, 1),
    (-np.inf, np.nan, 0, 1),
    (np.nan, np.nan, 0, 1),
]


@pytest.fixture(params=FORMS)
def rounded(request):
    return FORMS[request.param]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
@pytest.mark.parametrize(("loss", "expected", "clipped", "nonfinite"), CASES)
def test_each_case(rounded, loss, expected, clipped, nonfinite, dtype):
    stored, *counts = rounded(np.array([1.0, loss], dtype))
    assert stored.dtype == np.float16
    np.testing.assert_array_equal(stored, np.array([1.0, expected], np.float16))
    assert np.signbit(stored[1]) == np.signbit(np.float16(expected))
    assert counts == [clipped, nonfinite]


def test_counts_over_all_samples(rounded):
    values = [case[0] for case in CASES]
    stored, clipped, nonfinite = rounded(np.array(values))
    assert (clipped, nonfinite) == (sum(c[2] for c in CASES), sum(c[3] for c in CASES))
    np.testing.assert_array_equal(stored, np.array([case[1] for case in CASES], np.float16))


def test_a_double_beyond_single_precision_is_finite_all_the_same(rounded):
    stored, clipped, nonfinite = rounded(np.array([1e300]))
    assert (stored[0], clipped, nonfinite) == (65504, 1, 0)


def test_rounds_as_numpy_does_everywhere_else(rounded):
    values = np.random.default_rng(0).normal(scale=2000, size=10_000)
    stored, clipped, nonfinite = rounded(values)
    np.testing.assert_array_equal(stored, values.astype(np.float16))
    assert (clipped, nonfinite) == (0, 0)


def test_every_float16_stays_as_it_is(rounded):
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    stored, clipped, nonfinite = rounded(values)
    finite = np.isfinite(values)
    np.testing.assert_array_equal(stored[finite], values[finite])
    assert np.isnan(stored[~finite]).all()
    assert (clipped, nonfinite) == (0, np.count_nonzero(~finite))


def test_the_input_is_not_changed_and_not_shared(rounded):
    values = np.array([[1.0, np.inf], [2.0, 3.0]], np.float16)
    kept = values.copy()
    stored, _, _ = rounded(values[:, ::-1])
    stored[:] = 0
    np.testing.assert_array_equal(values, kept)


def test_no_samples(rounded):
    stored, clipped, nonfinite = rounded(np.empty(0, np.float32))
    assert (stored.size, clipped, nonfinite) == (0, 0, 0)


@pytest.mark.parametrize("dtype", [np.int64, bool, np.complex64, object])
def test_other_types_are_refused(rounded, dtype):
    with pytest.raises(ArgumentTypeError, match="losses must be float16, float32 or float64, got"):
        rounded(np.ones(3, dtype))


@pytest.mark.parametrize(("dtype", "bits"), [(np.float32, np.uint32), (np.float64, np.uint64)])
def test_any_bits_in_several_tasks(rounded, dtype, bits):
    """Numbers of every size, subnormal ones and NaN of every kind among them."""
    rng = np.random.default_rng(0)
    anything = rng.integers(0, np.iinfo(bits).max, 150_001, dtype=bits).view(dtype)
    nearby = rng.standard_normal(150_001) * 10.0 ** rng.uniform(-9, 6, 150_001)
    steps = 2.0**-25 * np.arange(5000)  # halfway between two subnormal numbers, and on them
    values = np.concatenate([anything, nearby.astype(dtype), steps.astype(dtype)])
    stored, clipped, nonfinite = rounded(values)
    finite = np.isfinite(values)
    with np.errstate(over="ignore", under="ignore"):
        expected = values[finite].clip(-65504, 65504).astype(np.float16)
    np.testing.assert_array_equal(stored[finite].view(np.uint16), expected.view(np.uint16))
    assert np.isnan(stored[~finite]).all()
    assert clipped == np.count_nonzero(np.abs(values[finite]) > 65504)
    assert nonfinite == np.count_nonzero(~finite)


def test_unknown_backends_are_refused():
    with pytest.raises(ArgumentValueError, match="backend must be one of auto, reference, cpu"):
        round_losses(np.ones(3), backend="gpu")
