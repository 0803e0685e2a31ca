"""The README's Python runs, in its order, and its commands exist."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ROOT = Path(__file__).parent.parent


@pytest.fixture
def names():
    """What the README takes for granted: a model, data, and a training step."""
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def training_step(logits, targets):
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, targets).backward()
        optimizer.step()

    def split(size):
        return TensorDataset(torch.randn(size, 5), torch.arange(size) % 3)

    train_set, val_set = split(60), split(30)
    return {
        "DataLoader": DataLoader,
        "train_set": train_set,
        "val_set": val_set,
        "train_labels": train_set.tensors[1],
        "val_labels": val_set.tensors[1],
        "epochs": 5,
        "train_losses": torch.rand(60).numpy(),
        "val_losses": torch.rand(30).numpy(),
        "model": model,
        "training_step": training_step,
    }


def test_its_python_runs(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) > 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["losses"].shape == (6, 60)
    assert len(names["coreset"].indices) == 6
    assert names["found"].aligned.indices.shape == (2, 10)
    assert (tmp_path / "coreset.npy").exists()


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_its_make_commands_exist(command):
    assert f"    {command}" in (ROOT / "README.md").read_text()
    target = command.split()[1]
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


def test_ci_runs_its_test_command():
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()
