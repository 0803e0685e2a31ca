"""What a store says of its losses: cross-entropy, given by the user, or unknown."""

import json

import numpy as np
import pytest
import stores
import torch

import ltc
from ltc.errors import ArgumentTypeError, ArgumentValueError, StoreFormatError
from ltc.store.header import Header
from ltc.store.writer import StoreWriter

LOGITS, TARGETS = np.zeros((2, 3), np.float32), np.array([0, 2])


def kinds(path, split="train"):
    return [getattr(commit, split).loss for commit in ltc.open_store(path).commits]


def record(recorder, checkpoint, **train):
    recorder.update("train", [0, 1], **train)
    recorder.update("val", [0], losses=np.ones(1))
    recorder.commit(checkpoint)


GIVEN = {"losses": np.ones(2)}
CLAIMED = {"losses": np.ones(2), "loss": "cross-entropy"}
FROM_LOGITS = {"logits": LOGITS, "targets": TARGETS}


def test_recorded_losses(tmp_path):
    path = tmp_path / "run.zarr"
    with ltc.Recorder(path, num_train=2, num_val=1) as recorder:
        record(recorder, 0, **GIVEN)
        record(recorder, 1, **FROM_LOGITS)
        record(recorder, 2, **CLAIMED)
        recorder.update("train", [0, 1], **FROM_LOGITS)
        record(recorder, 3, **GIVEN)  # one of them promises nothing, so neither does the mean
        recorder.update("train", [0, 1], **FROM_LOGITS)
        recorder.commit(4)
    assert kinds(path) == ["given", "cross-entropy", "cross-entropy", "given", "cross-entropy"]
    assert kinds(path, "val") == ["given"] * 4 + ["unknown"]
    with ltc.Recorder(path, num_train=2, num_val=1, resume=True) as recorder:
        recorder.rewind(2)
        record(recorder, 3, **CLAIMED)
    assert kinds(path) == ["given", "cross-entropy", "cross-entropy", "cross-entropy"]


def test_evaluated_losses(tmp_path):
    path = tmp_path / "run.zarr"
    batches = [(torch.zeros(2, 4), torch.tensor([0, 1]), torch.tensor([0, 1]))]
    model = torch.nn.Linear(4, 3)

    def step(model, batch):
        return model(batch[0])[:, 0].abs(), batch[2]

    with ltc.Recorder(path, num_train=2, num_val=2) as recorder:
        for checkpoint, options in enumerate(
            [{}, {"step": step}, {"step": step, "loss": "cross-entropy"}]
        ):
            recorder.evaluate("train", model, batches, **options)
            recorder.commit(checkpoint)
        with pytest.raises(ArgumentTypeError, match="loss must be None where losses are made of"):
            recorder.evaluate("train", model, batches, loss="cross-entropy")
        with pytest.raises(ArgumentValueError, match="loss must be 'cross-entropy' or None"):
            recorder.evaluate("train", model, batches, step=step, loss="mse")
    assert kinds(path) == ["cross-entropy", "given", "cross-entropy"]


def test_wrong_arguments_record_nothing(tmp_path):
    path = tmp_path / "run.zarr"
    with ltc.Recorder(path, num_train=2, num_val=1) as recorder:
        with pytest.raises(ArgumentTypeError, match="hard-label cross-entropy"):
            recorder.update("train", [0, 1], **FROM_LOGITS, loss="cross-entropy")
        with pytest.raises(ArgumentValueError, match="loss must be 'cross-entropy' or None"):
            recorder.update("train", [0, 1], **GIVEN, loss="mse")


def test_a_half_finished_checkpoint_keeps_it(tmp_path):
    path = tmp_path / "run.zarr"
    recorder = ltc.Recorder(path, num_train=2, num_val=1)
    record(recorder, 0, **FROM_LOGITS)
    recorder.update("train", [0], losses=np.ones(1), loss="cross-entropy")
    state = recorder.state_dict()
    recorder.close()
    older = {name: value for name, value in state.items() if not name.endswith(".loss")}
    for saved, found in ((state, "cross-entropy"), (older, "unknown")):
        with ltc.Recorder(path, num_train=2, num_val=1, resume=True) as recorder:
            recorder.load_state_dict(saved, rewind=True)
            recorder.update("train", [1], **{k: v[:1] for k, v in FROM_LOGITS.items()})
            recorder.commit(1)
        assert kinds(path) == ["cross-entropy", found]
    with (
        ltc.Recorder(path, num_train=2, num_val=1, resume=True) as recorder,
        pytest.raises(ArgumentValueError, match=r"state\['train.loss'\] must be one of"),
    ):
        recorder.load_state_dict({**state, "train.loss": "mse"}, rewind=True)


