"""Sums per group: what the definition says, to the last bit, however the samples are divided."""

import numpy as np
import pytest

from kernels import cases
from ltc_kernels import ArgumentTypeError, ArgumentValueError, add_group_sums

NUM_GROUPS = 7


def empty(num_checkpoints):
    shape = (num_checkpoints, NUM_GROUPS)
    return np.zeros(shape), np.zeros(shape, dtype=np.int64)


def example(num_samples, dtype):
    """Losses with every kind of missing value, and groups of which the last has no sample."""
    rng = np.random.default_rng(num_samples)
    losses = cases.trajectories(5, num_samples, dtype=dtype)
    losses[rng.random(losses.shape) < 0.1] = np.nan
    losses[rng.random(losses.shape) < 0.02] = np.inf
    losses[rng.random(losses.shape) < 0.02] = -np.inf
    return losses, rng.integers(NUM_GROUPS - 1, size=num_samples)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("num_samples", [0, 1, 3, 1000])
def test_the_definition(dtype, num_samples):
    losses, groups = example(num_samples, dtype)
    found, expected = empty(5), empty(5)
    add_group_sums(losses, groups, *found)
    add_group_sums(losses, groups, *expected, backend="reference")
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert found[1].sum() == np.count_nonzero(~np.isfinite(losses))
    assert (found[0][:, -1] == 0).all()


def test_every_float16_is_the_number_that_it_is():
    bits = np.arange(2**16, dtype=np.uint16)
    values = bits.view(np.float16)[None]
    sums, missing = np.zeros((1, 2**16)), np.zeros((1, 2**16), dtype=np.int64)
    add_group_sums(values, bits.astype(np.int32), sums, missing)
    finite = np.isfinite(values)
    np.testing.assert_array_equal(sums, np.where(finite, values, 0).astype(np.float64))
    np.testing.assert_array_equal(missing, ~finite)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_calls_for_parts_give_the_same_bits(dtype):
    losses, groups = example(1000, dtype)
    whole, parts = empty(5), empty(5)
    add_group_sums(losses, groups, *whole)
    for begin, end in ((0, 1), (1, 333), (333, 1000)):
        add_group_sums(losses[:, begin:end], groups[begin:end], *parts)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"groups": [0, NUM_GROUPS]}, ArgumentValueError, r"groups must lie in 0\.\.6, got 7"),
        ({"groups": [0]}, ArgumentValueError, r"groups must have shape \(2,\)"),
        ({"sums": np.zeros((4, NUM_GROUPS))}, ArgumentValueError, "sums .* with 5 checkpoints"),
        ({"sums": np.zeros((5, 3))}, ArgumentValueError, "missing must .* as many groups as sums"),
        (
            {"missing": np.zeros((5, NUM_GROUPS))},
            ArgumentTypeError,
            "missing must be int64, got",
        ),
        ({"sums": np.zeros((NUM_GROUPS, 5)).T}, ArgumentValueError, "sums must be contiguous and"),
        ({"losses": np.zeros((5, 2), int)}, ArgumentTypeError, "losses must be float16 or float32"),
        ({"backend": "gpu2"}, ArgumentValueError, "backend must be one of"),
    ],
)
def test_bad_arguments(change, error, message):
    sums, missing = empty(5)
    arguments = {"losses": np.zeros((5, 2), np.float16), "groups": [0, 1]}
    with pytest.raises(error, match=message):
        add_group_sums(**{**arguments, "sums": sums, "missing": missing, **change})
