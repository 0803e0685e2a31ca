"""Which centre of its group a trajectory is nearest to: the step of clustering that costs time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ltc_kernels import reference as float64_reference
from ltc_kernels.backends import choose
from ltc_kernels.checks import check_groups, check_losses
from ltc_kernels.errors import ArgumentTypeError, ArgumentValueError


def nearest_centres(
    values: NDArray[Any], centres: NDArray[Any], groups: NDArray[Any], *, backend: str = "auto"
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the nearest centre of each sample's group, by squared distance over what is observed.

    Parameters
    ----------
    values : ndarray of float16 or float32, shape (T, N)
        Losses, or whatever else there is per checkpoint and sample; not finite means missing.
    centres : ndarray of float32, shape (C, K, T)
        Centres of each group: finite, or NaN as a whole where a group has fewer than K.
    groups : ndarray of integers, shape (N,)
        Group of each sample, 0..C-1.
    backend : {"auto", "reference", "cpu"}
        ``"reference"`` is the definition in float64 NumPy.

    Returns
    -------
    nearest : ndarray of int32, shape (N,)
        In 0..K-1, the lower of equally near ones; -1 where the group has no centre.
    squares : ndarray of float32, shape (N,)
        Squared distances from them; NaN where the group has no centre.

    Raises
    ------
    ArgumentValueError
        A shape or a group that doesn't fit, a centre that is finite in part, or an unknown backend.
    ArgumentTypeError
        Another dtype.

    Examples
    --------
    >>> values = np.array([[0, 1, 5], [0, np.nan, 5]], dtype=np.float32)
    >>> centres = np.array([[[0, 1], [3, 3]]], dtype=np.float32)
    >>> nearest_centres(values, centres, np.zeros(3, int))
    (array([0, 0, 1], dtype=int32), array([1., 1., 8.], dtype=float32))
    """
    implementation = choose(backend, values, served=("reference", "cpu"))
    samples = check_losses("values", values)
    if not isinstance(centres, np.ndarray) or centres.dtype != np.float32:
        kind = centres.dtype if isinstance(centres, np.ndarray) else type(centres).__name__
        raise ArgumentTypeError(f"centres must be a float32 array, got {kind}")
    if centres.ndim != 3 or centres.shape[2] != len(samples) or not len(samples):
        raise ArgumentValueError(
            f"centres must have shape [group, centre, checkpoint] with {len(samples)} checkpoints, "
            f"as values have, and at least one, got shape {centres.shape}"
        )
    finite = np.isfinite(centres)
    in_part = finite.any(axis=2) & ~finite.all(axis=2)
    if in_part.any():
        group, place = np.argwhere(in_part)[0].tolist()
        raise ArgumentValueError(
            f"centres must be finite or NaN as a whole, got one finite in part: {place} of group "
            f"{group}"
        )
    group = check_groups("groups", groups, samples.shape[1], len(centres))
    if implementation == "reference":
        return float64_reference.nearest_centres(samples, centres, group)
    from ltc_kernels.cpu import centres as cpu

    return cpu.nearest_centres(samples.astype(np.float32, copy=False), centres, group)
