"""The definition itself: numbers worked by hand, and two other libraries."""

import numpy as np
import pytest
import scipy.stats

from kernels import cases
from ltc_kernels import reference

NAN = float("nan")

# x, y, signal, correlation; each worked by hand
BY_HAND = {
    "opposite": ([3, 2, 1], [1, 2, 3], "loss", -1.0),
    # deviations -1 0 1 and 0 -1 1: products sum to 1, squares to 2 and 2
    "half": ([1, 2, 3], [2, 1, 3], "loss", 0.5),
    # differences 1 2 3 and 2 1 3: the row above
    "half of differences": ([0, 1, 3, 6], [0, 2, 3, 6], "difference", 0.5),
    "constant": ([1, 1, 1], [1, 2, 3], "loss", NAN),
    "constant reference": ([1, 2, 3], [0.3, 0.3, 0.3], "loss", NAN),
    "constant differences": ([1, 2, 3, 4], [1, 5, 2, 9], "difference", NAN),
    "two values": ([1, 2], [2, 1], "loss", NAN),
    "two differences": ([1, 2, 4], [2, 1, 7], "difference", NAN),
    # without the second checkpoint: the row "half"
    "missing": ([1, NAN, 2, 3], [2, 7, 1, 3], "loss", 0.5),
    "missing on the other side": ([1, 7, 2, 3], [2, NAN, 1, 3], "loss", 0.5),
    "infinite is missing": ([1, float("inf"), 2, 3], [2, 7, 1, 3], "loss", 0.5),
    "two left": ([1, NAN, 2, 3], [2, 7, NAN, 3], "loss", NAN),
    # a gap takes two differences with it: 1 2 3 and 2 1 3 are left
    "a difference needs both ends": ([0, 1, 3, 6, NAN, 9], [0, 2, 3, 6, 1, 1], "difference", 0.5),
    # 2 1 3 remain of y, constant x there although x varies elsewhere
    "constant where both are": ([5, 5, 5, 9], [2, 1, 3, NAN], "loss", NAN),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    x, y, signal, expected = BY_HAND[name]
    losses = np.array(x, dtype=np.float32)[:, None]
    scores = reference.group_correlation(
        losses, np.array([y], dtype=np.float64), np.array([0]), signal=signal
    )
    np.testing.assert_allclose(scores, [expected], atol=1e-7, equal_nan=True)


@pytest.mark.parametrize("change", [None, cases.offset, cases.outlier_first, cases.drift])
@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_scipy_and_numpy_agree(signal, change):
    case = cases.case(41, 50, change=change)
    scores = reference.group_correlation(case.losses, case.references, case.groups, signal=signal)
    for i, group in enumerate(case.groups):
        x, y = case.losses[:, i].astype(np.float64), case.references[group]
        if signal == "difference":
            x, y = np.diff(x), np.diff(y)
        assert scores[i] == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-6)
        assert scores[i] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)


def test_pair_sums_by_hand():
    # the sample is one half aligned with the first, opposite to the second; the third is of another
    # group
    losses = np.array([[1], [2], [3]], dtype=np.float32)
    val = np.array([[2, 3, 1], [1, 2, 2], [3, 1, 3]], dtype=np.float32)
    sums, counts = reference.pair_sums(
        losses, np.array([0]), val, np.array([0, 0, 1]), signal="loss"
    )
    np.testing.assert_allclose(sums, [-0.5])
    np.testing.assert_array_equal(counts, [2])


def test_rounding_noise_is_not_a_signal():
    # 0.1 t has differences that are equal but for the last bits
    steady = np.arange(10) * 0.1
    other = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], dtype=np.float64)
    assert np.ptp(np.diff(steady)) > 0
    assert np.isnan(reference.pearson(other, steady, signal="difference"))
