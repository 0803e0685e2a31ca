"""Recording afterwards: the losses of every saved model, once, however often it is interrupted."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import ltc
from ltc.errors import ArgumentTypeError, ArgumentValueError, StoreMismatchError

SIZES = {"train": 23, "val": 9}
GENERATOR = torch.Generator().manual_seed(0)
DATA = {
    split: TensorDataset(
        torch.randn(size, 4, generator=GENERATOR), torch.randint(0, 3, (size,), generator=GENERATOR)
    )
    for split, size in SIZES.items()
}


def make_model():
    """A model that gives other losses in training mode."""
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))


def weights(seed):
    torch.manual_seed(seed)
    return make_model().state_dict()


SAVED = {epoch: weights(epoch) for epoch in (30, 0, 10, 20)}
EPOCHS = [0, 10, 20, 30]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


def losses_of(state, split, data=DATA):
    model = make_model()
    model.load_state_dict(state)
    inputs, targets = data[split].tensors
    with torch.no_grad():
        return nn.functional.cross_entropy(model.eval()(inputs), targets, reduction="none").numpy()


def assert_holds(path, epochs=EPOCHS):
    store = ltc.open_store(path)
    assert store.checkpoints.tolist() == epochs
    for split, data in DATA.items():
        expected = np.stack([losses_of(SAVED[epoch], split) for epoch in epochs])
        np.testing.assert_allclose(store.read(split), expected, rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(store.labels(split), data.tensors[1])
        assert {getattr(commit, split).mode for commit in store.commits} == {"evaluation"}
        assert {getattr(commit, split).observed for commit in store.commits} == {SIZES[split]}


@pytest.mark.parametrize("batch_size", [4, 256])
def test_losses_are_those_of_each_saved_model(path, batch_size):
    ltc.record_checkpoints(make_model, SAVED, DATA, path, batch_size=batch_size, device="cpu")
    assert_holds(path)
    assert np.isfinite(ltc.score(path, reference="mean").values).all()


def test_a_sequence_is_numbered_from_0(path):
    saved = [SAVED[epoch] for epoch in EPOCHS]
    ltc.record_checkpoints(make_model, saved, DATA, path, train_ids=np.arange(100, 123))
    store = ltc.open_store(path)
    assert store.checkpoints.tolist() == [0, 1, 2, 3]
    assert store.ids("train")[0] == 100


def test_a_data_set_may_be_wrapped_already(path):
    wrapped = {split: ltc.IndexedDataset(data) for split, data in DATA.items()}
    ltc.record_checkpoints(make_model, SAVED, wrapped, path)
    assert_holds(path)


def prefixed(prefix, state):
    return {prefix + name: value for name, value in state.items()}


FORMS = {
    "a state dict": lambda state: state,
    "with what else a run saves": lambda state: {"epoch": 3, "state_dict": state, "optimizer": {}},
    "of DataParallel": lambda state: {"model": prefixed("module.", state)},
    "of a compiled model": lambda state: prefixed("_orig_mod.", state),
    "of both": lambda state: {"model_state_dict": prefixed("_orig_mod.module.", state)},
}


@pytest.mark.parametrize("form", FORMS)
def test_files_and_functions(tmp_path, path, form):
    saved = {}
    for epoch in EPOCHS:
        found = FORMS[form](SAVED[epoch])
        torch.save(found, tmp_path / f"{epoch}.pt")
        saved[epoch] = str(tmp_path / f"{epoch}.pt") if epoch else lambda found=found: found
    ltc.record_checkpoints(make_model, saved, DATA, path)
    assert_holds(path)


def test_the_state_dict_may_be_anywhere(path):
    saved = {epoch: {"nets": [None, state]} for epoch, state in SAVED.items()}
    ltc.record_checkpoints(make_model, saved, DATA, path, state_dict=lambda found: found["nets"][1])
    assert_holds(path)


def test_a_step_covers_other_data(path):
    data = {
        split: [{"x": x, "y": y} for x, y in zip(*each.tensors, strict=True)]
        for split, each in DATA.items()
    }

    def step(model, batch):
        losses = nn.functional.cross_entropy(model(batch["x"]), batch["y"], reduction="none")
        return losses, batch["index"]

    for _ in range(2):  # the second time, there is nothing left to do
        labels = {f"{split}_labels": each.tensors[1] for split, each in DATA.items()}
        ltc.record_checkpoints(make_model, SAVED, data, path, step=step, **labels)
        assert_holds(path)
    bare = path.with_name("bare.zarr")
    ltc.record_checkpoints(make_model, SAVED, data, bare, step=step)
    assert ltc.open_store(bare).num_groups is None


# Going on


class Counted:
    """Saved models that count how often each is loaded, and end the run at one of them."""

    def __init__(self, fails=None):
        self.loaded = []
        self.saved = {epoch: lambda epoch=epoch: self.load(epoch) for epoch in EPOCHS}
        self.fails = fails

    def load(self, epoch):
        self.loaded.append(epoch)
        if epoch == self.fails:
            raise KeyboardInterrupt
        return SAVED[epoch]


@pytest.mark.parametrize("labelled", [False, True])
def test_an_interrupted_recording_goes_on(path, labelled):
    labels = {f"{split}_labels": each.tensors[1] for split, each in DATA.items()}
    labels = labels if labelled else {}
    with pytest.raises(KeyboardInterrupt):
        ltc.record_checkpoints(make_model, Counted(fails=20).saved, DATA, path, **labels)
    assert_holds(path, [0, 10])
    first = ltc.open_store(path)
    again = Counted()
    ltc.record_checkpoints(make_model, again.saved, DATA, path, **labels)
    assert again.loaded == [10, 20, 30]  # 10 only to see that it is the same
    assert_holds(path)
    assert ltc.open_store(path).revision == first.revision
    assert ltc.open_store(path).commits[:2] == first.commits
    finished = Counted()
    ltc.record_checkpoints(make_model, finished.saved, DATA, path, **labels)
    assert finished.loaded == [30]


def test_more_checkpoints_may_follow(path):
    ltc.record_checkpoints(make_model, {k: SAVED[k] for k in (0, 10)}, DATA, path)
    ltc.record_checkpoints(make_model, SAVED, DATA, path)
    assert_holds(path)


OTHER_TARGETS = {
    split: TensorDataset(data.tensors[0], (data.tensors[1] + 1) % 3) for split, data in DATA.items()
}
BACKWARDS = {
    split: TensorDataset(*(each.flip(0) for each in data.tensors)) for split, data in DATA.items()
}
FEWER = {**DATA, "val": TensorDataset(*(each[:8] for each in DATA["val"].tensors))}


@pytest.mark.parametrize(
    ("checkpoints", "data", "text"),
    [
        ({**SAVED, 5: SAVED[0]}, DATA, "checkpoints must begin with those in .*, 0, 10, got 0, 5,"),
        ({0: SAVED[0]}, DATA, "checkpoints must begin with those in .*, 0, 10, got 0"),
        ({**SAVED, 10: SAVED[20]}, DATA, r"checkpoints\[10\] and dataset must give the losses of"),
        (SAVED, BACKWARDS, r"checkpoints\[10\] and dataset must give the losses of train"),
        (SAVED, FEWER, r"dataset\['val'\] must have as many samples as .*, 9, got 8"),
    ],
)
def test_it_does_not_go_on_with_something_else(path, checkpoints, data, text):
    ltc.record_checkpoints(make_model, {k: SAVED[k] for k in (0, 10)}, DATA, path)
    with pytest.raises(StoreMismatchError, match=text):
        ltc.record_checkpoints(make_model, checkpoints, data, path)
    assert_holds(path, [0, 10])


def test_targets_must_be_the_labels_of_the_store(path):
    def step(model, batch):
        inputs, targets, index = batch
        return nn.functional.cross_entropy(model(inputs), targets, reduction="none"), index

    # A recording that began with these targets goes on with others that have the same losses.
    labels = {f"{split}_labels": each.tensors[1] for split, each in OTHER_TARGETS.items()}
    some = {k: SAVED[k] for k in (0, 10)}
    ltc.record_checkpoints(make_model, some, DATA, path, step=step, **labels)
    with pytest.raises(StoreMismatchError, match="the targets of train must be the labels of the"):
        ltc.record_checkpoints(make_model, SAVED, DATA, path)
    assert ltc.open_store(path).committed == 2


# Errors


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"checkpoints": {}}, ArgumentValueError, "at least one saved model, got none"),
        ({"checkpoints": "run.pt"}, ArgumentTypeError, "got one path, 'run.pt'"),
        ({"checkpoints": {"a": {}}}, ArgumentValueError, "finite numbers, got 'a'"),
        ({"checkpoints": {float("nan"): {}}}, ArgumentValueError, "finite numbers, got nan"),
        ({"checkpoints": {True: {}}}, ArgumentValueError, "finite numbers, got True"),
        ({"checkpoints": [3]}, ArgumentTypeError, r"checkpoints\[0\] must be a path, a state dict"),
        ({"checkpoints": [{}]}, ArgumentValueError, r"checkpoints\[0\] must fit the model: Error"),
        ({"checkpoints": [lambda: 3]}, ArgumentValueError, r"checkpoints\[0\] must fit the model"),
        ({"checkpoints": ["absent.pt"]}, FileNotFoundError, "absent.pt"),
        ({"dataset": DATA["train"]}, ArgumentTypeError, "mapping with the data sets .* Tensor"),
        ({"dataset": {"train": DATA["train"]}}, ArgumentTypeError, r"got a dict of \['train'\]"),
        ({"dataset": {**DATA, "val": iter([])}}, ArgumentTypeError, "__len__ and __getitem__"),
        (
            {"dataset": {**DATA, "val": [torch.ones(4)]}},
            ArgumentTypeError,
            r"samples of dataset must be \(inputs, target\); for others give step=",
        ),
        (
            {"dataset": {**DATA, "val": [(torch.ones(4), 0.5)]}},
            ArgumentTypeError,
            "targets of val must be one class",
        ),
        ({"model_factory": dict}, ArgumentTypeError, "must return a torch.nn.Module, got dict"),
        ({"train_labels": [0] * 23}, ArgumentValueError, "must be given together"),
    ],
)
def test_bad_arguments_leave_no_checkpoint(path, change, error, text):
    arguments = {"model_factory": make_model, "checkpoints": SAVED, "dataset": DATA, **change}
    with pytest.raises(error, match=text):
        ltc.record_checkpoints(path=path, **arguments)
    with pytest.raises(FileNotFoundError):
        ltc.open_store(path)


class Runs:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def test_files_that_run_something_are_refused(tmp_path, path):
    torch.save({"state_dict": Runs(tmp_path / "marker")}, tmp_path / "0.pt")
    (tmp_path / "1.pt").write_bytes(b"nothing")
    for name in ("0.pt", "1.pt"):
        with pytest.raises(ArgumentValueError, match=rf"checkpoints\[0\] must be a file .*{name}"):
            ltc.record_checkpoints(make_model, [tmp_path / name], DATA, path)
    assert not (tmp_path / "marker").exists()


# Several processes


def record(rank, path):
    ltc.record_checkpoints(make_model, SAVED, DATA, path, batch_size=4)
    return rank


def test_several_processes_share_the_work(path, processes):
    assert processes.run(record, 2, path) == [0, 1]
    assert_holds(path)
    duplicates = [commit.train.duplicate for commit in ltc.open_store(path).commits]
    assert duplicates == [0] * 4
    assert processes.run(record, 2, path) == [0, 1]  # again, and nothing is left
