"""Sums over pairs against their float64 definition."""

import numpy as np
import pytest

from assertions import assert_scores_close
from kernels import cases
from ltc_kernels import ArgumentValueError, pair_sums, prepare_pairs


def gaps_in_val(val):
    val[3, 1::5] = np.nan
    val[:, 2] = np.nan
    val[:, 4] = 0.5


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_groups", [1, 5])
@pytest.mark.parametrize(
    "change", [None, cases.missing_in_losses, cases.constant_losses, cases.offset, cases.drift]
)
@pytest.mark.parametrize("with_gaps", [False, True])
def test_pair_sums(signal, num_groups, change, with_gaps):
    case = cases.case(30, 90, num_groups=num_groups, change=change)
    val = cases.trajectories(30, 23, seed=9)
    if with_gaps:
        gaps_in_val(val)
    val_groups = np.random.default_rng(3).integers(0, num_groups, 23)
    pairs = prepare_pairs(val, val_groups, num_groups, signal=signal)
    sums, counts = pair_sums(case.losses, pairs, case.groups)
    expected_sums, expected_counts = pair_sums(case.losses, pairs, case.groups, backend="reference")
    np.testing.assert_array_equal(counts, expected_counts)
    defined = counts > 0
    assert_scores_close(
        sums[defined] / counts[defined], expected_sums[defined] / counts[defined], backend="cpu"
    )
    assert not sums[~defined].any()


def test_a_group_without_validation_samples_has_no_pairs():
    case = cases.case(10, 20, num_groups=3)
    pairs = prepare_pairs(cases.trajectories(10, 4), np.array([0, 0, 1, 1]), 3, signal="loss")
    _, counts = pair_sums(case.losses, pairs, case.groups)
    np.testing.assert_array_equal(counts, np.where(case.groups == 2, 0, 2))


def test_pairs_of_other_length_are_refused():
    pairs = prepare_pairs(cases.trajectories(10, 4), np.zeros(4, int), 1, signal="loss")
    with pytest.raises(ArgumentValueError, match="as many checkpoints as losses, 9, got 10"):
        pair_sums(cases.trajectories(9, 3), pairs, np.zeros(3, int))
