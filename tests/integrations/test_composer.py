"""The callback for Composer, in a double of its loop."""

import importlib
import sys

import numpy as np
import pytest
from integrations import composer_double, problem
from torch.utils.data import DataLoader, TensorDataset

import ltc


@pytest.fixture
def loss_recorder(monkeypatch):
    for name, module in composer_double.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "ltc.integrations.composer", raising=False)
    yield importlib.import_module("ltc.integrations.composer").LossRecorder
    sys.modules.pop("ltc.integrations.composer")


def loader(split):
    return DataLoader(ltc.IndexedDataset(TensorDataset(*problem.tensors(split))), batch_size=8)


def fit(callback, network=None, **kwargs):
    network = network or problem.network()
    limits = {"epochs": 3, "microbatch": 3, **kwargs}
    return composer_double.fit(callback, network, loader("train"), loader("val"), **limits)


def test_losses_of_microbatches_and_of_the_evaluation(tmp_path, loss_recorder):
    network = problem.network()
    fit(loss_recorder(tmp_path / "run.zarr", **problem.arguments()), network)
    store = ltc.open_store(tmp_path / "run.zarr")
    assert store.checkpoints.tolist() == [1, 2, 3]
    assert all(commit.train.observed == problem.NUM_TRAIN for commit in store.commits)
    assert all(commit.train.duplicate == 0 for commit in store.commits)
    first = problem.losses(problem.network(), "train")[:8]  # of the first batch, before any step
    problem.assert_same_losses(store.read("train")[0, :8], first)
    problem.assert_same_losses(store.read("val")[-1], problem.losses(network, "val"))
    assert store.commits[0].val.mode == "evaluation"


def test_a_run_that_resumes_loses_nothing(tmp_path, loss_recorder):
    arguments = problem.arguments()
    fit(loss_recorder(tmp_path / "whole.zarr", **arguments))
    saved = fit(loss_recorder(tmp_path / "run.zarr", **arguments), stop_at=5)
    fit(loss_recorder(tmp_path / "run.zarr", **arguments), resume=saved)
    whole, resumed = (ltc.open_store(tmp_path / name) for name in ("whole.zarr", "run.zarr"))
    for split in ("train", "val"):
        np.testing.assert_array_equal(resumed.read(split), whole.read(split))


def test_losses_of_other_models_are_given_by_a_function(tmp_path, loss_recorder):
    callback = loss_recorder(
        tmp_path / "run.zarr",
        losses=lambda outputs, batch: (outputs[:, 0] - batch[1]).abs(),
        **problem.arguments(),
    )
    network = problem.network()
    fit(callback, network)
    inputs, targets = problem.tensors("val")
    expected = (network(inputs)[:, 0] - targets).abs().detach().numpy()
    problem.assert_same_losses(ltc.open_store(tmp_path / "run.zarr").read("val")[-1], expected)