def test_several_processes(processes, tmp_path):
    path = tmp_path / "run.zarr"
    processes.run(record_in_processes, 2, str(path))
    assert kinds(path) == ["cross-entropy", "given"]


def record_in_processes(rank, path):
    with ltc.Recorder(path, num_train=4, num_val=1) as recorder:
        index = [2 * rank, 2 * rank + 1]
        recorder.update("train", index, **FROM_LOGITS)
        recorder.commit(0)
        recorder.update("train", index, **(FROM_LOGITS if rank else GIVEN))
        recorder.commit(1)


def test_written_arrays(tmp_path):
    losses = np.ones((3, 4))
    ltc.write_store(tmp_path / "a.zarr", losses, losses)
    ltc.write_store(tmp_path / "b.zarr", losses, losses, loss="cross-entropy")
    assert kinds(tmp_path / "a.zarr") == ["unknown"] * 3
    assert kinds(tmp_path / "b.zarr", "val") == ["cross-entropy"] * 3
    with pytest.raises(ArgumentValueError, match="loss must be 'cross-entropy' or None, got 'ce'"):
        ltc.write_store(tmp_path / "c.zarr", losses, losses, loss="ce")
    assert not (tmp_path / "c.zarr").exists()


@pytest.mark.parametrize("form", ["npz", "jsonl"])
def test_imported_losses(tmp_path, form):
    source = tmp_path / f"losses.{form}"
    if form == "npz":
        np.savez(source, train=np.ones((2, 3)), val=np.ones((2, 1)))
    else:
        lines = [
            {"epoch": epoch, "split": split, "index": 0, "loss": 1.0}
            for epoch in range(2)
            for split in ("train", "val")
        ]
        source.write_text("\n".join(map(json.dumps, lines)))
    ltc.import_losses(source, tmp_path / "a.zarr")
    ltc.import_losses(source, tmp_path / "b.zarr", loss="cross-entropy")
    assert kinds(tmp_path / "a.zarr") == ["unknown"] * 2
    assert kinds(tmp_path / "b.zarr") == kinds(tmp_path / "b.zarr", "val") == ["cross-entropy"] * 2
    with pytest.raises(ArgumentValueError, match="loss must be"):
        ltc.import_losses(source, tmp_path / "c.zarr", loss="mse")


def test_a_store_that_says_nothing_has_the_attribute_of_earlier_versions(tmp_path):
    stores.write(tmp_path / "run.zarr")
    attribute = json.loads((tmp_path / "run.zarr" / "zarr.json").read_text())["attributes"]["ltc"]
    assert not any(name.endswith("_loss") for name in attribute)


def test_blocks_of_several_kinds_promise_least(tmp_path):
    from dataclasses import replace

    train, val = stores.records(0)
    with StoreWriter.create(tmp_path / "run.zarr", **stores.arguments()) as writer:
        commit = writer.append(0, replace(train, loss="cross-entropy"), val)
        assert (commit.train.loss, commit.val.loss) == ("cross-entropy", "unknown")
        with pytest.raises(ArgumentValueError, match=r"train.loss must be one of .* got 'mse'"):
            writer.append(1, replace(train, loss="mse"), val)
    assert kinds(tmp_path / "run.zarr") == ["cross-entropy"]


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([["cross-entropy", 1]], "train_loss must tell of all 2 checkpoints"),
        ([["mse", 2]], "pairs of one of unknown, given, cross-entropy and a number"),
        ([["given", 2.0]], "pairs of one of"),
        ([["given"]], "pairs of one of"),
        (["given", 2], "pairs of one of"),
        ("given", "must tell of all 2"),
        ([], "must tell of all 2"),
    ],
)
def test_a_header_is_checked(runs, text):
    header = Header(2, 3, 1, None, None, None, None, 10, "r", (("given", 2),))
    assert Header.from_attribute(header.to_attribute()) == header
    attribute = header.to_attribute() | {"train_loss": runs}
    with pytest.raises(StoreFormatError, match=text):
        Header.from_attribute(attribute)
