"""Which part of a store is read: checks of the arguments, and reading samples in any order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ltc.store.pipeline import ArrayReader

__all__ = ["check_out", "pick_checkpoints", "pick_samples", "read_picked"]

# Samples in any order are read through a window of neighbours, which holds about this much.
_WINDOW_BYTES = 16 * 2**20


def pick_samples(
    samples: slice | ArrayLike, size: int, name: str = "samples"
) -> slice | NDArray[np.int64]:
    """Return samples as a slice with start, stop and step 1, or as positions.

    Errors call them `name`.

    Raises
    ------
    ArgumentTypeError
        They are neither a slice nor integers.
    ArgumentValueError
        They are not one-dimensional.
    ArgumentIndexError
        One lies outside 0..N-1.
    """
    if isinstance(samples, slice):
        positions = range(size)[samples]
        if positions.step == 1:
            return slice(positions.start, max(positions.start, positions.stop))
        return np.arange(positions.start, positions.stop, positions.step, dtype=np.int64)
    picked = _integers(name, samples)
    outside = (picked < 0) | (picked >= size)
    if outside.any():
        raise ArgumentIndexError(
            f"{name} must lie in 0..{size - 1}, got {picked[outside.argmax()]} at position "
            f"{outside.argmax()}"
        )
    return picked.astype(np.int64)


def pick_checkpoints(checkpoints: slice | ArrayLike | None, committed: int) -> Sequence[int]:
    """Return positions of checkpoints, ascending.

    Raises
    ------
    ArgumentTypeError
        They are neither None nor a slice nor integers.
    ArgumentValueError
        They are not one-dimensional, not unique or not ascending.
    ArgumentIndexError
        One lies outside 0..T-1.
    """
    if checkpoints is None:
        return range(committed)
    if isinstance(checkpoints, slice):
        chosen = range(committed)[checkpoints]
        if chosen.step < 0:
            raise ArgumentValueError(f"checkpoints must be ascending, got {checkpoints}")
        return chosen
    picked = _integers("checkpoints", checkpoints)
    outside = (picked < 0) | (picked >= committed)
    if outside.any():
        raise ArgumentIndexError(
            f"checkpoints must be positions in 0..{committed - 1}, got {picked[outside.argmax()]}"
        )
    positions = picked.astype(np.int64)
    falling = np.diff(positions) <= 0
    if falling.any():
        first = int(falling.argmax())
        raise ArgumentValueError(
            f"checkpoints must be unique and ascending, got {positions[first + 1]} after "
            f"{positions[first]}"
        )
    return list(positions.tolist())


def check_out(out: NDArray[Any] | None, shape: tuple[int, int]) -> NDArray[np.float16]:
    """Return `out`, or a new array if it is None.

    Raises
    ------
    ArgumentTypeError
        It isn't a float16 array.
    ArgumentValueError
        It has another shape, its rows aren't contiguous, or it can't be written to.
    """
    if out is None:
        return np.empty(shape, np.float16)
    if not isinstance(out, np.ndarray) or out.dtype != np.float16:
        kind = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
        raise ArgumentTypeError(f"out must be a float16 array, got {kind}")
    if out.shape != shape:
        raise ArgumentValueError(f"out must have shape {shape}, got {out.shape}")
    rows_contiguous = out.shape[1] <= 1 or out.strides[1] == out.itemsize
    if not (rows_contiguous and out.flags.writeable):
        raise ArgumentValueError("out must have contiguous rows and be writeable")
    return out


def read_picked(
    reader: ArrayReader, rows: Sequence[int], samples: NDArray[np.int64], out: NDArray[np.float16]
) -> None:
    """Read samples in any order into `out`, chunk by chunk.

    Parameters
    ----------
    reader : ArrayReader
        The losses [checkpoint, sample].
    rows : sequence of int
        Positions of checkpoints.
    samples : int64 array [n]
        Within the array.
    out : float16 array [len(rows), n]
        Written to.
    """
    order = np.argsort(samples, kind="stable")
    ascending = samples[order]
    for places in _by_chunk(ascending, reader.chunk_samples):
        first, last = int(ascending[places.start]), int(ascending[places.stop - 1])
        step = max(1, _WINDOW_BYTES // (2 * (last - first + 1)))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            window = np.empty((len(some), last - first + 1), out.dtype)
            reader.read_rows(some, slice(first, last + 1), window)
            out[start : start + step, order[places]] = window[:, ascending[places] - first]


def _by_chunk(ascending: NDArray[np.int64], width: int) -> Iterator[slice]:
    borders = np.flatnonzero(np.diff(ascending // width, prepend=-1, append=-1)).tolist()
    for start, stop in itertools.pairwise(borders):
        yield slice(start, stop)


def _integers(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.size == 0 and isinstance(values, list | tuple):
        array = array.astype(np.int64)  # an empty list has no type of its own
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{name} must be a slice or integers, got {array.dtype}")
    if array.ndim != 1:
        raise ArgumentValueError(f"{name} must be one-dimensional, got shape {array.shape}")
    return array
