"""How the product of pairs is divided on a GPU: numbers only."""

from dataclasses import FrozenInstanceError, replace

import pytest

pytest.importorskip("triton")

from ltc_kernels.gpu.pairs_plan import BLOCK_TERMS, SAMPLES, is_long, plan_product
from ltc_kernels.gpu.targets import GFX942, SM_80, SM_90, TARGETS


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("spare", [0, 80])
def test_a_plan_fits_its_target(target, dtype, long, spare):
    plan = plan_product(long, dtype, target, spare=spare)
    threads = plan.num_warps * target.warp_size
    sums = (3 if long else 2) * plan.block_queries * plan.block_samples // threads
    assert plan.shared_memory <= target.shared_memory
    assert sums + spare < min(target.registers // threads, 255)
    assert plan.block_terms == BLOCK_TERMS
    assert plan.num_stages == (3 if target.backend == "cuda" else 2)


def test_what_takes_registers_makes_tiles_narrower():
    widths = [plan_product(long, "fp16", SM_90).block_samples for long in (False, True)]
    assert widths == [128, 64]
    assert plan_product(False, "fp16", SM_90, spare=80).block_samples == 64
    assert plan_product(False, "fp16", replace(SM_90, registers=1)).block_samples == SAMPLES[-1]


def test_what_shared_memory_cannot_hold_is_not_fetched_ahead():
    small = replace(SM_80, shared_memory=120_000)
    assert plan_product(False, "fp16", small).num_stages == 3
    assert plan_product(False, "fp32", small).num_stages == 2
    assert plan_product(False, "fp16", replace(GFX942, shared_memory=0)).num_stages == 1


def test_a_span_is_256_values():
    assert [is_long(n) for n in (3, 256, 257, 4096)] == [False, False, True, True]


def test_a_plan_does_not_change():
    with pytest.raises(FrozenInstanceError):
        plan_product(False, "fp16", SM_90).block_samples = 1
