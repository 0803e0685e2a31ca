"""How many losses are missing: bound by reading them once, 2 bytes each.

A program counts in a part of one row and writes one number; torch adds those up.
"""

from typing import Any, Final

import torch
import triton
import triton.language as tl

from ltc_kernels.gpu.launching import Specialisation
from ltc_kernels.gpu.targets import Target
from ltc_kernels.gpu.tiles import as_tile

BLOCK: Final = 4096  # values of a program
WARPS: Final = 4


@triton.jit
def count_kernel(
    losses,  # [T, N], rows of `stride` elements
    counts,  # [programs]
    stride,
    num_samples,
    blocks,  # programs of a row
    BLOCK: tl.constexpr,
):
    """Count the values of one part of one row that aren't finite."""
    i_program = tl.program_id(0).to(tl.int64)
    i_row, i_block = i_program // blocks, i_program % blocks
    o_sample = i_block * BLOCK + tl.arange(0, BLOCK)
    # Whole vectors are loaded, up to the row's end, and those beyond the last sample don't count.
    values = tl.load(losses + i_row * stride + o_sample, mask=o_sample < stride, other=0.0)
    missing = (o_sample < num_samples) & ~(tl.abs(values) < float("inf"))
    tl.store(counts + i_program, tl.sum(missing.to(tl.int32), axis=0))


def specialisations(target: Target) -> list[Specialisation]:  # noqa: ARG001  # the same for all
    """Return every form that ships."""
    return [_specialise("fp16"), _specialise("fp32")]


def count_missing(losses: Any) -> int:
    """See `ltc_kernels.count_missing`; a tensor [T, N]."""
    num_checkpoints, num_samples = losses.shape
    if losses.numel() == 0:
        return 0
    tile = as_tile(losses)
    blocks = -(-num_samples // BLOCK)
    programs = num_checkpoints * blocks
    counts = torch.empty(programs, dtype=torch.int32, device=losses.device)
    form = _specialise("fp16" if losses.dtype == torch.float16 else "fp32")
    form.launch(
        (programs, 1, 1),
        losses.device,
        losses=tile,
        counts=counts,
        stride=tile.stride(0),
        num_samples=num_samples,
        blocks=blocks,
    )
    return int(counts.sum())


def _specialise(dtype: str) -> Specialisation:
    types = {
        "losses": f"*{dtype}",
        "counts": "*i32",
        "stride": "i64",
        "num_samples": "i64",
        "blocks": "i64",
    }
    return Specialisation(
        name=f"count_missing, {dtype}",
        kernel=count_kernel,
        types=types,
        constants={"BLOCK": BLOCK},
        divisible=frozenset({"losses", "counts", "stride"}),
        num_warps=WARPS,
        enable_fp_fusion=False,
    )
