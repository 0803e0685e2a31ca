"""The comparison helper fails when it should."""

import numpy as np
import pytest

from assertions import assert_scores_close

GOOD = np.linspace(-1, 1, 1000)


def changed(place, value):
    bad = GOOD.copy()
    bad[place] = value
    return bad


@pytest.mark.parametrize(
    "actual",
    [changed(17, GOOD[17] + 2e-5), changed(17, np.nan), GOOD + 3e-6, GOOD[:-1]],
    ids=["one bad element", "one NaN", "a little everywhere", "one too few"],
)
def test_it_fails(actual):
    with pytest.raises(AssertionError):
        assert_scores_close(actual, GOOD)
    with pytest.raises(AssertionError):
        assert_scores_close(GOOD, actual)


def test_it_passes():
    assert_scores_close(GOOD + 1e-6, GOOD)
    assert_scores_close(np.array([np.nan]), np.array([np.nan]))
    assert_scores_close(np.array([]), np.array([]))
