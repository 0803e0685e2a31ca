"""What a call starts on a GPU and the time that a data sheet allows for it, both without one."""

import doctest
import os
from collections import Counter
from dataclasses import replace

import pytest

pytest.importorskip("triton")

import torch

from benchmarks import compiled, instructions, roofline
from benchmarks.launches import Launch, launches, tensor_bytes
from benchmarks.roofline import Need
from benchmarks.traffic import Traffic
from ltc_kernels import count_missing
from ltc_kernels.gpu import missing
from ltc_kernels.gpu.launching import Specialisation
from ltc_kernels.gpu.missing import BLOCK
from ltc_kernels.gpu.targets import SM_90, TARGETS
from ltc_kernels.gpu.tiles import empty_tile


@pytest.mark.parametrize("target", TARGETS)
def test_launches_are_written_down_and_not_done(target):
    before = os.environ.get("TRITON_INTERPRET"), Specialisation.launch, torch.empty
    losses = empty_tile(5, 1000, torch.float32, "cpu")
    found = launches(TARGETS[target], lambda: count_missing(losses, backend="gpu"))
    stride = losses.stride(0)
    assert found == [
        Launch(
            "count_missing, fp32",
            5 * -(-1000 // BLOCK),
            {"stride": stride, "num_samples": 1000, "blocks": -(-1000 // BLOCK)},
            {"losses": (4 * stride + 1000) * 4, "counts": 5 * -(-1000 // BLOCK) * 4},
        )
    ]
    assert before == (os.environ.get("TRITON_INTERPRET"), Specialisation.launch, torch.empty)


def test_a_launch_that_would_fail_is_not_written_down():
    form = missing.specialisations(SM_90)[0]
    with pytest.raises(TypeError, match=r"count_missing, fp16 takes losses, .* got losses"):
        launches(SM_90, lambda: form.launch((1, 1, 1), "cpu", losses=torch.zeros(3)))


def test_bytes_of_a_tensor_reach_to_its_last_element():
    tensor = torch.zeros(4, 64, dtype=torch.float16)
    assert tensor_bytes(tensor) == 4 * 64 * 2
    assert tensor_bytes(tensor[:, :10]) == (3 * 64 + 10) * 2
    assert tensor_bytes(tensor[:0]) == 0


def test_what_launches_need_is_added_up():
    ir = """
  tt.func public @k(%p: !tt.ptr<f16>, %table: !tt.ptr<f32>) {
    %a = tt.splat %p : !tt.ptr<f16> -> tensor<8x!tt.ptr<f16>>
    %b = tt.load %a : tensor<8x!tt.ptr<f16>>
    %t = tt.load %table : !tt.ptr<f32>
    %c = math.fma %b, %b, %b : tensor<8xf32>
    %d = tt.dot %x, %y, %z : tensor<16x4xf16> * tensor<4x2xf16> -> tensor<16x2xf32>
    tt.store %a, %b : tensor<8x!tt.ptr<f16>>
  }"""
    form = type("Form", (), {"texts": {"ttir": ir}})
    launch = Launch("form", 10, {}, {"p": 160, "table": 4})
    total = roofline.need([launch, replace(launch, programs=5)], {"form": form})
    assert total.total.loaded == {"p": 16 * 15, "table": 4 * 15}
    assert total.total.stored == {"p": 16 * 15}
    # Each argument once per launch, as far as it is read and written.
    assert total.memory == (160 + 4 + 160) + (80 + 4 + 80)
    assert total.total.multiplied == {"f16": 16 * 4 * 2 * 15}
    assert total.total.operations == {"f32": 16 * 15}


def test_times_are_those_of_the_data_sheet():
    target = replace(SM_90, bandwidth=2e12, float32_rate=1e13, float16_rate=1e15, tf32_rate=5e14)
    done = Traffic(
        multiplied=Counter({"f16": 10**14, "f32, tf32": 10**13}), operations=Counter(f32=10**9)
    )
    total = Need(done, 10**10)
    assert total.times(target) == pytest.approx(
        {"memory": 0.005, "tensor cores": 0.2 + 0.04, "vector units": 1e-4}
    )


@pytest.mark.parametrize("module", [compiled, instructions, roofline])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted > 0
