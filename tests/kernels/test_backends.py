"""Which implementation serves which array, and what is said where none does."""

import subprocess
import sys

import numpy as np
import pytest

from ltc_kernels import ArgumentValueError, BackendUnavailableError, backends, count_missing

LOSSES = np.zeros((3, 2), np.float32)


class Tensor:
    """What dispatch sees of a tensor that lies elsewhere."""

    def __init__(self, device):
        import torch

        self.device = torch.device(device)


Tensor.__module__ = "torch"


@pytest.mark.parametrize(
    ("backend", "device", "served", "expected"),
    [
        ("auto", "cpu", backends.BACKENDS[1:], "cpu"),
        ("auto", "cuda:1", backends.BACKENDS[1:], "gpu"),
        ("gpu", "cuda:0", backends.BACKENDS[1:], "gpu"),
        ("reference", "cpu", backends.BACKENDS[1:], "reference"),
    ],
)
def test_the_device_decides(backend, device, served, expected):
    assert backends.choose(backend, Tensor(device), served=served) == expected


@pytest.mark.parametrize(
    ("backend", "device", "message"),
    [
        ("auto", "mps", "no backend serves arrays on mps; there are reference and cpu for arrays"),
        ("cpu", "cuda:0", "backend 'cpu' takes arrays on the CPU, got a tensor on cuda:0"),
        ("gpu", "mps", "backend 'gpu' takes torch tensors on a CUDA or ROCm device, got a tensor"),
    ],
)
def test_requests_that_cannot_be_met(backend, device, message):
    with pytest.raises(BackendUnavailableError, match=message):
        backends.choose(backend, Tensor(device))


def test_a_kernel_without_a_gpu_form_says_so():
    with pytest.raises(BackendUnavailableError, match="no backend serves arrays on cuda:0; there"):
        backends.choose("auto", Tensor("cuda:0"), served=("reference", "cpu"))
    with pytest.raises(ArgumentValueError, match="must be one of auto, reference, cpu, got 'gpu'"):
        backends.choose("gpu", LOSSES, served=("reference", "cpu"))


def test_numpy_arrays_are_not_taken_to_a_gpu():
    with pytest.raises(BackendUnavailableError, match="got a NumPy array; there are reference and"):
        count_missing(LOSSES, backend="gpu")
    with pytest.raises(ArgumentValueError, match="must be one of auto, reference, cpu, gpu, got"):
        count_missing(LOSSES, backend="tpu")


def test_the_cpu_needs_neither_torch_nor_triton():
    code = """
import sys, numpy, ltc_kernels
assert ltc_kernels.count_missing(numpy.zeros((3, 2), numpy.float16)) == 0
assert not {"torch", "triton"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
