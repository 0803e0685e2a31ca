"""Correlation with one row of weights per group, in one pass over the losses.

Bytes per sample: ``2 T`` of losses as stored, each loaded once, in vectors of 16 bytes that are
coalesced over samples; 4 of its group; 4 written. The weights of a group are loaded along the
checkpoints, 16 bytes at once too, so that samples of many groups don't fetch them one by one; they
stay in the caches. Bound by memory: at most 11 instructions per loss on NVIDIA's GPUs, where by its
data sheet an H100 issues 20 in the time that it reads one.

Signal values are taken in blocks of eight, relative to the mean of all before them, and their
weights fit that (`ltc_kernels.gpu.weights`). The mean of differences needs no sum, it is
(last - first) / n; that of losses is carried as a float32 and what it lacks. The sums of blocks are
added with compensation (Kahan 1965): most of a recorded trajectory's variance lies in its first
checkpoints, and thousands of later ones would each be rounded away against it. The compiler may
fuse nothing: every fused operation is written down, so that all devices round alike.

A result is NaN where this has no answer: something is missing, nothing varies, or float32 doesn't
hold the squares. Those columns are counted, and done again in `ltc_kernels.gpu.masked`.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
import triton
import triton.language as tl

from ltc_kernels.algebra import SIGNALS, signal_length
from ltc_kernels.gpu.launching import POINTERS, Specialisation
from ltc_kernels.gpu.targets import Target
from ltc_kernels.gpu.weights import BLOCK

TERMS = tl.constexpr(BLOCK)  # signal values of a block
LARGEST = tl.constexpr(1e36)  # a sum of squares beyond this may have overflowed,
SMALLEST = tl.constexpr(1e-30)  # below this its terms may have been flushed
STEADY = tl.constexpr(2.0**-12)  # below this share of the drift's square, rounding shows

VECTOR_BYTES: Final = 16  # that a thread loads at once


@dataclass(frozen=True)
class GroupTile:
    """Samples of a program.

    Attributes
    ----------
    lanes : int
        Threads, those of one warp: nothing waits for another, and the last samples of a
        multiprocessor keep no others.
    vector : int
        Consecutive samples of a thread.
    """

    lanes: int
    vector: int

    @property
    def samples(self) -> int:
        """How many they are."""
        return self.lanes * self.vector


def tile(element_size: int, target: Target) -> GroupTile:
    """Choose the samples of a program for losses of so many bytes.

    Examples
    --------
    >>> from ltc_kernels.gpu.targets import GFX942, SM_90
    >>> tile(2, SM_90).samples, tile(4, SM_90).samples, tile(2, GFX942).samples
    (256, 128, 512)
    """
    return GroupTile(target.warp_size, VECTOR_BYTES // element_size)


@triton.jit
def _four_weights(rows, LANES: tl.constexpr, HALVINGS: tl.constexpr):
    """Four weights from each of the pointers ``rows``, as four tensors of the same shape.

    The pointers of a thread are taken apart, so that the four weights of each come in one load, and
    put together again; nothing of that leaves the thread.
    """
    parts = (rows,)  # [LANES, 2 ** HALVINGS]
    for level in tl.static_range(HALVINGS):
        halves = ()
        for i in tl.static_range(2**level):
            pairs = tl.reshape(parts[i], (LANES, 2 ** (HALVINGS - level - 1), 2))
            halves = halves + tl.split(pairs)
        parts = halves
    loaded = ()
    for i in tl.static_range(2**HALVINGS):
        p_row = tl.multiple_of(tl.reshape(parts[i], (LANES,)), 16)
        values = tl.load(p_row[:, None] + tl.arange(0, 4)[None, :])  # [LANES, 4]
        loaded = loaded + (values[:, :, None],)  # noqa: RUF005
    for level in tl.static_range(HALVINGS):
        joined = ()
        for i in tl.static_range(2 ** (HALVINGS - level - 1)):
            both = tl.join(loaded[2 * i], loaded[2 * i + 1])
            joined = joined + (tl.reshape(both, (LANES, 4, 2 ** (level + 1))),)  # noqa: RUF005
        loaded = joined
    weights = tl.permute(loaded[0], (0, 2, 1))  # [LANES, 2 ** HALVINGS, 4]
    even, odd = tl.split(tl.reshape(weights, (LANES, 2**HALVINGS, 2, 2)))
    first, third = tl.split(even)
    second, fourth = tl.split(odd)
    return first, second, third, fourth


@triton.jit
def _load_rows(p_row, stride, inside, absent):
    """Rows of a block, each [LANES, VECTOR]; the first ``absent`` of them aren't there."""
    rows = ()
    for k in tl.static_range(TERMS):
        mask = inside & (absent <= k)
        row = tl.load(p_row + k * stride, mask=mask, other=0.0, eviction_policy="evict_first")
        rows = rows + (row,)  # noqa: RUF005  # Triton's only way to lengthen a tuple
    return rows


