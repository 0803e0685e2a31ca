"""The training loop: what it records, how long it runs, what it leaves alone."""

import numpy as np
import pytest
import torch

import ltc
from ltc.demo.data import load
from ltc.demo.train import Recipe, build_network, one_thread, record, train_and_test

RECIPE = Recipe(epochs=4, batch_size=300, learning_rate=3e-3, network="")


@pytest.fixture(scope="module")
def data():
    return load("digits").split(seed=0)


def test_the_store_holds_the_losses_of_the_training_steps(data, tmp_path):
    recording = record(data, RECIPE, 0, tmp_path / "run.zarr")
    store = ltc.open_store(tmp_path / "run.zarr")
    np.testing.assert_array_equal(store.checkpoints, [0, 1, 2, 3, 4])
    steps = recording.train_losses[1:].astype(np.float16)
    np.testing.assert_array_equal(store.read("train")[1:], steps)
    # The recorder's own passes take the same batches, up to the last bit of float32.
    np.testing.assert_allclose(store.read("train")[0], recording.train_losses[0], rtol=2**-10)
    np.testing.assert_allclose(store.read("val"), recording.val_losses, rtol=2**-10)
    passes = recording.pass_losses
    np.testing.assert_array_equal(passes[0], recording.train_losses[0])
    # The model at the end of an epoch has seen every sample since: its losses are others, and the
    # last of them are smaller than those of the steps on the way there.
    assert (passes[1:] != recording.train_losses[1:]).mean() > 0.99
    assert (passes[1:].mean(1) < recording.train_losses[1:].mean(1)).all()
    np.testing.assert_array_equal(store.labels("train"), data.train.labels)
    np.testing.assert_array_equal(store.ids("val"), data.val.ids)
    assert recording.accuracy > 0.5


def test_timers_are_within_the_training_time(data, tmp_path):
    seconds = record(data, RECIPE, 0, tmp_path / "run.zarr").seconds
    assert set(seconds) == {"training", "update", "evaluate", "commit"}
    assert 0 < seconds["update"] + seconds["evaluate"] + seconds["commit"] < seconds["training"]


def test_recording_changes_nothing(data, tmp_path):
    recorded = record(data, RECIPE, 0, tmp_path / "run.zarr").accuracy
    everything = np.arange(len(data.train.labels))
    assert train_and_test(data, RECIPE, 0, everything) == recorded


@pytest.mark.parametrize("count", [1, 20, 301, 1000])
def test_a_coreset_gets_as_many_iterations_as_everything(data, count, monkeypatch):
    steps = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam, "step", lambda self, *args: (steps.append(1), step(self, *args))[1]
    )
    train_and_test(data, RECIPE, 0, np.arange(count))
    assert len(steps) == RECIPE.iterations(1000) == 16


def test_training_leaves_the_global_random_state_alone(data):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    train_and_test(data, RECIPE, 0, np.arange(20))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_thread_is_undone():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("width", [8, 28])
def test_networks_fit_their_pictures(width):
    assert build_network(width)(torch.zeros(3, 1, width, width)).shape == (3, 10)
