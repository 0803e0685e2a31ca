"""A loop with accelerate that is resumed in the middle of an epoch."""

import numpy as np
import pytest
import torch
from integrations import problem
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ltc
from ltc.errors import ArgumentValueError

accelerate = pytest.importorskip("accelerate")

from ltc.integrations.accelerate import register  # noqa: E402 - where there is accelerate


def run(path, folder=None, *, resume_at=None, stop_at=None):
    """Three epochs of six steps; a state is saved after each step of the second."""
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = problem.network()
    loaders = [
        DataLoader(ltc.IndexedDataset(TensorDataset(*problem.tensors(split))), batch_size=4)
        for split in ("train", "val")
    ]
    model, optimizer, *loaders = accelerator.prepare(
        model, torch.optim.SGD(model.parameters(), lr=0.5), *loaders
    )
    with ltc.Recorder(path, **problem.arguments(), resume=resume_at is not None) as recorder:
        register(accelerator, recorder)
        first = 0
        if resume_at is not None:
            accelerator.load_state(folder / f"step-{resume_at}")
            first = resume_at
        for epoch in range(max(first - 1, 0) // 6, 3):  # one that is whole may lack its commit
            skip = max(first - 6 * epoch, 0)
            loader = accelerator.skip_first_batches(loaders[0], skip)
            for step, (inputs, targets, index) in enumerate(loader, 6 * epoch + skip + 1):
                with accelerator.accumulate(model):
                    logits = model(inputs)
                    recorder.update("train", index, logits=logits, targets=targets)
                    accelerator.backward(nn.functional.cross_entropy(logits, targets))
                    optimizer.step()
                    optimizer.zero_grad()
                if folder is not None and resume_at is None:
                    accelerator.save_state(folder / f"step-{step}")
                if step == stop_at:
                    recorder.close()
                    return None
            recorder.evaluate("val", model, loaders[1])
            recorder.commit(epoch + 1)
    return ltc.open_store(path)


@pytest.mark.parametrize("step", [2, 6, 8, 10])
def test_a_resumed_loop_loses_nothing(tmp_path, step):
    whole = run(tmp_path / "whole.zarr")
    run(tmp_path / "run.zarr", tmp_path, stop_at=step + 3)
    resumed = run(tmp_path / "run.zarr", tmp_path, resume_at=step)
    for split in ("train", "val"):
        np.testing.assert_array_equal(resumed.read(split), whole.read(split))
    assert resumed.checkpoints.tolist() == [1, 2, 3]


def test_a_state_without_a_recorder_is_named(tmp_path):
    accelerator = accelerate.Accelerator(cpu=True)
    accelerator.save_state(tmp_path / "state")
    with ltc.Recorder(tmp_path / "run.zarr", num_train=3, num_val=2) as recorder:
        register(accelerator, recorder)
        with pytest.raises(ArgumentValueError, match=r"must be of a checkpoint .* with a recorder"):
            accelerator.load_state(tmp_path / "state")
