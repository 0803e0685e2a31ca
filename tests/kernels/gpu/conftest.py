"""Kernels in Triton's interpreter (``TRITON_INTERPRET=1``) or on a GPU, and memory that tells.

With neither there is nothing to run these on, and they are not collected.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from kernels.gpu import memory
from ltc_kernels.backends import interpreted

DEVICE = "cpu" if interpreted() else "cuda" if torch.cuda.is_available() else None
if DEVICE is None:
    files = Path(__file__).parent.glob("test_*.py")
    collect_ignore = [path.name for path in files if path.name != "test_memory.py"]


@pytest.fixture(scope="session")
def device():
    return torch.device(DEVICE or "cpu")


@pytest.fixture
def place(device):
    """Put a NumPy array onto the device, between guards of NaN."""
    return lambda array: memory.place(array, device)


@pytest.fixture(autouse=True)
def _guards(monkeypatch):
    """Memory that kernels allocate starts as NaN, and its margins must stay as they are."""
    allocations = []
    empty = torch.empty

    def guarded_empty(*shape, dtype=torch.float32, device=None, **others):
        shape = shape[0] if isinstance(shape[0], tuple | list | torch.Size) else shape
        allocation = memory.Allocation(tuple(shape), dtype, device, empty, **others)
        allocations.append(allocation)
        return allocation.tensor

    monkeypatch.setattr(torch, "empty", guarded_empty)
    # The interpreter computes on NaN and beyond masks, as a GPU does, where NumPy would warn.
    with np.errstate(all="ignore"):
        yield
    for allocation in allocations:
        allocation.check()
