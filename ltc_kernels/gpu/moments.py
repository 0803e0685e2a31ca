"""One checkpoint into the running moments of samples, in place: `ltc_kernels.cpu.moments` on a GPU.

Bytes per sample: the state once in and once out, 16 or 18 each way (34 with gaps), two of loss and
four of group. Bound by memory. The operations are those of the CPU, in their order and with nothing
fused, so that a state has the same bits wherever it was made.
"""

from typing import Any, Final

import triton
import triton.language as tl

from ltc_kernels import online as layout
from ltc_kernels.algebra import SIGNALS
from ltc_kernels.gpu.launching import Specialisation
from ltc_kernels.gpu.targets import Target

SAMPLES: Final = 1024  # of a program
WARPS: Final = 4

SQUARES = tl.constexpr(layout.SQUARES)
PRODUCT = tl.constexpr(layout.PRODUCT)
MEAN = tl.constexpr(layout.MEAN)
ANCHOR = tl.constexpr(layout.ANCHOR)
LAST = tl.constexpr(layout.LAST)
FIRST = tl.constexpr(layout.FIRST)
REFERENCE_SQUARES = tl.constexpr(layout.REFERENCE_SQUARES)
REFERENCE_MEAN = tl.constexpr(layout.REFERENCE_MEAN)
COUNT = tl.constexpr(layout.COUNT)


@triton.jit
def _load_upper(p_half, inside):
    """Float32 values whose upper halves are stored."""
    bits = tl.load(p_half, mask=inside, other=0).to(tl.int32) << 16
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def _load_loss(p_half, inside):
    """Losses that are stored as the bits of a float16."""
    bits = tl.load(p_half, mask=inside, other=0)
    return bits.to(tl.float16, bitcast=True).to(tl.float32)


@triton.jit
def _accumulate(p_word, p_half, part, inside):
    """Add to a sum, and keep what the addition loses (Knuth's two-sum)."""
    high = tl.load(p_word, mask=inside, other=0.0)
    more = _load_upper(p_half, inside) + part
    total = high + more
    seen = total - high
    rest = (high - (total - seen)) + (more - seen)
    tl.store(p_word, total, mask=inside)
    bits = rest.to(tl.int32, bitcast=True) + 0x8000
    tl.store(p_half, (bits >> 16).to(tl.int16), mask=inside)


@triton.jit
def _deviation(value, rest, p_word, p_half, inside):
    """``value + rest`` less a mean."""
    mean = tl.load(p_word, mask=inside, other=0.0)
    return (value - mean) + (rest - _load_upper(p_half, inside))


@triton.jit
def _is_finite(value):
    return tl.abs(value) < float("inf")


