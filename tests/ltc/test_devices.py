"""Which device is chosen, and what is said where there is none."""

import subprocess
import sys

import pytest

from ltc import devices
from ltc.errors import BackendUnavailableError


@pytest.fixture
def gpus(monkeypatch):
    """Let two GPUs be there."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(devices, "_missing_for_gpu", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("gpus")
def test_a_gpu_is_taken_for_pairs_alone():
    assert devices.choose_device("auto", pairs=True) == "cuda:0"
    assert devices.choose_device("auto", pairs=False) == "cpu"
    assert devices.choose_device("cpu", pairs=True) == "cpu"


@pytest.mark.usefixtures("gpus")
def test_a_gpu_that_is_named():
    assert devices.choose_device("cuda", pairs=False) == "cuda:0"
    assert devices.choose_device("cuda:1", pairs=False) == "cuda:1"
    with pytest.raises(BackendUnavailableError, match="here, cpu, cuda:0, cuda:1, got 'cuda:2'"):
        devices.choose_device("cuda:2", pairs=False)


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(devices, "_missing_for_gpu", lambda: "no driver library of a GPU loads")
    assert devices.choose_device("auto", pairs=True) == "cpu"
    with pytest.raises(
        BackendUnavailableError,
        match="usable here, got 'cuda': no driver library of a GPU loads; there is cpu",
    ):
        devices.choose_device("cuda", pairs=True)


@pytest.mark.parametrize("device", ["abacus", "cuda:", "cuda:x", None, 0])
def test_other_names(device):
    with pytest.raises(BackendUnavailableError, match="must be auto, cpu, cuda or cuda:0"):
        devices.choose_device(device, pairs=False)


def test_what_is_missing_is_found_out_without_torch_where_no_driver_loads():
    program = (
        "import sys; from ltc import devices; devices._loads = lambda name: False;"
        "assert devices._missing_for_gpu() == 'no driver library of a GPU loads';"
        "assert 'torch' not in sys.modules and 'triton' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(("missing", "text"), [("triton", "package triton"), (None, "finds no")])
def test_a_driver_is_not_enough(monkeypatch, missing, text):
    monkeypatch.setattr(devices, "_loads", lambda name: True)  # noqa: ARG005 - as ctypes has it
    monkeypatch.setattr(devices.sys, "platform", "linux")
    find = devices.find_spec
    monkeypatch.setattr(devices, "find_spec", lambda name: None if name == missing else find(name))
    devices._missing_for_gpu.cache_clear()
    try:
        assert text in devices._missing_for_gpu()
    finally:
        devices._missing_for_gpu.cache_clear()
