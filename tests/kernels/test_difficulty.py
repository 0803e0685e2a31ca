"""Scores of difficulty: the fast kernel, its float64 definition, and loops over plain numbers."""

import math

import naive_difficulty
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assertions import assert_scores_close
from kernels import cases
from ltc_kernels import ArgumentTypeError, ArgumentValueError, difficulty
from ltc_kernels.difficulty_kinds import FORGETTING, KINDS, OF_LOSSES

CERTAIN = (math.log(2), math.log(10))
CHANGES = [
    None,
    cases.offset,
    cases.outlier_first,
    cases.outlier_last,
    cases.early,
    cases.constant_losses,
    cases.missing_in_losses,
    cases.missing_at_the_ends,
    cases.infinite,
    cases.huge,
    cases.tiny,
    cases.identical,
]


def check(losses, *, window=10, kinds=KINDS, certain=CERTAIN):
    """Compare with the definition; a value beyond one by its share."""
    found = difficulty(losses, kinds, window=window, certain=certain)
    expected = difficulty(losses, kinds, window=window, certain=certain, backend="reference")
    assert found.dtype == np.float32
    for kind, values, wanted in zip(kinds, found, expected, strict=True):
        scale = np.fmax(1, np.abs(wanted.astype(np.float64)))
        assert_scores_close(values / scale, wanted / scale, backend="cpu", what=kind)
        if kind in FORGETTING:
            np.testing.assert_array_equal(values, wanted)
    return dict(zip(kinds, found, strict=True))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: getattr(change, "__name__", "plain"))
@pytest.mark.parametrize("num_checkpoints", [5, 41, 90])
def test_awkward_values(dtype, change, num_checkpoints):
    case = cases.case(num_checkpoints, 66, dtype=dtype, change=change)
    check(np.abs(case.losses))


@pytest.mark.parametrize("num_checkpoints", [1, 2, 3, 9, 10, 11, 16, 17, 18, 33, 65, 300])
def test_number_of_checkpoints(num_checkpoints):
    check(cases.trajectories(num_checkpoints, 70))


@pytest.mark.parametrize("num_samples", cases.SAMPLES)
def test_number_of_samples(num_samples):
    assert check(cases.trajectories(12, num_samples))["dual"].shape == (num_samples,)


@pytest.mark.parametrize("window", [2, 3, 16, 17, 18, 90])
def test_windows(window):
    check(cases.trajectories(90, 70), window=window)


@pytest.mark.parametrize("window", [10, 2000])
def test_thousands_of_checkpoints(window):
    losses = cases.trajectories(4096, 3)
    losses[5, 1] = np.nan
    check(losses, window=window)


def test_loops_over_plain_numbers():
    rng = np.random.default_rng(0)
    losses = rng.exponential(1.2, (9, 200)).astype(np.float16)
    losses[rng.random(losses.shape) < 0.1] = np.nan
    losses[:, :3] = np.nan
    losses[2, 1] = 1.0
    for backend in ("cpu", "reference"):
        found = difficulty(losses, KINDS, window=4, certain=CERTAIN, backend=backend)
        for kind, values in zip(KINDS, found, strict=True):
            expected = [
                naive_difficulty.score(kind, column, window=4, bounds=CERTAIN)
                for column in losses.T
            ]
            assert_scores_close(values, expected, what=f"{backend} {kind}")


def test_numbers_worked_by_hand():
    # p = 1/2, 1/4, 1/8, and one sample that is never right.
    losses = np.log(np.array([[2, 20], [4, 30], [8, 40]], np.float64)).astype(np.float32)
    found = dict(zip(KINDS, difficulty(losses, KINDS, window=2, certain=CERTAIN), strict=True))
    np.testing.assert_allclose(found["cumulative-loss"][0], np.log(64), rtol=1e-6)
    np.testing.assert_allclose(found["mean-loss"][0], np.log(4), rtol=1e-6)
    np.testing.assert_allclose(found["final-loss"][0], np.log(8), rtol=1e-6)
    np.testing.assert_allclose(found["confidence"][0], 7 / 24, rtol=1e-6)
    squares = (5 / 24) ** 2 + (1 / 24) ** 2 + (4 / 24) ** 2
    np.testing.assert_allclose(found["variability"][0], np.sqrt(squares / 3), rtol=1e-6)
    spreads = np.array([1 / 4, 1 / 8]) / np.sqrt(2)
    np.testing.assert_allclose(found["dyn-unc"][0], spreads.mean(), rtol=1e-6)
    doubts = np.array([5 / 8, 13 / 16])
    np.testing.assert_allclose(found["dual"][0], (spreads * doubts).mean(), rtol=1e-6)
    assert found["forgetting-least"].tolist() == [0, 3]
    assert found["forgetting-most"].tolist() == [3, 3]


