"""Bootstrap intervals, against those of scipy from the same resamples."""

from inspect import signature

import numpy as np
import pytest
import scipy.stats

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.evaluation import bootstrap_interval, intervals, paired_difference

# Its name since scipy 1.15, and before.
GENERATOR = "rng" if "rng" in signature(scipy.stats.bootstrap).parameters else "random_state"


def values(*shape):
    return np.random.default_rng(3).exponential(size=shape)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("name", ["mean", "median"])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_intervals_are_those_of_scipy(method, name, level):
    repeated = values(9, 4)
    found = bootstrap_interval(
        repeated, level=level, statistic=name, method=method, resamples=999, seed=7
    )
    expected = scipy.stats.bootstrap(
        (repeated,),
        getattr(np, name),
        n_resamples=999,
        axis=0,
        confidence_level=level,
        method=method,
        **{GENERATOR: np.random.default_rng(7)},
    ).confidence_interval
    np.testing.assert_allclose(found.low, expected.low, rtol=1e-12)
    np.testing.assert_allclose(found.high, expected.high, rtol=1e-12)
    np.testing.assert_allclose(found.estimate, getattr(np, name)(repeated, axis=0))
    assert found.level == level
    assert found.low.shape == (4,)


def test_the_corrected_interval_is_another():
    plain, corrected = (bootstrap_interval(values(12), method=m) for m in ("percentile", "bca"))
    assert abs(plain.high - corrected.high) > 0.05


def test_a_statistic_of_ones_own():
    def spread(drawn, *, axis):
        return drawn.std(axis=axis)

    found = bootstrap_interval(values(6, 2, 3), statistic=spread, resamples=200)
    np.testing.assert_allclose(found.estimate, values(6, 2, 3).std(axis=0))
    assert found.low.shape == (2, 3)
    assert (found.low < found.estimate).all()
    assert (found.estimate < found.high).all()


def test_cells_are_resampled_alike_and_in_blocks(monkeypatch):
    """A cell's interval doesn't depend on the others, nor on how much is drawn at a time."""
    whole = bootstrap_interval(values(5, 2, 3), resamples=101)
    alone = bootstrap_interval(values(5, 2, 3)[:, 1, 2], resamples=101)
    assert (alone.low, alone.high) == (whole.low[1, 2], whole.high[1, 2])
    monkeypatch.setattr(intervals, "_BLOCK", 70)
    narrow = bootstrap_interval(values(5, 2, 3), resamples=101)
    np.testing.assert_array_equal(narrow.low, whole.low)
    np.testing.assert_array_equal(narrow.high, whole.high)


def test_the_seed_decides():
    first, again, other = (bootstrap_interval(values(8), resamples=50, seed=s) for s in (0, 0, 1))
    assert first.low == again.low != other.low


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_repetitions_that_tell_nothing(method):
    equal = bootstrap_interval([0.25] * 5, method=method, resamples=50)
    assert (equal.estimate, equal.low, equal.high) == (0.25, 0.25, 0.25)
    one = bootstrap_interval([[0.5, 0.6]], method=method, resamples=50)
    assert one.estimate.tolist() == [0.5, 0.6]
    assert np.isnan([one.low, one.high]).all()
    gap = values(40, 2)
    gap[0, 1] = np.nan
    found = bootstrap_interval(gap, method=method, resamples=50)
    assert np.isnan([found.estimate, found.low, found.high]).tolist() == [[False, True]] * 3


def test_paired_difference_cancels_what_is_common():
    common, noise = 10 * values(6, 1), 0.01 * values(6, 2)
    ours, baseline = common + noise + 0.1, common + np.zeros(2)
    found = paired_difference(ours, baseline, resamples=200, seed=4)
    expected = bootstrap_interval(noise + 0.1, resamples=200, seed=4)
    for name in ("estimate", "low", "high"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-13)
    assert (found.low > 0).all()
    apart = bootstrap_interval(ours)
    assert (apart.low < baseline.mean(0)).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"level": 95}, ArgumentTypeError, "level must be a float, got 95"),
        ({"level": 1.0}, ArgumentValueError, "level must be above 0 and below 1, got 1.0"),
        ({"statistic": "mode"}, ArgumentValueError, "statistic must be 'mean', 'median' or call"),
        ({"method": "basic"}, ArgumentValueError, "method must be one of 'percentile', 'bca', got"),
        ({"resamples": 0}, ArgumentValueError, "resamples must be at least 1, got 0"),
        ({"resamples": 1.5}, ArgumentTypeError, "resamples must be an integer, got 1.5"),
        ({"seed": -1}, ArgumentValueError, "seed must be at least 0, got -1"),
        (
            {"statistic": lambda drawn, axis: drawn},  # noqa: ARG005
            ArgumentValueError,
            r"statistic must take one axis away: of \(3,\) it must return \(\), got \(3,\)",
        ),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        bootstrap_interval([1.0, 2.0, 3.0], **arguments)
    if "statistic" not in arguments:
        with pytest.raises(error, match=message):
            paired_difference([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], **arguments)


def test_wrong_arrays():
    with pytest.raises(ArgumentValueError, match=r"at least one repetition .* shape \(0, 3\)"):
        bootstrap_interval(np.ones((0, 3)))
    with pytest.raises(ArgumentValueError, match=r"at least one repetition .* shape \(\)"):
        bootstrap_interval(3.0)
    with pytest.raises(ArgumentTypeError, match="values must be real numbers, got <U1"):
        bootstrap_interval(["x"])
    with pytest.raises(ArgumentValueError, match="values must be an array: "):
        bootstrap_interval([[1.0, 2.0], [3.0]])
    with pytest.raises(
        ArgumentValueError, match=r"baseline must have the shape of values, \(2,\), got \(1,\)"
    ):
        paired_difference([1, 2], [1])
