"""What holds of a correlation whatever the losses are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assertions import assert_scores_close
from kernels import cases
from ltc_kernels import group_correlation

problems = st.builds(
    cases.case,
    num_checkpoints=st.integers(5, 40),
    num_samples=st.integers(1, 150),
    num_groups=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.just(np.float32),
    change=st.sampled_from([None, cases.missing_in_losses, cases.constant_losses]),
)
signals = st.sampled_from(cases.SIGNALS)


def scores(case, signal, losses=None):
    losses = case.losses if losses is None else losses
    return group_correlation(losses, case.references, case.groups, signal=signal)


@given(problems, signals)
def test_range(case, signal):
    values = scores(case, signal)
    assert (np.abs(values[~np.isnan(values)]) <= 1 + 1e-6).all()


@given(problems, signals, st.integers(-64, 64), st.integers(-6, 6))
def test_shift_and_positive_scale_change_nothing(case, signal, shift, power):
    # On a grid that float32 holds, a shift changes nothing else about a trajectory.
    losses = np.round(case.losses * 256) / 256
    plain = scores(case, signal, losses)
    scaled = np.float32(2.0**power) * (losses + np.float32(shift))
    assert_scores_close(scores(case, signal, scaled), plain, backend="cpu")


@given(problems, signals)
def test_negation_changes_the_sign(case, signal):
    np.testing.assert_array_equal(scores(case, signal, -case.losses), -scores(case, signal))


@given(problems, signals, st.randoms(use_true_random=False))
def test_order_of_samples_does_not_matter(case, signal, random):
    order = list(range(len(case.groups)))
    random.shuffle(order)
    moved = group_correlation(
        case.losses[:, order], case.references, case.groups[order], signal=signal
    )
    np.testing.assert_array_equal(moved, scores(case, signal)[order])


@given(problems, signals)
def test_a_trajectory_is_aligned_with_itself(case, signal):
    losses = case.losses[:, :1]
    itself = group_correlation(losses, losses.T.astype(np.float64), np.zeros(1, int), signal=signal)
    assert np.isnan(itself[0]) or abs(itself[0] - 1) <= 1e-6
