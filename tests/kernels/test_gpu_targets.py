"""Targets and launches, as far as they need no GPU."""

import contextlib
import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from ltc_kernels import BackendUnavailableError, prepare_references

pytest.importorskip("triton")

from triton.backends.compiler import GPUTarget

from ltc_kernels.gpu import group, launching, missing, targets
from ltc_kernels.gpu.specialisations import specialisations
from ltc_kernels.gpu.tiles import as_tile, empty_tile, row_length, whole

H200 = {"multiprocessor_count": 132, "max_num_regs": 65536, "max_shared_mem": 232448}


def test_targets_are_named_after_their_architecture():
    assert list(targets.TARGETS) == ["sm_80", "sm_90", "sm_100", "gfx942"]
    for name, target in targets.TARGETS.items():
        assert name == target.name
        assert str(target.arch) in name
        assert target.triton == GPUTarget(target.backend, target.arch, target.warp_size)
        assert all(value for value in dataclasses.astuple(target))


def test_a_device_is_described_by_its_driver():
    found = targets.describe(GPUTarget("cuda", 90, 32), H200, "NVIDIA H200")
    assert (found.name, found.multiprocessors, found.shared_memory) == ("sm_90", 132, 227 * 1024)
    assert found.bandwidth is None  # that of an H100 isn't its own
    unknown = targets.describe(GPUTarget("hip", "gfx950", 64), H200, "MI355X")
    assert (unknown.name, unknown.arch, unknown.warp_size) == ("gfx950", "gfx950", 64)


def test_no_gpu_is_an_error_that_says_so():
    with pytest.raises(BackendUnavailableError, match="run on a CUDA or ROCm device, got cpu"):
        targets.target_of("cpu")


def test_importing_asks_no_device_anything():
    code = """
import torch
from triton.runtime import driver
def asked(*_): raise AssertionError("a device was asked")
torch._C._cuda_init = torch.cuda.is_available = asked
import ltc_kernels.gpu, ltc_kernels.gpu.specialisations
assert driver._active is None, driver._active
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("target", targets.TARGETS.values(), ids=targets.TARGETS)
def test_forms_are_whole_and_named_apart(target):
    forms = specialisations(target)
    assert len({form.name for form in forms}) == len(forms) > 0
    for form in forms:
        assert {*form.types, *form.constants} == set(form.kernel.arg_names), form.name
        assert not form.types.keys() & form.constants.keys(), form.name
        assert form.divisible <= form.types.keys(), form.name


def test_a_launch_checks_what_the_kernel_will_believe():
    form = missing._specialise("fp16")
    losses = torch.zeros((3, 64), dtype=torch.float16)
    good = {
        "losses": losses,
        "counts": torch.zeros(3, dtype=torch.int32),
        "stride": 64,
        "num_samples": 50,
        "blocks": 1,
    }
    nothing = (0, 1, 1)
    form.launch(nothing, "cpu", **good)
    for change, error, message in [
        ({"losses": losses.float()}, TypeError, r"losses must be \*fp16, got torch.float32"),
        ({"blocks": 1.0}, TypeError, "blocks must be i64, got 1.0"),
        ({"stride": 2**63}, TypeError, "stride must be i64, got 9223372036854775808"),
        ({"stride": 65}, ValueError, "stride must be a multiple of 16, got 65"),
        ({"losses": losses[:, 1:]}, ValueError, "losses must be a multiple of 16"),
        ({"extra": 1}, TypeError, "count_missing, fp16 takes losses, counts, .* got .* extra"),
    ]:
        with pytest.raises(error, match=message):
            form.launch(nothing, "cpu", **(good | change))


def test_a_launch_hands_arguments_over_in_the_order_of_the_kernel(monkeypatch):
    launched = []

    class Compiled:
        def __getitem__(self, programs):
            return lambda *arguments: launched.append((programs, arguments))

    monkeypatch.setattr(launching, "_compiled_on", lambda *_: Compiled())
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    losses = torch.zeros((3, 64), dtype=torch.float16)
    counts = torch.zeros(3, dtype=torch.int32)
    missing._specialise("fp16").launch(
        (3, 1, 1), "cuda:0", stride=64, blocks=1, num_samples=50, counts=counts, losses=losses
    )
    ((programs, arguments),) = launched
    assert programs == (3, 1, 1)
    assert arguments[0] is losses
    assert arguments[1] is counts
    assert arguments[2:] == (64, 50, 1, missing.BLOCK)


@pytest.mark.parametrize("target", targets.TARGETS.values(), ids=targets.TARGETS)
def test_a_thread_of_the_group_kernel_loads_16_bytes(target):
    for element_size in (2, 4):
        tile = group.tile(element_size, target)
        assert tile.vector * element_size == 16
        assert tile.lanes == target.warp_size  # one warp, which waits for no other
        assert tile.samples == tile.lanes * tile.vector


def test_prepared_references_that_change_are_placed_anew():
    prepared = prepare_references(np.array([[3.0, 2.0, 1.0]]), signal="loss")
    prepared.placed["weights", "cpu"] = None
    assert not dataclasses.replace(prepared, weights=-prepared.weights).placed


@pytest.mark.parametrize("num_samples", [0, 1, 63, 64, 65, 1_281_167])
def test_rows_of_tiles_start_at_multiples_of_64(num_samples):
    tile = empty_tile(2, num_samples, torch.float16, "cpu")
    assert tile.shape == (2, num_samples)
    assert tile.stride(0) == row_length(num_samples) == whole(tile).shape[1]
    assert tile.stride(0) % 64 == 0
    assert as_tile(tile).data_ptr() == tile.data_ptr()
    assert whole(tile).is_contiguous()


@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x,  # rows of 70
        lambda x: x.T,
        lambda x: x[:, :10].as_strided((5, 10), (64, 1), 3),  # not on 16 bytes
        lambda x: x.as_strided((2, 10), (128, 2)),
        lambda x: x.as_strided((5, 30), (64, 1), 56),  # the last row would pass the memory's end
        lambda x: x[:1].expand(5, 70),
    ],
)
def test_other_arrangements_are_copied(arrange):
    losses = arrange(torch.arange(350, dtype=torch.float32).view(5, 70).to(torch.float16))
    tile = as_tile(losses)
    assert torch.equal(tile, losses)
    assert tile.data_ptr() != losses.data_ptr()
    assert tile.stride(0) % 64 == 0
