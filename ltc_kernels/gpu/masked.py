"""Correlation over the values that both sides have, in float64: the exact path for few columns.

As `ltc_kernels.cpu.masked`: a missing value, of either side, drops its checkpoint; a difference
needs both its ends. Each column is compared with a run of trajectories, and what is defined is
summed. A first pass over the checkpoints finds the means, a second the centred sums, corrected by
what the means were off (Chan, Golub and LeVeque 1983): a constant is found to be one.
"""

from typing import Any, Final

import torch
import triton
import triton.language as tl

from ltc_kernels.algebra import CONSTANT_TOLERANCE, MINIMUM_VALUES
from ltc_kernels.gpu.launching import POINTERS, Specialisation
from ltc_kernels.gpu.targets import Target

COLUMNS: Final = 32  # of a program
CHECKPOINTS: Final = 16  # taken at once
WARPS: Final = 4
TOLERANCE = tl.constexpr(CONSTANT_TOLERANCE)
MINIMUM = tl.constexpr(MINIMUM_VALUES)


@triton.jit
def _signal(p_value, step, o_checkpoint, mask, LAG: tl.constexpr):
    """Losses, or their differences, in float64, and whether they are there: [T, n]."""
    value = tl.load(p_value + o_checkpoint * step, mask=mask, other=float("nan")).to(tl.float64)
    largest = tl.where(tl.abs(value) < float("inf"), tl.abs(value), 0.0)
    if LAG:
        before = tl.load(p_value + (o_checkpoint - 1) * step, mask=mask, other=float("nan"))
        before = before.to(tl.float64)
        largest = tl.maximum(largest, tl.where(tl.abs(before) < float("inf"), tl.abs(before), 0.0))
        value -= before
    return value, tl.abs(value) < float("inf"), largest


@triton.jit
def masked_kernel(
    losses,  # [T, N], rows of `stride` elements
    columns,  # [n]: which samples
    begins,  # [n]: the trajectories that each is compared with,
    ends,  # [n]: from the first to the one before this
    trajectories,  # [M, T]
    rounding,  # [M]: what of each is rounding
    sums,  # [n]
    counts,  # [n]
    stride,
    num_columns,
    num_checkpoints,
    LAG: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHECKPOINTS: tl.constexpr,
):
    """Sum and number of the defined correlations of each column with its trajectories."""
    i_program = tl.program_id(0).to(tl.int64)
    o_column = i_program * COLUMNS + tl.arange(0, COLUMNS)
    wanted = o_column < num_columns
    column = tl.load(columns + o_column, mask=wanted, other=0)
    begin = tl.load(begins + o_column, mask=wanted, other=0)
    end = tl.load(ends + o_column, mask=wanted, other=0)
    p_loss = (losses + column)[None, :]
    total = tl.zeros((COLUMNS,), tl.float64)
    count = tl.zeros((COLUMNS,), tl.int64)
    for i_trajectory in range(tl.max(end - begin, axis=0)):
        i_row = begin + i_trajectory
        compared = i_row < end
        i_row = tl.where(compared, i_row, 0)
        p_other = (trajectories + i_row * num_checkpoints)[None, :]
        number = tl.zeros((COLUMNS,), tl.float64)
        mean_x = tl.zeros((COLUMNS,), tl.float64)
        mean_y = tl.zeros((COLUMNS,), tl.float64)
        largest = tl.zeros((COLUMNS,), tl.float64)
        for first in range(LAG, num_checkpoints, CHECKPOINTS):
            o_checkpoint = first + tl.arange(0, CHECKPOINTS).to(tl.int64)[:, None]
            mask = (o_checkpoint < num_checkpoints) & compared[None, :]
            x, is_x, size = _signal(p_loss, stride, o_checkpoint, mask, LAG)  # [T, n]
            y, is_y, _ = _signal(p_other, 1, o_checkpoint, mask, LAG)
            both = is_x & is_y
            number += tl.sum(both.to(tl.float64), axis=0)
            mean_x += tl.sum(tl.where(both, x, 0.0), axis=0)
            mean_y += tl.sum(tl.where(both, y, 0.0), axis=0)
            largest = tl.maximum(largest, tl.max(size, axis=0))
        enough = number >= MINIMUM
        number = tl.maximum(number, 1.0)
        mean_x, mean_y = mean_x / number, mean_y / number
        rest_x = tl.zeros((COLUMNS,), tl.float64)
        rest_y = tl.zeros((COLUMNS,), tl.float64)
        square_x = tl.zeros((COLUMNS,), tl.float64)
        square_y = tl.zeros((COLUMNS,), tl.float64)
        product = tl.zeros((COLUMNS,), tl.float64)
        for first in range(LAG, num_checkpoints, CHECKPOINTS):
            o_checkpoint = first + tl.arange(0, CHECKPOINTS).to(tl.int64)[:, None]
            mask = (o_checkpoint < num_checkpoints) & compared[None, :]
            x, is_x, _ = _signal(p_loss, stride, o_checkpoint, mask, LAG)
            y, is_y, _ = _signal(p_other, 1, o_checkpoint, mask, LAG)
            both = is_x & is_y
            x = tl.where(both, x - mean_x[None, :], 0.0)
            y = tl.where(both, y - mean_y[None, :], 0.0)
            rest_x += tl.sum(x, axis=0)
            rest_y += tl.sum(y, axis=0)
            square_x += tl.sum(x * x, axis=0)
            square_y += tl.sum(y * y, axis=0)
            product += tl.sum(x * y, axis=0)
        spread_x = tl.sqrt(tl.maximum(square_x - rest_x * rest_x / number, 0.0))
        spread_y = tl.sqrt(tl.maximum(square_y - rest_y * rest_y / number, 0.0))
        limit = tl.sqrt(number)
        limit_y = limit * tl.load(rounding + i_row)
        varies = (spread_x > limit * largest * TOLERANCE) & (spread_y > limit_y)
        defined = compared & enough & varies
        correlation = (product - rest_x * rest_y / number) / spread_x / spread_y
        total += tl.where(defined, correlation, 0.0)
        count += defined.to(tl.int64)
    tl.store(sums + o_column, total, mask=wanted)
    tl.store(counts + o_column, count, mask=wanted)


