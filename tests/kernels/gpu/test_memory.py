"""What tests of kernels rely on."""

import pytest
import torch

from kernels.gpu import memory


def test_guards_notice_what_is_written_and_read(device):
    allocation = memory.Allocation((3,), torch.float16, device)
    assert torch.isnan(allocation.tensor).all()
    allocation.check()
    torch.as_strided(allocation.tensor, (4,), (1,))[3] = 0
    with pytest.raises(AssertionError, match=r"written after a tensor of shape torch.Size\(\[3\]"):
        allocation.check()