@triton.jit
def _add(total, lost, part):
    """Add ``part``, and what the last addition lost; return what this one loses, too."""
    more = part - lost
    new = total + more
    return new, (new - total) - more


@triton.jit
def _block(
    rows,
    p_weight,
    base,
    rest,
    absent,
    DIFFERENCES: tl.constexpr,
    LANES: tl.constexpr,
    HALVINGS: tl.constexpr,
):
    """Sums over a block of its values less ``rest``, their squares, and products with weights.

    A value is the loss less ``base``, which for differences is the loss before.
    """
    total = tl.zeros_like(rest)
    squares = tl.zeros_like(rest)
    products = tl.zeros_like(rest)
    for k in tl.static_range(TERMS):
        if k % 4 == 0:
            weight = _four_weights(p_weight + k, LANES, HALVINGS)
        row = rows[k].to(tl.float32)
        value = tl.where(absent <= k, (row - base) - rest, 0.0)
        if DIFFERENCES:
            base = tl.where(absent <= k, row, base)
        else:
            total += value
        squares = tl.fma(value, value, squares)
        products = tl.fma(value, weight[k % 4], products)
    return total, squares, products, base


@triton.jit
def group_kernel(
    losses,  # [T, N], rows of `stride` elements
    groups,  # [N]
    weights,  # [C, blocks * TERMS]
    out,  # [N]
    failed,  # [programs]: how many samples are NaN
    stride,
    num_samples,
    num_blocks,
    absent,  # values that the first block lacks
    DIFFERENCES: tl.constexpr,
    LANES: tl.constexpr,
    HALVINGS: tl.constexpr,
):
    """Correlate the signals of LANES * VECTOR samples with the weights of their groups."""
    VECTOR: tl.constexpr = 2**HALVINGS
    i_program = tl.program_id(0).to(tl.int64)
    o_lane, o_vector = tl.arange(0, LANES)[:, None], tl.arange(0, VECTOR)[None, :]
    o_sample = (i_program * LANES + o_lane) * VECTOR + o_vector  # [LANES, VECTOR]
    inside = o_sample < stride  # whole vectors, up to the end of the row
    wanted = o_sample < num_samples
    group = tl.load(groups + o_sample, mask=wanted, other=0).to(tl.int64)
    p_weight = weights + group * (num_blocks * TERMS)
    p_loss = losses + o_sample

    # The first block, relative to its own mean.
    count = (-absent + TERMS).to(tl.float32)
    first = tl.zeros((LANES, VECTOR), tl.float32)
    if DIFFERENCES:
        first = tl.load(p_loss, mask=inside, other=0.0, eviction_policy="evict_first")
        first = first.to(tl.float32)
        p_loss += stride
    p_loss -= absent * stride
    rows = _load_rows(p_loss, stride, inside, absent)
    last = rows[TERMS - 1].to(tl.float32)
    if DIFFERENCES:
        base = first
        rest = tl.div_rn(last - first, count)
    else:
        sums = tl.zeros((LANES, VECTOR), tl.float32)
        for k in tl.static_range(TERMS):
            sums += tl.where(absent <= k, rows[k].to(tl.float32) - last, 0.0)
        offset = tl.div_rn(sums, count)
        base = last + offset
        rest = offset - (base - last)
    _, squares, products, base = _block(
        rows, p_weight, base, rest, absent, DIFFERENCES, LANES, HALVINGS
    )
    lost_squares = tl.zeros((LANES, VECTOR), tl.float32)
    lost_products = tl.zeros((LANES, VECTOR), tl.float32)

    for _ in range(1, num_blocks):
        p_loss += TERMS * stride
        p_weight += TERMS
        rows = _load_rows(p_loss, stride, inside, 0)
        reciprocal = tl.div_rn(1.0, count + TERMS)
        if DIFFERENCES:
            before = base
            rest = (base - first) * tl.div_rn(1.0, count)
        total, more_squares, more_products, base = _block(
            rows, p_weight, base, rest, 0, DIFFERENCES, LANES, HALVINGS
        )
        if DIFFERENCES:
            moved = (base - before) * (1.0 / TERMS) - rest
        else:
            moved = total * (1.0 / TERMS)
            # The mean and what it lacks (Knuth's two-sum).
            step = total * reciprocal
            new = base + step
            seen = new - base
            rest += (base - (new - seen)) + (step - seen)
            base = new
        more_squares = tl.fma(moved * moved, reciprocal * (-TERMS * TERMS), more_squares)
        squares, lost_squares = _add(squares, lost_squares, more_squares)
        products, lost_products = _add(products, lost_products, more_products)
        count += TERMS

    smallest = tl.zeros((LANES, VECTOR), tl.float32) + SMALLEST
    if DIFFERENCES:
        drift = base - first
        smallest += drift * drift * (tl.div_rn(1.0, count) * STEADY)
    score = tl.div_rn(products, tl.sqrt_rn(squares))
    score = tl.where((squares > smallest) & (squares < LARGEST), score, float("nan"))
    tl.store(out + o_sample, score, mask=wanted)
    bad = (wanted & (score != score)).to(tl.int32)
    tl.store(failed + i_program, tl.sum(tl.sum(bad, axis=1), axis=0))


