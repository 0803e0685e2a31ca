"""The reference side of `ltc_kernels.gpu.group`, prepared in float64 and moved to a device once.

A kernel that passes once over the losses doesn't know their mean beforehand. Instead, each block of
``BLOCK`` signal values is taken relative to the mean of all values *before* it. With ``n`` values
before a block of ``m``, their mean ``x_`` before it and ``X`` within it (and the same of ``u``),

    sum (x - x_) u = sum over blocks of [ sum (x - X)(u - U) + (X - x_)(U - u_) n m / (n + m) ]

(Chan, Golub and LeVeque 1979, who give the merge of two parts). Because ``x - X`` sums to zero
within a block, and to ``m (X - x_)`` when taken relative to ``x_``, one weight per value does both:

    sum (x - x_) w    with    w = (u - U) + (U - u_) n / (n + m)

The transform of ``u`` into ``w`` is nearly orthogonal: nothing cancels that isn't small in the
result, at an offset, in a drift and with an outlier at either end alike. The first block has
nothing before it and is taken relative to its own mean. It is the short one, filled up with zeros
in front.
"""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ltc_kernels.algebra import CONSTANT_TOLERANCE, PreparedPairs, PreparedReferences, signal_length

BLOCK: Final = 8  # signal values of a block
BATCH: Final = 2**20  # weights that are prepared at once


def block_weights(units: NDArray[Any]) -> NDArray[np.float32]:
    """Weights of blocks, shape (C, a multiple of ``BLOCK``), from unit signals of shape (C, S).

    Examples
    --------
    >>> block_weights(np.array([[-0.5, 0.5, 0.5, -0.5]])).round(3)
    array([[ 0. ,  0. ,  0. ,  0. , -0.5,  0.5,  0.5, -0.5]], dtype=float32)
    """
    num_rows, length = units.shape
    padding = -length % BLOCK
    num_blocks = (length + padding) // BLOCK
    weights = np.empty((num_rows, num_blocks * BLOCK), dtype=np.float32)
    ends = np.arange(1, num_blocks + 1) * BLOCK - padding
    before = np.maximum(ends - BLOCK, 0)
    sizes = ends - before
    step = max(BATCH // max(weights.shape[1], 1), 1)
    for begin in range(0, num_rows, step):
        rows = np.pad(units[begin : begin + step].astype(np.float64), ((0, 0), (padding, 0)))
        blocks = rows.reshape(-1, num_blocks, BLOCK)
        sums = blocks.sum(axis=2)
        means = sums / sizes
        means_before = (np.cumsum(sums, axis=1) - sums) / np.maximum(before, 1)
        merges = (means - means_before) * (before / ends)
        filled = blocks + (merges - means)[:, :, None]
        filled[:, :1, :padding] = 0.0
        weights[begin : begin + step] = filled.reshape(len(rows), -1)
    return weights


def weights_on(
    prepared: PreparedReferences | PreparedPairs, num_checkpoints: int, device: Any
) -> Any:
    """Weights of the groups on a device."""

    def prepare() -> NDArray[np.float32]:
        length = signal_length(num_checkpoints, prepared.signal)
        return block_weights(prepared.weights[:, :length])

    return _once(prepared, "weights", prepare, device)


def trajectories_on(prepared: PreparedReferences | PreparedPairs, device: Any) -> tuple[Any, Any]:
    """Trajectories on a device in float64, and what of each is rounding."""

    def rounding() -> NDArray[np.float64]:
        values = prepared.trajectories
        largest = np.max(np.abs(values), axis=1, where=np.isfinite(values), initial=0.0)
        return np.asarray(CONSTANT_TOLERANCE * largest)

    trajectories = _once(prepared, "trajectories", lambda: prepared.trajectories, device)
    return trajectories, _once(prepared, "rounding", rounding, device)


def column_on(prepared: PreparedReferences | PreparedPairs, name: str, device: Any) -> Any:
    """One of the attributes that have a value per group, on a device."""
    return _once(prepared, name, lambda: getattr(prepared, name), device)


def _once(prepared: PreparedReferences | PreparedPairs, name: str, make: Any, device: Any) -> Any:
    """What was made and moved before, or now."""
    key = name, str(device)
    if key not in prepared.placed:
        prepared.placed[key] = torch.from_numpy(np.ascontiguousarray(make())).to(device)
    return prepared.placed[key]
