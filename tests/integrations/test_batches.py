"""What callbacks take from batches, and the losses of sequences."""

import numpy as np
import pytest
import torch

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.integrations.batches import index_of, losses_of, targets_of
from ltc.integrations.tokens import sequence_losses


def test_mappings_and_tuples():
    batch = {"x": 1, "labels": "labels", "index": "index"}
    assert (targets_of(batch), index_of(batch)) == ("labels", "index")
    assert losses_of({"logits": 1, "targets": 2}, batch) == {"logits": 1, "targets": 2}
    assert targets_of(["inputs", "targets", "index"]) == "targets"


@pytest.mark.parametrize("batch", [torch.zeros(3), ("inputs",), {"x": 1}])
def test_batches_without_an_index(batch):
    with pytest.raises(ArgumentTypeError, match="must end with the indices"):
        index_of(batch)


def test_batches_without_targets():
    with pytest.raises(ArgumentTypeError, match=r"must be \(inputs, targets, index\).*tuple of 4"):
        targets_of(("inputs", "more", "targets", "index"))


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_sequences_against_one_loss_at_a_time(shift, reduction):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 7, 4, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 4, (5, 7), generator=generator)
    targets[torch.rand(5, 7, generator=generator) < 0.3] = -100
    targets[2] = -100
    found = sequence_losses(logits, targets, reduction=reduction, shift=shift)
    for i in range(5):
        losses = [
            -torch.log_softmax(logits[i, t], 0)[targets[i, t + shift]].item()
            for t in range(7 - shift)
            if targets[i, t + shift] != -100
        ]
        expected = np.nan if not losses else np.sum(losses)
        if reduction == "mean" and losses:
            expected /= len(losses)
        np.testing.assert_allclose(found[i].item(), expected, rtol=1e-5)


def test_shapes_and_reductions_are_checked():
    with pytest.raises(ArgumentValueError, match=r"got \(2, 3\) and \(2,\)"):
        sequence_losses(torch.zeros(2, 3), torch.zeros(2), reduction="mean")
    with pytest.raises(ArgumentValueError, match="reduction must be one of mean, sum, got 'max'"):
        sequence_losses(torch.zeros(2, 3, 4), torch.zeros(2, 3), reduction="max")