def specialisations(target: Target) -> list[Specialisation]:
    """Return every form that ships."""
    return [
        _specialise(signal, dtype, target)
        for signal in SIGNALS
        for dtype in (torch.float16, torch.float32)
    ]


def correlate(
    losses: Any, groups: Any, weights: Any, signal: str, target: Target
) -> tuple[Any, Any]:
    """Scores [N], and how many of each program's are NaN.

    Parameters
    ----------
    losses : tensor of float16 or float32, shape (T, N)
        As `ltc_kernels.gpu.tiles.as_tile` has them; three signal values or more.
    groups : tensor of int32, shape (N,)
        Group of each sample.
    weights : tensor of float32
        From `ltc_kernels.gpu.weights.block_weights`.
    signal : {"loss", "difference"}
        What is correlated.
    target : Target
        What the tensors lie on.
    """
    num_checkpoints, num_samples = losses.shape
    terms = signal_length(num_checkpoints, signal)
    programs = -(-num_samples // tile(losses.element_size(), target).samples)
    out = torch.empty(num_samples, dtype=torch.float32, device=losses.device)
    failed = torch.empty(programs, dtype=torch.int32, device=losses.device)
    _specialise(signal, losses.dtype, target).launch(
        (programs, 1, 1),
        losses.device,
        losses=losses,
        groups=groups,
        weights=weights,
        out=out,
        failed=failed,
        stride=losses.stride(0),
        num_samples=num_samples,
        num_blocks=-(-terms // BLOCK),
        absent=-terms % BLOCK,
    )
    return out, failed


def _specialise(signal: str, dtype: Any, target: Target) -> Specialisation:
    chosen = tile(dtype.itemsize, target)
    types = {
        "losses": POINTERS[str(dtype)],
        "groups": "*i32",
        "weights": "*fp32",
        "out": "*fp32",
        "failed": "*i32",
        "stride": "i64",
        "num_samples": "i64",
        "num_blocks": "i64",
        "absent": "i32",
    }
    constants = {
        "DIFFERENCES": signal == "difference",
        "LANES": chosen.lanes,
        "HALVINGS": chosen.vector.bit_length() - 1,
    }
    return Specialisation(
        name=f"group_correlation, {signal}, {types['losses'].removeprefix('*')}",
        kernel=group_kernel,
        types=types,
        constants=constants,
        divisible=frozenset({"losses", "groups", "weights", "out", "stride"}),
        num_warps=1,
        enable_fp_fusion=False,
    )