@triton.jit
def update_kernel(
    losses,  # [N]
    groups,  # [N]
    terms,  # [1, C], or with gaps [2, C]
    words,  # [fields, N], rows of `stride` elements
    halves,  # [fields, N], rows of `stride` elements
    stride,
    num_samples,
    num_groups,
    count,  # without gaps: signal values before for differences, and after for losses,
    share,  # and n / (n + 1)
    DIFFERENCES: tl.constexpr,
    GAPS: tl.constexpr,
    SAMPLES: tl.constexpr,
):
    """Add one checkpoint to the moments of SAMPLES samples."""
    o_sample = tl.program_id(0).to(tl.int64) * SAMPLES + tl.arange(0, SAMPLES)
    inside = o_sample < stride  # whole vectors, up to the end of a row
    group = tl.load(groups + o_sample, mask=o_sample < num_samples, other=0)
    term = tl.load(terms + group)
    loss = tl.load(losses + o_sample, mask=inside, other=0.0)
    current = loss.to(tl.float32)
    p_word, p_half = words + o_sample, halves + o_sample
    p_mean, p_mean_rest = p_word + MEAN * stride, p_half + MEAN * stride
    p_product, p_product_rest = p_word + PRODUCT * stride, p_half + PRODUCT * stride
    p_last = p_half + LAST * stride

    if not GAPS:
        if DIFFERENCES:
            last = _load_loss(p_last, inside)
            mean = tl.div_rn(last - _load_loss(p_half + FIRST * stride, inside), count)
            deviation = (current - last) - mean
        else:
            zero = tl.zeros((SAMPLES,), tl.float32)
            deviation = _deviation(current, zero, p_mean, p_mean_rest, inside)
        _accumulate(p_word, p_half, deviation * deviation * share, inside)
        _accumulate(p_product, p_product_rest, deviation * term, inside)
        if DIFFERENCES:
            tl.debug_barrier()  # whichever thread stores a loss: the one before it has been read
            tl.store(p_last, loss.to(tl.int16, bitcast=True), mask=inside)
        else:
            _accumulate(p_mean, p_mean_rest, tl.div_rn(deviation, count), inside)
    else:
        rest = tl.load(terms + num_groups + group)
        p_count = p_word + COUNT * stride
        before = tl.load(p_count, mask=inside, other=0.0)
        if DIFFERENCES:
            last = _load_loss(p_last, inside)
            p_anchor = p_word + ANCHOR * stride
            anchor = tl.load(p_anchor, mask=inside, other=0.0)
            total = tl.where(_is_finite(last), last - anchor, anchor)
            # Before the first difference the sum is zero, and its mean counts as zero.
            mean = tl.div_rn(total, before)
            mean = tl.where(_is_finite(mean), mean, 0.0)
            difference = current - last
            key = difference + term
            deviation = difference - mean
        else:
            zero = tl.zeros((SAMPLES,), tl.float32)
            key = current + term
            deviation = _deviation(current, zero, p_mean, p_mean_rest, inside)
        # Where either side is missing, everything stays.
        common = _is_finite(key)
        p_other = p_word + REFERENCE_MEAN * stride
        p_other_rest = p_half + REFERENCE_MEAN * stride
        other = tl.where(common, _deviation(term, rest, p_other, p_other_rest, inside), 0.0)
        deviation = tl.where(common, deviation, 0.0)
        after = before + 1.0
        own_share = tl.div_rn(before, after)
        _accumulate(p_word, p_half, deviation * deviation * own_share, inside)
        _accumulate(p_product, p_product_rest, deviation * other * own_share, inside)
        p_squares = p_word + REFERENCE_SQUARES * stride
        p_squares_rest = p_half + REFERENCE_SQUARES * stride
        _accumulate(p_squares, p_squares_rest, other * other * own_share, inside)
        _accumulate(p_other, p_other_rest, tl.div_rn(other, after), inside)
        tl.store(p_count, tl.where(common, after, before), mask=inside)
        if DIFFERENCES:
            moved = tl.where(_is_finite(current), current - total, total)
            tl.store(p_anchor, tl.where(common, anchor, moved), mask=inside)
            tl.debug_barrier()
            tl.store(p_last, loss.to(tl.int16, bitcast=True), mask=inside)
        else:
            _accumulate(p_mean, p_mean_rest, tl.div_rn(deviation, after), inside)


def specialisations(target: Target) -> list[Specialisation]:  # noqa: ARG001  # the same for all
    """Return every form that ships."""
    return [specialise(signal, gaps=gaps) for signal in SIGNALS for gaps in (False, True)]


def specialise(signal: str, *, gaps: bool) -> Specialisation:
    """Return the form for a signal and a layout."""
    types = {
        "losses": "*fp16",
        "groups": "*i32",
        "terms": "*fp32",
        "words": "*fp32",
        "halves": "*i16",
        "stride": "i64",
        "num_samples": "i64",
        "num_groups": "i64",
        "count": "fp32",
        "share": "fp32",
    }
    constants: dict[str, Any] = {
        "DIFFERENCES": signal == "difference",
        "GAPS": gaps,
        "SAMPLES": SAMPLES,
    }
    return Specialisation(
        name=f"online_update, {signal}{', gaps' if gaps else ''}",
        kernel=update_kernel,
        types=types,
        constants=constants,
        divisible=frozenset({"losses", "groups", "words", "halves", "stride"}),
        num_warps=WARPS,
        enable_fp_fusion=False,
    )
