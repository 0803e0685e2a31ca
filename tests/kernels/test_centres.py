"""The nearest centre: what the definition says, wherever two aren't equally near."""

import numpy as np
import pytest

from kernels import cases
from ltc_kernels import ArgumentTypeError, ArgumentValueError, nearest_centres

GROUPS = 4


def example(num_checkpoints, num_samples, num_centres, *, gaps=True, dtype=np.float32):
    """Values with gaps; the last group has no centre, the first one fewer than the others."""
    rng = np.random.default_rng(num_samples)
    values = cases.trajectories(num_checkpoints, num_samples, dtype=dtype)
    if gaps:
        values[rng.random(values.shape) < 0.2] = np.nan
        values[rng.random(values.shape) < 0.02] = np.inf
        values[:, ::50] = np.nan
    centres = cases.trajectories(num_checkpoints, GROUPS * num_centres, seed=1, dtype=np.float32)
    centres = centres.T.reshape(GROUPS, num_centres, num_checkpoints).copy()
    centres[-1] = np.nan
    centres[0, 1:2] = np.nan
    return values, centres, rng.integers(GROUPS, size=num_samples)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("num_centres", [1, 2, 15, 17, 40])
@pytest.mark.parametrize(("num_checkpoints", "num_samples"), [(1, 3), (5, 0), (12, 500), (90, 64)])
def test_the_definition(num_checkpoints, num_samples, num_centres, gaps, dtype):
    arguments = example(num_checkpoints, num_samples, num_centres, gaps=gaps, dtype=dtype)
    nearest, squares = nearest_centres(*arguments)
    expected, least = nearest_centres(*arguments, backend="reference")
    assert nearest.dtype == np.int32
    np.testing.assert_array_equal(np.isnan(squares), expected == -1)
    np.testing.assert_allclose(squares, least, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(nearest == -1, expected == -1)
    # Where another one was found, it is as near, but for the rounding of float32.
    values, centres, groups = arguments
    other = np.flatnonzero(nearest != expected)
    assert other.size <= 0.01 * num_samples
    for i in other:
        gap = values[:, i].astype(np.float64) - centres[groups[i], nearest[i]]
        assert np.nansum(np.square(gap[np.isfinite(gap)])) == pytest.approx(least[i], rel=1e-5)


def test_by_hand():
    nan = np.nan
    values = np.array([[0, 1, 5, nan, nan], [0, nan, 5, nan, 2]], np.float32)
    centres = np.array([[[nan, nan], [0, 1], [3, 3], [3, 3]], [[nan, nan]] * 4], np.float32)
    for backend in ("cpu", "reference"):
        nearest, squares = nearest_centres(values, centres, [0, 0, 0, 0, 1], backend=backend)
        # The lower of two that are the same; of nothing observed, the first that there is.
        assert nearest.tolist() == [1, 1, 2, 1, -1]
        np.testing.assert_array_equal(squares, np.array([1, 1, 8, 0, nan], np.float32))


def test_parts_give_the_same_bits():
    values, centres, groups = example(12, 20_000, 7)
    whole = nearest_centres(values, centres, groups)
    for begin, end in ((0, 1), (1, 4097), (4097, 20_000)):
        part = nearest_centres(values[:, begin:end], centres, groups[begin:end])
        for a, b in zip(part, whole, strict=True):
            np.testing.assert_array_equal(a, b[begin:end])


@pytest.mark.parametrize("num_samples", [5, 63, 64, 65, 700])
def test_the_order_of_samples_changes_no_bit(num_samples):
    values, centres, groups = example(12, num_samples, 5)
    found = nearest_centres(values, centres, groups)
    order = np.argsort(groups, kind="stable")
    sorted_ones = nearest_centres(np.asfortranarray(values[:, order]), centres, groups[order])
    for a, b in zip(sorted_ones, found, strict=True):
        np.testing.assert_array_equal(a, b[order])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"groups": [0, 2]}, ArgumentValueError, r"groups must lie in 0\.\.1, got 2"),
        ({"groups": [0]}, ArgumentValueError, r"groups must have shape \(2,\)"),
        ({"values": np.zeros((5, 2), int)}, ArgumentTypeError, "values must be float16 or float32"),
        ({"values": np.zeros((0, 2), np.float32)}, ArgumentValueError, "and at least one, got"),
        ({"centres": np.zeros((2, 3, 5))}, ArgumentTypeError, "a float32 array, got float64"),
        ({"centres": [[[0.0] * 5]]}, ArgumentTypeError, "a float32 array, got list"),
        ({"centres": np.zeros((2, 5), np.float32)}, ArgumentValueError, "centres .* 5 checkpoints"),
        (
            {"centres": np.array([[[0, 0, 0, 0, 0]], [[0, np.nan, 0, 0, 0]]], np.float32)},
            ArgumentValueError,
            "finite or NaN as a whole, got one finite in part: 0 of group 1",
        ),
        ({"backend": "gpu"}, ArgumentValueError, "backend must be one of auto, reference, cpu"),
    ],
)
def test_bad_arguments(change, error, message):
    arguments = {
        "values": np.zeros((5, 2), np.float16),
        "centres": np.zeros((2, 3, 5), np.float32),
        "groups": [0, 1],
    }
    with pytest.raises(error, match=message):
        nearest_centres(**{**arguments, **change})
