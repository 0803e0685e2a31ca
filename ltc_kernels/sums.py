"""Sums of losses per group, which mean references are made of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltc_kernels import reference as float64_reference
from ltc_kernels.backends import choose
from ltc_kernels.checks import check_groups, check_losses
from ltc_kernels.errors import ArgumentTypeError, ArgumentValueError


def add_group_sums(
    losses: NDArray[Any],
    groups: NDArray[Any],
    sums: NDArray[np.float64],
    missing: NDArray[np.int64],
    *,
    backend: str = "auto",
) -> None:
    """Add the losses of each group at each checkpoint to sums, and count those that are missing.

    One sample is added after the other, in float64: samples that are given in several calls make
    the same sums, to the last bit, as in one.

    Parameters
    ----------
    losses : ndarray of float16 or float32, shape (T, N)
        Trajectories; not finite means missing.
    groups : ndarray of integers, shape (N,)
        Group of each sample, 0..C-1.
    sums : ndarray of float64, shape (T, C)
        Added to, in place.
    missing : ndarray of int64, shape (T, C)
        Added to, in place.
    backend : {"auto", "reference", "cpu"}
        ``"reference"`` is the definition in float64 NumPy.

    Raises
    ------
    ArgumentValueError
        A shape or a group that doesn't fit, or an unknown backend.
    ArgumentTypeError
        Another dtype.

    Examples
    --------
    >>> sums, missing = np.zeros((2, 2)), np.zeros((2, 2), dtype=np.int64)
    >>> losses = np.array([[1, 2, 4], [8, np.nan, 16]], dtype=np.float16)
    >>> add_group_sums(losses, np.array([0, 1, 0]), sums, missing)
    >>> sums, missing
    (array([[ 5.,  2.], [24.,  0.]]), array([[0, 0], [0, 1]]))
    """
    implementation = choose(backend, losses, served=("reference", "cpu"))
    train = check_losses("losses", losses)
    for name, array, dtype in (("sums", sums, np.float64), ("missing", missing, np.int64)):
        if array.dtype != dtype:
            raise ArgumentTypeError(f"{name} must be {np.dtype(dtype)}, got {array.dtype}")
        if array.shape != (len(train), *sums.shape[1:]) or array.ndim != 2:
            raise ArgumentValueError(
                f"{name} must have shape [checkpoint, group] with {len(train)} checkpoints, as "
                f"losses have, and as many groups as sums, got shape {array.shape}"
            )
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise ArgumentValueError(f"{name} must be contiguous and writeable")
    group = check_groups("groups", groups, train.shape[1], sums.shape[1])
    if implementation == "reference":
        float64_reference.add_group_sums(train, group, sums, missing)
        return
    from ltc_kernels.cpu import sums as cpu

    cpu.add_group_sums(train, group, sums, missing)