def specialisations(target: Target) -> list[Specialisation]:  # noqa: ARG001  # the same for all
    """Return every form that ships."""
    return [_specialise(lag, dtype) for lag in (0, 1) for dtype in (torch.float16, torch.float32)]


def sums_and_counts(
    losses: Any, columns: Any, begins: Any, ends: Any, references: tuple[Any, Any], lag: int
) -> tuple[Any, Any]:
    """Sum, float64, and number, int64, of the defined correlations of some samples, both [n].

    Parameters
    ----------
    losses : tensor of float16 or float32, shape (T, N)
        As `ltc_kernels.gpu.tiles.as_tile` has them.
    columns : tensor of int64, shape (n,)
        Which samples.
    begins, ends : tensors of int64, shape (n,)
        The trajectories that each is compared with, from the first to the one before the last.
    references : tensors of float64, shapes (M, T) and (M,)
        From `ltc_kernels.gpu.weights.trajectories_on`.
    lag : {0, 1}
        Whether losses are correlated, or their differences.
    """
    trajectories, rounding = references
    num_columns = len(columns)
    sums = torch.empty(num_columns, dtype=torch.float64, device=losses.device)
    counts = torch.empty(num_columns, dtype=torch.int64, device=losses.device)
    _specialise(lag, losses.dtype).launch(
        (-(-num_columns // COLUMNS), 1, 1),
        losses.device,
        losses=losses,
        columns=columns,
        begins=begins,
        ends=ends,
        trajectories=trajectories,
        rounding=rounding,
        sums=sums,
        counts=counts,
        stride=losses.stride(0),
        num_columns=num_columns,
        num_checkpoints=len(losses),
    )
    return sums, counts


def _specialise(lag: int, dtype: Any) -> Specialisation:
    types = {
        "losses": POINTERS[str(dtype)],
        "columns": "*i64",
        "begins": "*i64",
        "ends": "*i64",
        "trajectories": "*fp64",
        "rounding": "*fp64",
        "sums": "*fp64",
        "counts": "*i64",
        "stride": "i64",
        "num_columns": "i64",
        "num_checkpoints": "i64",
    }
    return Specialisation(
        name=f"masked, {'difference' if lag else 'loss'}, {types['losses'].removeprefix('*')}",
        kernel=masked_kernel,
        types=types,
        constants={"LAG": lag, "COLUMNS": COLUMNS, "CHECKPOINTS": CHECKPOINTS},
        divisible=frozenset(),
        num_warps=WARPS,
        enable_fp_fusion=False,
    )
