"""Signals of training samples as the product takes them: relative, centred, and scaled.

Both signals are differences of rows: a loss relative to the last one, or relative to the one
before. Rounding begins there, at the size of the signal and not of the loss: an offset has left.
What remains of a mean, the drift for ``"difference"``, is found here, in one pass over the losses
before the product, together with a power of two that brings the largest value near the top of
float16. The product could find neither for itself: it has to split a value before it has seen the
last one.

Bytes: every loss is read once from memory, 2 T per sample, and 8 are written.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
import triton
import triton.language as tl

from ltc_kernels.algebra import Signal, signal_length
from ltc_kernels.gpu.launching import Specialisation
from ltc_kernels.gpu.pairs_plan import BLOCK_TERMS
from ltc_kernels.gpu.targets import Target
from ltc_kernels.gpu.tiles import as_tile, row_length

BLOCK_SAMPLES: Final = 128
WARPS: Final = 4
LARGEST_EXPONENT: Final = 13  # of scaled signals: centred, they stay below 2^15
SMALLEST_BITS: Final = (127 - 100) << 23  # as float32 2^-100; nor may one exceed 2^100
LARGEST_BITS: Final = (127 + 100) << 23
STEADY: Final = 2.0**-6  # below this share of their mean, signal values are done in float64

# Arguments that say where signals lie in the losses; see `TermRows`.
TERM_TYPES: Final = {
    "num_terms": "i32",
    "num_loaded": "i64",
    "stride": "i64",
    "term_offset": "i64",
    "base_offset": "i64",
    "base_stride": "i64",
}
TERM_DIVISIBLE: Final = frozenset(
    {"num_loaded", "stride", "term_offset", "base_offset", "base_stride"}
)


@dataclass(frozen=True)
class TermRows:
    """Where the values of a signal lie: term t is row t of one view less row t of another.

    Attributes
    ----------
    num_terms : int
        Values of a signal.
    num_loaded : int
        Columns that may be read, a multiple of 64: all samples, and what fills their rows up.
    stride : int
        Elements from one row to the next.
    term_offset : int
        Where the first row begins that is taken from.
    base_offset, base_stride : int
        The same for the rows that are taken away; a stride of 0 means one row for all.
    """

    num_terms: int
    num_loaded: int
    stride: int
    term_offset: int
    base_offset: int
    base_stride: int


def term_rows(tile: Any, signal: Signal) -> TermRows:
    """Say where the signals of a tile [T, N] lie; see `ltc_kernels.gpu.tiles`.

    Examples
    --------
    >>> from ltc_kernels.gpu.tiles import empty_tile
    >>> term_rows(empty_tile(9, 70, torch.float16, "cpu"), "difference")
    TermRows(num_terms=8, num_loaded=128, stride=128, term_offset=128, base_offset=0, \
base_stride=128)
    """
    num_checkpoints, num_samples = tile.shape
    stride = tile.stride(0)
    num_terms = signal_length(num_checkpoints, signal)
    last = max(num_checkpoints - 1, 0)
    if signal == "difference":
        return TermRows(num_terms, row_length(num_samples), stride, stride, 0, stride)
    return TermRows(num_terms, row_length(num_samples), stride, 0, last * stride, 0)


@triton.jit
def load_terms(losses, rows, i_t, o_n, BT: tl.constexpr):
    """Signal values before centring [BT, BN], and which terms there are [BT, 1].

    ``rows`` are the fields of `TermRows`, ``i_t`` says which block of terms, ``o_n`` [BN] are
    columns.
    """
    num_terms, num_loaded, stride, term_offset, base_offset, base_stride = rows
    o_t = i_t * BT + tl.arange(0, BT)
    m_t = (o_t < num_terms)[:, None]
    m = m_t & (o_n < num_loaded)[None, :]
    o_row = o_t.to(tl.int64)[:, None]
    p = losses + (term_offset + o_row * stride) + o_n[None, :]
    p_base = losses + (base_offset + o_row * base_stride) + o_n[None, :]
    b = tl.load(p, mask=m, other=0.0).to(tl.float32)
    return b - tl.load(p_base, mask=m, other=0.0).to(tl.float32), m_t


@triton.jit
def shift_kernel(
    losses,  # [T, N], rows of `stride` elements
    shifts,  # [2, num_loaded]: mean of the terms, and the power of two
    num_terms,
    num_loaded,
    stride,
    term_offset,
    base_offset,
    base_stride,
    BT: tl.constexpr,
    BN: tl.constexpr,
    LARGEST_EXPONENT: tl.constexpr,
    SMALLEST_BITS: tl.constexpr,
    LARGEST_BITS: tl.constexpr,
    STEADY: tl.constexpr,
):
    """Find shift and scale of each sample; NaN where float32 won't do, or something is missing."""
    rows = (num_terms, num_loaded, stride, term_offset, base_offset, base_stride)
    o_n = tl.program_id(0).to(tl.int64) * BN + tl.arange(0, BN)
    total = tl.zeros((BT, BN), tl.float32)
    highest = tl.full((BT, BN), float("-inf"), tl.float32)
    lowest = tl.full((BT, BN), float("inf"), tl.float32)
    for i_t in range(tl.cdiv(num_terms, BT)):
        b, m_t = load_terms(losses, rows, i_t, o_n, BT)
        total += b
        m = m_t & (b == b)
        highest = tl.maximum(highest, tl.where(m, b, float("-inf")))
        lowest = tl.minimum(lowest, tl.where(m, b, float("inf")))
    mean = tl.sum(total, axis=0) / num_terms.to(tl.float32)
    above = tl.max(highest, axis=0) - mean
    spread = tl.maximum(above, mean - tl.min(lowest, axis=0))
    # The exponent is read off the bits; half of the spread is room for the rounding of the mean.
    bits = spread.to(tl.int32, bitcast=True)
    exponent = 127 + LARGEST_EXPONENT - ((bits >> 23) - 127)
    scale = (exponent << 23).to(tl.float32, bitcast=True)
    good = (bits >= SMALLEST_BITS) & (bits <= LARGEST_BITS) & (spread >= STEADY * tl.abs(mean))
    good &= tl.abs(mean) < float("inf")  # not if anything is missing, which only the sum shows
    m_n = o_n < num_loaded
    tl.store(shifts + o_n, mean, mask=m_n)
    tl.store(shifts + num_loaded + o_n, tl.where(good, scale, float("nan")), mask=m_n)