def test_what_is_learned_keeps_its_digits():
    """Where p is within a few float32 steps of 1, what it lacks is still told to the last digit."""
    rng = np.random.default_rng(1)
    losses = (1e-5 * rng.uniform(1, 1.001, (90, 64))).astype(np.float32)
    kinds = ["variability", "dyn-unc", "dual"]
    found = difficulty(losses, kinds)
    expected = difficulty(losses, kinds, backend="reference")
    assert (expected < 1e-8).all()
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_what_is_hopeless_keeps_its_digits():
    losses = np.random.default_rng(1).uniform(20, 80, (90, 64)).astype(np.float32)
    found = difficulty(losses, ["confidence"])
    expected = difficulty(losses, ["confidence"], backend="reference")
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_what_does_not_vary_is_zero():
    losses = np.full((30, 65), 0.3, np.float16)
    found = difficulty(losses, ["variability", "dyn-unc", "dual"])
    assert (found == 0).all()


@pytest.mark.parametrize("shift", range(3))
def test_bits_depend_neither_on_the_tile_nor_on_other_kinds(shift):
    losses = cases.trajectories(33, 500)
    losses[3, ::7] = np.nan
    together = difficulty(losses, KINDS, certain=CERTAIN)
    for row, kind in enumerate(KINDS):
        alone = [
            difficulty(losses[:, begin:end], [kind], certain=CERTAIN)[0]
            for begin, end in [(0, 64 + shift), (64 + shift, 97), (97, 98), (98, 500)]
        ]
        np.testing.assert_array_equal(np.concatenate(alone), together[row], err_msg=kind)


def test_a_negative_loss_has_no_probability():
    losses = cases.trajectories(12, 70)
    losses[3, 5] = -0.5
    losses[4, 6] = -0.0
    losses[[2, 3], 7] = [np.nan, -0.5]
    found = check(losses)
    for kind in KINDS:
        undefined = np.flatnonzero(np.isnan(found[kind])).tolist()
        assert undefined == ([] if kind in OF_LOSSES else [5, 7]), kind
    assert found["least-loss"][[5, 7]].tolist() == [-0.5, -0.5]


LOSSES = st.sampled_from([0.1, 0.5, 0.6875, 0.7, 1.0, 2.25, 2.3, 2.3125, 3.0, 8.0, math.nan])


@given(st.lists(LOSSES, min_size=2, max_size=9))
def test_forgetting_bounds_are_those_of_all_ways_to_settle(trajectory):
    losses = np.array(trajectory, np.float16)[:, None]
    seen = [float(loss) for loss in losses[:, 0] if np.isfinite(loss)]
    found = difficulty(losses, FORGETTING, certain=CERTAIN)[:, 0]
    if len(seen) < 2:
        assert np.isnan(found).all()
        return
    counts = naive_difficulty.forgetting_counts(seen, CERTAIN)
    assert found.tolist() == [min(counts), max(counts)]


@given(st.lists(LOSSES, min_size=2, max_size=9), st.floats(0.1, 2), st.floats(0, 3))
def test_forgetting_bounds_in_float32(trajectory, right, more):
    losses = np.array(trajectory, np.float32)[:, None]
    check(losses, kinds=FORGETTING, certain=(right, right + more))


def test_bounds_are_not_rounded_across_a_float32():
    step = np.float32(0.7)
    losses = np.array([[step, step], [3, 3]], np.float32)
    for right in (float(step), math.nextafter(float(step), 1), math.nextafter(float(step), 0)):
        check(losses, kinds=FORGETTING, certain=(right, 2.9))
    for wrong in (3.0, math.nextafter(3, 4), math.nextafter(3, 0)):
        check(losses, kinds=FORGETTING, certain=(0.5, wrong))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"kinds": ["el2n"]}, ArgumentValueError, "kinds must be of cumulative-loss, .*'el2n'"),
        ({"kinds": ["dual"], "window": 1}, ArgumentValueError, "window must be at least 2, got 1"),
        ({"kinds": ["dual"], "window": 2.5}, ArgumentTypeError, "window must be an integer"),
        ({"kinds": ["dual"], "window": True}, ArgumentTypeError, "window must be an integer"),
        ({"kinds": FORGETTING}, ArgumentTypeError, "certain must be a pair of losses"),
        (
            {"kinds": FORGETTING, "certain": (2.0, 1.0)},
            ArgumentValueError,
            "certain must be two losses in ascending order",
        ),
        ({"kinds": ["dual"], "backend": "gpu"}, ArgumentValueError, "auto, reference, cpu"),
    ],
)
def test_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        difficulty(np.ones((3, 4), np.float16), **arguments)
