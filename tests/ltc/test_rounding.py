"""The one rule by which a loss becomes a stored float16."""

import numpy as np
import pytest

from ltc.errors import ArgumentTypeError
from ltc.store.rounding import to_stored

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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
@pytest.mark.parametrize(("loss", "expected", "clipped", "nonfinite"), CASES)
def test_each_case(loss, expected, clipped, nonfinite, dtype):
    stored, *counts = to_stored(np.array([1.0, loss], dtype))
    assert stored.dtype == np.float16
    np.testing.assert_array_equal(stored, np.array([1.0, expected], np.float16))
    assert np.signbit(stored[1]) == np.signbit(np.float16(expected))
    assert counts == [clipped, nonfinite]


def test_counts_over_all_samples():
    values = [case[0] for case in CASES]
    stored, clipped, nonfinite = to_stored(np.array(values))
    assert (clipped, nonfinite) == (sum(c[2] for c in CASES), sum(c[3] for c in CASES))
    np.testing.assert_array_equal(stored, np.array([case[1] for case in CASES], np.float16))


def test_a_double_beyond_single_precision_is_finite_all_the_same():
    stored, clipped, nonfinite = to_stored(np.array([1e300]))
    assert (stored[0], clipped, nonfinite) == (65504, 1, 0)


def test_rounds_as_numpy_does_everywhere_else():
    values = np.random.default_rng(0).normal(scale=2000, size=10_000)
    stored, clipped, nonfinite = to_stored(values)
    np.testing.assert_array_equal(stored, values.astype(np.float16))
    assert (clipped, nonfinite) == (0, 0)


def test_every_float16_stays_as_it_is():
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    stored, clipped, nonfinite = to_stored(values)
    finite = np.isfinite(values)
    np.testing.assert_array_equal(stored[finite], values[finite])
    assert np.isnan(stored[~finite]).all()
    assert (clipped, nonfinite) == (0, np.count_nonzero(~finite))


def test_the_input_is_not_changed_and_not_shared():
    values = np.array([[1.0, np.inf], [2.0, 3.0]], np.float16)
    kept = values.copy()
    stored, _, _ = to_stored(values[:, ::-1])
    stored[:] = 0
    np.testing.assert_array_equal(values, kept)


def test_no_samples():
    stored, clipped, nonfinite = to_stored(np.empty(0, np.float32))
    assert (stored.size, clipped, nonfinite) == (0, 0, 0)


@pytest.mark.parametrize("dtype", [np.int64, bool, np.complex64, object])
def test_other_types_are_refused(dtype):
    with pytest.raises(ArgumentTypeError, match="losses must be float16, float32 or float64, got"):
        to_stored(np.ones(3, dtype))
