"""A piece of many files at once, with a checksum of each and a look for missing values.

Compiled, so that a thread that reads doesn't hold the interpreter's lock: through Python's own
calls, two threads that read and compute took a quarter longer. What was read is looked at while it
is still in the second-level cache.

A CRC-32C takes three cycles from one word of a row to the next, and a processor starts one every
cycle: four rows are done side by side.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

__all__ = ["FAILED", "LOST", "read_rows"]

_FEATURES = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
if "+sse4.2" not in _FEATURES.split(","):
    raise ImportError("this processor has no instruction for CRC-32C that is known here")

LOST = -1  # in place of a file
FAILED = -2  # a call that read nothing

_ROWS = 4  # done side by side
_WORD = 8  # bytes
_EXPONENT = 0x7C00  # of float16: all of its bits are set where a value isn't finite
_NAN = np.uint16(0x7E00)
_EXPONENTS = np.uint64(0x7C007C007C007C00)
_LAST_BITS = np.uint64(0x0400040004000400)
_CARRIES = np.uint64(0x8000800080008000)
_BLOCK = 1 << 15  # values that a 16-bit count can't overflow on
_POLYNOMIAL = np.uint32(0x82F63B78)
_ALL = np.uint32(0xFFFFFFFF)

_I64 = ir.IntType(64)
# Of the C library: file, address, bytes, position; the number of bytes read, -1 for an error.
_pread = types.ExternalFunction(
    "pread", types.intp(types.int32, types.intp, types.uintp, types.int64)
)


@intrinsic
def _word(typing_context, address, index):
    """The 8 bytes at ``address + 8 * index``, aligned or not."""

    def generate(context, builder, signature, arguments):
        start = builder.inttoptr(arguments[0], _I64.as_pointer())
        loaded = builder.load(builder.gep(start, [arguments[1]]))
        loaded.align = 1
        return loaded

    return types.uint64(types.intp, types.intp), generate


@intrinsic
def _crc_of_word(typing_context, checksum, word):
    """The register of a CRC-32C after 8 more bytes."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(_I64, [_I64, _I64])
        name = "llvm.x86.sse42.crc32.64.64"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, arguments)

    return types.uint64(types.uint64, types.uint64), generate


@njit(nogil=True)
def _scan_words(a, b, c, d, words, checksums):
    """Checksums of the words at four addresses, and whether any value there isn't finite."""
    w, x, y, z = checksums
    carries = np.uint64(0)
    for i in range(words):
        word = _word(a, i)
        w = _crc_of_word(w, word)
        carries |= (word & _EXPONENTS) + _LAST_BITS
        word = _word(b, i)
        x = _crc_of_word(x, word)
        carries |= (word & _EXPONENTS) + _LAST_BITS
        word = _word(c, i)
        y = _crc_of_word(y, word)
        carries |= (word & _EXPONENTS) + _LAST_BITS
        word = _word(d, i)
        z = _crc_of_word(z, word)
        carries |= (word & _EXPONENTS) + _LAST_BITS
    checksums[0], checksums[1], checksums[2], checksums[3] = w, x, y, z
    return (carries & _CARRIES) != 0


@njit(nogil=True)
def _finish(checksum, values):
    """The checksum after what is less than a word, bit by bit."""
    register = np.uint32(checksum)
    for i in range(values.size):
        register ^= np.uint32(values[i])
        for _ in range(16):
            register = np.uint32((register >> 1) ^ (_POLYNOMIAL if register & 1 else 0))
    return np.uint32(register ^ _ALL)


@njit(nogil=True)
def _count_in_block(bits):
    count = np.uint16(0)
    for i in range(bits.size):
        count = np.uint16(count + np.uint16((bits[i] & _EXPONENT) == _EXPONENT))
    return count


@njit(nogil=True)
def _count_missing(bits):
    total = 0
    for start in range(0, bits.size, _BLOCK):
        total += np.int64(_count_in_block(bits[start : min(start + _BLOCK, bits.size)]))
    return total


@njit(
    types.UniTuple(types.int64, 2)(
        types.Array(types.int32, 1, "C", readonly=True),
        types.int64,
        types.Array(types.uint16, 2, "A"),
        types.Array(types.uint32, 1, "C"),
    ),
    nogil=True,
    cache=True,
)
def read_rows(files, position, out, checksums):
    """Read the same piece of many files.

    Parameters
    ----------
    files : int32 array [row]
        Open files, or ``LOST``.
    position : int
        Of the piece in each, bytes.
    out : uint16 array [row, value]
        Bits of float16, each row contiguous; NaN where the file is lost.
    checksums : uint32 array [row]
        CRC-32C of each piece; of a lost one, nothing.

    Returns
    -------
    missing : int
        Values that aren't finite, or ``FAILED``.
    row : int
        The one that couldn't be read.
    """
    num_rows, width = out.shape
    size = width * out.itemsize
    registers = np.empty(_ROWS, np.uint64)
    missing = 0
    for first in range(0, num_rows, _ROWS):
        last = min(first + _ROWS, num_rows) - 1
        for row in range(first, last + 1):
            if files[row] == LOST:
                out[row] = _NAN
                continue
            begin = out[row].ctypes.data
            done = 0
            while done < size:  # a read may stop short
                more = _pread(files[row], begin + done, np.uintp(size - done), position + done)
                if more <= 0:
                    return FAILED, row
                done += more
        registers[:] = np.uint64(_ALL)
        some = _scan_words(
            out[first].ctypes.data,
            out[min(first + 1, last)].ctypes.data,
            out[min(first + 2, last)].ctypes.data,
            out[min(first + 3, last)].ctypes.data,
            size // _WORD,
            registers,
        )
        rest = size // _WORD * _WORD // out.itemsize
        for row in range(first, last + 1):
            checksums[row] = _finish(registers[row - first], out[row, rest:])
            # Of what is less than a word nothing is known yet.
            missing += _count_missing(out[row] if some else out[row, rest:])
    return missing, num_rows
