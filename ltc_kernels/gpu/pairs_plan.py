"""How the product of pairs is divided: a pure rule, of numbers only.

A program multiplies a tile of training samples with a tile of queries, a block of checkpoints at a
time. Its sums stay in registers: those of the block at work, those of all blocks and, where there
are many, those of a span of blocks. Losses and weights of later blocks are on their way into shared
memory meanwhile.
"""

from dataclasses import dataclass
from typing import Final

from ltc_kernels.gpu.targets import Target

BLOCK_TERMS: Final = 32  # signal values whose products one accumulator of the tensor cores sums
SPAN: Final = 8  # blocks whose sums are added up before they join those of other spans
QUERIES: Final = 128  # of a tile, which weights are padded to: what tensor cores take at once
SAMPLES: Final = (128, 64, 32)  # of a tile, preferred first
STAGES: Final = {"cuda": (3, 2, 1), "hip": (2, 1)}  # preferred first
WARPS: Final = 8
MOST_REGISTERS: Final = 255  # that an instruction can name
LOSSES_REGISTERS: Final = (
    6  # for each loss at work: twice as stored, centred, its parts, its square
)
# Addresses, counters and masks; AMD's losses and weights wait in registers, too.
OTHER_REGISTERS: Final = {"cuda": 24, "hip": 72}
ITEM_BYTES: Final = {"fp16": 2, "fp32": 4}


@dataclass(frozen=True)
class ProductPlan:
    """One way to divide the product.

    Attributes
    ----------
    block_queries, block_samples, block_terms : int
        Sides of a tile, and signal values of a block.
    long : bool
        Whether blocks are summed in spans.
    num_warps, num_stages : int
        Warps of a program, and how many blocks are at work or on their way.
    shared_memory : int
        Bytes that it takes at most.
    """

    block_queries: int
    block_samples: int
    block_terms: int
    long: bool
    num_warps: int
    num_stages: int
    shared_memory: int


def is_long(num_terms: int) -> bool:
    """Whether so many signal values are summed in spans.

    Examples
    --------
    >>> is_long(256), is_long(257)
    (False, True)
    """
    return num_terms > SPAN * BLOCK_TERMS


def plan_product(long: bool, dtype: str, target: Target, *, spare: int = 0) -> ProductPlan:
    """Divide the product as the target's registers and shared memory allow.

    Parameters
    ----------
    long : bool
        Whether blocks are summed in spans, see `is_long`.
    dtype : {"fp16", "fp32"}
        How the losses are stored.
    target : Target
        Where it runs.
    spare : int
        Registers of a thread to leave for what is done with the correlations.

    Returns
    -------
    ProductPlan

    Examples
    --------
    >>> from ltc_kernels.gpu.targets import SM_90
    >>> plan = plan_product(False, "fp16", SM_90)
    >>> plan.block_samples, plan.num_stages
    (128, 3)
    """
    threads = WARPS * target.warp_size
    available = min(target.registers // threads, MOST_REGISTERS) - spare
    block_samples = next(
        (size for size in SAMPLES if _registers(size, long, target) <= available), SAMPLES[-1]
    )
    needed = {s: _shared_memory(block_samples, dtype, s, target) for s in STAGES[target.backend]}
    num_stages = next((s for s in needed if needed[s] <= target.shared_memory), min(needed))
    return ProductPlan(
        block_queries=QUERIES,
        block_samples=block_samples,
        block_terms=BLOCK_TERMS,
        long=long,
        num_warps=WARPS,
        num_stages=num_stages,
        shared_memory=needed[num_stages],
    )


def _registers(block_samples: int, long: bool, target: Target) -> int:
    threads = WARPS * target.warp_size
    sums = (3 if long else 2) * QUERIES * block_samples // threads
    losses = LOSSES_REGISTERS * BLOCK_TERMS * block_samples // threads
    return sums + losses + OTHER_REGISTERS[target.backend]


def _shared_memory(block_samples: int, dtype: str, num_stages: int, target: Target) -> int:
    """Weights and losses on their way, and the parts at work; AMD's losses wait in registers."""
    weights = 2 * QUERIES * BLOCK_TERMS * ITEM_BYTES["fp16"]
    losses = 2 * BLOCK_TERMS * block_samples * ITEM_BYTES[dtype]
    parts = 2 * BLOCK_TERMS * block_samples * ITEM_BYTES["fp16"]
    waiting = weights + losses if target.backend == "cuda" else weights
    return num_stages * waiting + parts