@dataclass(frozen=True)
class Samples:
    """Training samples as one side of a product.

    Attributes
    ----------
    losses : tensor of float16 or float32, shape (T, n)
        Their trajectories, as a tile, see `ltc_kernels.gpu.tiles`.
    signal : {"loss", "difference"}
        What is correlated.
    shifts : tensor of float32, shape (2, n or more)
        Mean and scale of each signal; a scale of NaN where the product can't serve it.
    """

    losses: Any
    signal: Signal
    shifts: Any

    @property
    def size(self) -> int:
        """Number of samples."""
        return int(self.losses.shape[1])

    @property
    def num_terms(self) -> int:
        """Values of a signal."""
        return signal_length(len(self.losses), self.signal)

    @property
    def dtype(self) -> str:
        """Triton's name of the type of the losses."""
        return "fp16" if self.losses.dtype == torch.float16 else "fp32"

    def part(self, begin: int, end: int) -> "Samples":
        """Some of them; ``begin`` is a multiple of 64."""
        return Samples(self.losses[:, begin:end], self.signal, self.shifts[:, begin:])


def prepare_samples(losses: Any, *, signal: Signal) -> Samples:
    """Find shift and scale of training samples [T, n]; copies them unless they are a tile."""
    tile = as_tile(losses)
    rows = term_rows(tile, signal)
    shifts = torch.empty((2, rows.num_loaded), dtype=torch.float32, device=tile.device)
    samples = Samples(tile, signal, shifts)
    programs = -(-rows.num_loaded // BLOCK_SAMPLES) if samples.size else 0
    form = _specialise(samples.dtype)
    form.launch((programs, 1, 1), tile.device, losses=tile, shifts=shifts, **vars(rows))
    return samples


def specialisations(target: Target) -> list[Specialisation]:  # noqa: ARG001  # the same for all
    """Return every form that ships."""
    return [_specialise("fp16"), _specialise("fp32")]


def _specialise(dtype: str) -> Specialisation:
    return Specialisation(
        name=f"shifts of pairs, {dtype}",
        kernel=shift_kernel,
        types={"losses": f"*{dtype}", "shifts": "*fp32", **TERM_TYPES},
        constants={
            "BT": BLOCK_TERMS,
            "BN": BLOCK_SAMPLES,
            "LARGEST_EXPONENT": LARGEST_EXPONENT,
            "SMALLEST_BITS": SMALLEST_BITS,
            "LARGEST_BITS": LARGEST_BITS,
            "STEADY": STEADY,
        },
        divisible=TERM_DIVISIBLE | {"losses", "shifts"},
        num_warps=WARPS,
        enable_fp_fusion=True,
    )
