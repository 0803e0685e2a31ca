"""Checksums of wholes from those of their pieces."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import google_crc32c
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["combine", "join_crc32"]

_POLYNOMIAL: Final = 0xEDB88320  # of CRC-32 as zlib has it, the highest power in the lowest bit
_ONE: Final = 1 << 31  # the polynomial 1


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


def join_crc32(parts: Iterable[tuple[int, int]]) -> int:
    """Return zlib's CRC-32 of what comes in parts, from each part's own and its length.

    What follows multiplies a checksum by a power of x, modulo the polynomial.

    Parameters
    ----------
    parts : iterable of (int, int)
        Checksum and number of bytes of each part, in their order.

    Examples
    --------
    >>> import zlib
    >>> join_crc32([(zlib.crc32(b"first, "), 7), (zlib.crc32(b"second"), 6)])
    1683991719
    >>> zlib.crc32(b"first, second")
    1683991719
    """
    whole = 0
    for checksum, size in parts:
        whole = _product(_power(8 * size), whole) ^ checksum
    return whole


@functools.lru_cache(maxsize=64)
def _power(exponent: int) -> int:
    """Return x to a power, modulo the polynomial."""
    result, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            result = _product(square, result)
        square = _product(square, square)
        exponent >>= 1
    return result


def _product(a: int, b: int) -> int:
    """Return the product of two polynomials, modulo the polynomial."""
    result = 0
    while a:
        if a & _ONE:
            result ^= b
        a = a << 1 & 0xFFFFFFFF
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return result
