"""The kernels for a GPU as they are compiled for targets that are not at hand: every form."""

from math import prod

import pytest
import torch

pytest.importorskip("triton")

from benchmarks import roofline
from benchmarks.compilation import SHIPPED, compile_all
from benchmarks.compiled import by_target, describe, faults
from benchmarks.launches import launches
from benchmarks.traffic import traffic
from ltc_kernels.gpu.pairs_plan import plan_product
from ltc_kernels.gpu.specialisations import specialisations
from ltc_kernels.gpu.targets import TARGETS
from ltc_kernels.gpu.tiles import row_length


@pytest.fixture(scope="module")
def compiled():
    """All forms by target, compiled once."""
    return by_target(compile_all(SHIPPED))


@pytest.mark.parametrize("target", TARGETS)
def test_every_form_compiles(compiled, target):
    names = [form.name for form in specialisations(TARGETS[target])]
    assert list(compiled[target]) == names
    assert len(set(names)) == len(names) > 1


@pytest.mark.parametrize("target", TARGETS)
def test_no_form_spills_or_takes_more_than_there_is(compiled, target):
    assert [fault for one in compiled[target].values() for fault in faults(one)] == []


MATRIX = {"sm_80": "HMMA", "sm_90": "HGMMA", "sm_100": "UTC", "gfx942": "v_mfma"}


@pytest.mark.parametrize("target", TARGETS)
def test_pairs_are_three_products_on_tensor_cores(compiled, target):
    products = [one for one in compiled[target].values() if "UNIT" in one.constants]
    assert len(products) == 12
    for one in products:
        opcodes = one.code.opcodes("matrix")
        assert opcodes, one
        assert all(opcode.startswith(MATRIX[target]) for opcode in opcodes), one
        assert ("tcgen05.mma" in one.texts.get("ptx", "")) == (target == "sm_100"), one
        issued = set(one.code.positions("matrix"))
        block = min((loop for loop in one.code.loops if loop & issued), key=len)
        sizes = [one.constants[name] for name in ("BM", "BN", "BT")]
        assert one.multiplications(block) == 3 * prod(sizes), one


@pytest.mark.parametrize("target", TARGETS)
def test_plans_know_the_shared_memory_of_products(compiled, target):
    for one in compiled[target].values():
        if one.name.startswith("pair_correlation"):
            plan = plan_product(one.constants["LONG"], one.name.split(", ")[1], TARGETS[target])
            assert one.shared <= plan.shared_memory, one


@pytest.mark.parametrize("target", TARGETS)
def test_losses_are_counted_16_bytes_at_a_time(compiled, target):
    for dtype in ("fp16", "fp32"):
        assert set(compiled[target][f"count_missing, {dtype}"].code.widths("load")) == {16}


GROUP_FORMS = [
    f"group_correlation, {signal}, {dtype}"
    for signal in ("loss", "difference")
    for dtype in ("fp16", "fp32")
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("form", GROUP_FORMS)
def test_the_group_kernel_loads_16_bytes_at_a_time_and_nothing_twice(compiled, target, form):
    """In its loop; outside there is the group of each sample, too."""
    one = compiled[target][form]
    loops = [loop for loop in one.code.loops if one.code.count("load", loop)]
    assert loops
    assert set(one.code.widths("load")) == {4, 16}
    # What one more block of checkpoints loads, by the intermediate code.
    arguments = {"stride": 1_281_216, "num_samples": 1_281_167, "absent": 0}
    two, three = (
        traffic(one.texts["ttir"], arguments | {"num_blocks": number}).loaded.total()
        for number in (2, 3)
    )
    for loop in loops:
        widths = one.code.widths("load", loop)
        assert set(widths) == {16}
        blocks, rest = divmod(16 * widths[16] * one.threads, three - two)
        assert (blocks >= 1, rest) == (True, 0)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("num_checkpoints", [4, 9, 90, 1000])
@pytest.mark.parametrize("signal", ["loss", "difference"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_bytes_of_a_sample_in_the_group_kernel(compiled, target, num_checkpoints, signal, dtype):
    """At most 2 T + 12 (float32 losses: 4 T), the last program's absent samples among them."""
    num_samples = 1_281_167 if num_checkpoints <= 90 else 70_000
    losses = torch.zeros(num_checkpoints, row_length(num_samples), dtype=dtype)[:, :num_samples]
    found = launches(TARGETS[target], roofline.group_call(losses, signal))
    (launch,) = found
    needed = roofline.need(found, compiled[target])
    assert not needed.total.unknown
    moved = needed.total.loaded + needed.total.stored
    samples = moved["out"] // 4  # of all programs
    assert num_samples <= samples < num_samples + 1024
    assert moved["losses"] == dtype.itemsize * num_checkpoints * samples
    from_caches = moved.pop("weights")
    assert from_caches == 4 * samples * launch.integers["num_blocks"] * 8
    limit = dtype.itemsize * num_checkpoints + 12
    assert moved.total() <= limit * samples
    if num_samples == 1_281_167:  # what the last program has too many is nothing; weights once
        assert moved.total() <= limit * num_samples
        assert needed.memory <= limit * num_samples


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("signal", ["loss", "difference"])
def test_an_online_update_reads_and_writes_the_state_once(compiled, target, signal):
    """Each field that changes once each way; a mean that is asked for twice is in the caches."""
    problem = next(p for p in roofline.problems() if p.name == f"online_update, {signal}")
    found = launches(TARGETS[target], problem.call)
    form = f"online_update, {signal}"
    assert [launch.form for launch in found if launch.form.startswith("online")] == [form]
    updates = [launch for launch in found if launch.form == form]
    needed = roofline.need(updates, compiled[target])
    moved = needed.total.loaded + needed.total.stored
    samples = moved["groups"] // 4
    words, halves = (2, 4) if signal == "difference" else (3, 3)
    unchanged = 1 if signal == "difference" else 0  # the first loss is only read
    state = 4 * words * 2 + 2 * (halves * 2 - unchanged)
    again = 4 + 2 if signal == "loss" else 0
    assert moved["words"] + moved["halves"] == (state + again) * samples
    assert moved["losses"] == 2 * samples
    assert not needed.total.unknown


def test_the_table_has_a_row_for_each(compiled):
    forms = [one for target in compiled.values() for one in target.values()]
    rows = describe(forms).rows
    assert [(row[0], row[1]) for row in rows] == [(one.name, one.target.name) for one in forms]
    assert roofline.describe(compiled).rows
    assert all(row[3].isdigit() and " x " in row[6] for row in rows)
