"""Counting on a GPU, and what every kernel there makes of its arguments."""

import numpy as np
import pytest
import torch

from kernels import cases
from ltc_kernels import ArgumentTypeError, ArgumentValueError, count_missing
from ltc_kernels.gpu.missing import BLOCK


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("num_samples", [0, 1, 64, 1000, BLOCK, BLOCK + 1])
def test_missing_losses_are_counted(place, num_samples, dtype):
    losses = cases.trajectories(5, num_samples, dtype=dtype)
    losses[1, ::3] = np.nan
    losses[4, ::4] = np.inf
    losses[0, 1::4] = -np.inf
    expected = np.count_nonzero(~np.isfinite(losses))
    assert count_missing(place(losses), backend="gpu") == expected


@pytest.mark.parametrize("rearrange", [lambda x: x.T, lambda x: x[:, ::2], lambda x: x[::2, 1:]])
def test_any_arrangement_in_memory(place, rearrange):
    losses = cases.trajectories(6, 70)
    losses[::3, ::3] = np.nan
    arranged = rearrange(place(losses))
    expected = np.count_nonzero(np.isnan(rearrange(losses)))
    assert count_missing(arranged, backend="gpu") == expected


def test_a_tile_whose_last_row_ends_with_its_memory(place):
    whole = place(np.zeros((3, 64), np.float16))
    losses = torch.as_strided(whole.clone(), (3, 10), (64, 1), 54)  # ends where the memory does
    assert count_missing(losses, backend="gpu") == 0


def test_bad_arguments(place):
    with pytest.raises(ArgumentValueError, match=r"losses must have shape .* got shape \(3,\)"):
        count_missing(place(np.zeros(3, np.float32)), backend="gpu")
    with pytest.raises(ArgumentTypeError, match="must be float16 or float32, got float64"):
        count_missing(place(np.zeros((3, 4))), backend="gpu")
