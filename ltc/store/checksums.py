"""Checksums of whole chunks from those of their pieces."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import google_crc32c
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["combine"]


def combine(checksums: NDArray[np.uint32], sizes: Sequence[int]) -> NDArray[np.uint32]:
    """Return the CRC-32C of rows that were read in pieces.

    Parameters
    ----------
    checksums : uint32 array [piece, row]
        Of each piece, in their order.
    sizes : sequence of int
        Bytes of each piece.

    Returns
    -------
    uint32 array [row]
        Of the pieces one after the other.

    Examples
    --------
    >>> parts = [google_crc32c.value(b"first, "), google_crc32c.value(b"second")]
    >>> whole = combine(np.array(parts, np.uint32)[:, None], [7, 6])
    >>> int(whole[0]) == google_crc32c.value(b"first, second")
    True
    """
    whole: NDArray[np.uint32] = checksums[0]
    for more, size in zip(checksums[1:], sizes[1:], strict=True):
        shifted = [
            table[whole >> np.uint32(8 * place) & np.uint32(0xFF)]
            for place, table in enumerate(_followed_by(size))
        ]
        whole = functools.reduce(np.bitwise_xor, shifted) ^ more
    return whole


@functools.lru_cache(maxsize=64)
def _followed_by(size: int) -> NDArray[np.uint32]:
    """What bytes that follow do to a checksum, by each of its own four bytes; uint32 [4, 256].

    The checksum of two pieces is the exclusive or of the second's and a linear function of the
    first's, which depends on the length of the second alone. At a single bit it is what zeros make
    of that bit, less what they make of none.
    """
    zeros = bytes(size)
    none = google_crc32c.value(zeros)
    tables = np.zeros((4, 256), np.uint32)
    for bit in range(32):
        table, place = tables[bit // 8], 1 << bit % 8
        image = np.uint32(google_crc32c.extend(1 << bit, zeros) ^ none)
        table[place : 2 * place] = table[:place] ^ image
    return tables
