"""Small kernels with known faults and merits, to show that the checks of compiled code can fail."""

import triton
import triton.language as tl

from ltc_kernels.gpu.launching import Specialisation


@triton.jit
def column_sums(x, out, num_rows, num_columns, stride, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    for row in range(num_rows):
        total += tl.load(x + row * stride + i, mask=i < num_columns, other=0.0).to(tl.float32)
    tl.store(out + i, total, mask=i < num_columns)


@triton.jit
def hoarder(x, out, num_rows, stride, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Keep more values over a loop than there are registers."""
    rows, i = tl.arange(0, ROWS)[:, None], tl.arange(0, BLOCK)[None, :]
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    squares, cubes, most = total, total, total
    for row in range(num_rows):
        value = tl.load(x + (row * ROWS + rows) * stride + i).to(tl.float32)
        total += value
        squares += value * total
        cubes += value * squares
        most = tl.maximum(most, cubes * value)
    tl.store(out + rows * BLOCK + i, total * most + squares * cubes)


@triton.jit
def product(x, y, out, size, stride, BLOCK: tl.constexpr, INNER: tl.constexpr, TIMES: tl.constexpr):
    i = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK, BLOCK], tl.float32)
    for begin in range(0, size, INNER):
        k = begin + tl.arange(0, INNER)
        rows = tl.load(x + k[None, :] * stride + i[:, None])
        columns = tl.load(y + k[:, None] * stride + i[None, :])
        for part in tl.static_range(TIMES):
            total = tl.dot(rows + part, columns, total)
    tl.store(out + i[:, None] * BLOCK + i[None, :], total)


def form(name, kernel, constants, *, divisible, num_warps=4, num_stages=2):
    types = {"x": "*fp16", "y": "*fp16", "out": "*fp32", "stride": "i64"}
    return Specialisation(
        name=name,
        kernel=kernel,
        types={name: types.get(name, "i32") for name in kernel.arg_names if name not in constants},
        constants=constants,
        divisible=frozenset(divisible) & set(kernel.arg_names),
        num_warps=num_warps,
        enable_fp_fusion=True,
        num_stages=num_stages,
    )


def specialisations(target):
    rows = 64 if target.backend == "hip" else 16  # more registers per thread are more to fill
    aligned = ("x", "y", "out", "num_columns", "stride")
    block = {"BLOCK": 2048}
    return [
        form("wide loads", column_sums, block, divisible=aligned),
        form("narrow loads", column_sums, block, divisible=("x", "out")),
        form("spills", hoarder, {"ROWS": rows, "BLOCK": 128}, divisible=aligned, num_warps=1),
        *(
            form(
                f"{times} products",
                product,
                {"BLOCK": 128, "INNER": 64, "TIMES": times},
                divisible=aligned,
            )
            for times in (1, 3)
        ),
    ]
