"""Losses on a device: rows that start at multiples of 64 elements, so that loads are 16 bytes wide.

ImageNet-1k has 1,281,167 samples: packed rows of float16 would begin at odd addresses, and each
value would be loaded by itself.
"""

from typing import Any, Final

import torch

from ltc_kernels.gpu.launching import ALIGNMENT

ROW: Final = 64  # elements that a row is a multiple of


def row_length(num_samples: int) -> int:
    """Elements from one row of a tile to the next; one step at least.

    Examples
    --------
    >>> row_length(1_281_167)
    1281216
    """
    return max(-(-num_samples // ROW), 1) * ROW


def empty_tile(
    num_checkpoints: int, num_samples: int, dtype: Any, device: Any, *, pin_memory: bool = False
) -> Any:
    """Room for losses [T, N], as a view of whole rows; what lies between the rows is undefined.

    A tile in pinned memory and one on a device have the same rows: ``.copy_`` is one transfer of
    ``whole(tile)``.
    """
    shape = (num_checkpoints, row_length(num_samples))
    rows = torch.empty(shape, dtype=dtype, device=device, pin_memory=pin_memory)
    return rows[:, :num_samples]


def whole(tile: Any) -> Any:
    """The tile with what lies between its rows, contiguous; shape (T, row_length(N))."""
    length = row_length(tile.shape[1])
    return tile.as_strided((tile.shape[0], length), (length, 1))


def as_tile(losses: Any) -> Any:
    """The losses themselves if they lie as `empty_tile` has them, else a copy that does."""
    num_checkpoints, num_samples = losses.shape
    stride = losses.stride(0)
    end = losses.storage_offset() + num_checkpoints * stride
    if (
        stride % ROW == 0
        and stride >= num_samples
        and losses.stride(1) == 1
        and losses.data_ptr() % ALIGNMENT == 0
        and end * losses.element_size() <= losses.untyped_storage().nbytes()
    ):
        return losses
    tile = empty_tile(num_checkpoints, num_samples, losses.dtype, losses.device)
    return tile.copy_(losses)
