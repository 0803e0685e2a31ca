"""The examples, and the loops of packages that don't install here, in doubles of them."""

import gc
import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from integrations import ffcv_double, problem
from torch.utils.data import DataLoader, TensorDataset

import ltc
from ltc.integrations.timm import IndexedReader

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mixed_samples_have_the_hard_loss_of_a_clean_view(tmp_path):
    loops, model = example("mixup"), problem.network()
    loader = DataLoader(
        ltc.IndexedDataset(TensorDataset(*problem.tensors("train"))),
        batch_size=6,
        collate_fn=loops.collate_with(loops.MixUp(problem.CLASSES, share=1.0)),
    )
    still = torch.optim.SGD(model.parameters(), lr=0.0)  # so that all losses are of one model
    with ltc.Recorder(tmp_path / "run.zarr", **problem.arguments()) as recorder:
        loops.train_one_epoch(model, still, loader, recorder, clean_view=True)
        recorder.commit(1)
    found = ltc.open_store(tmp_path / "run.zarr").read("train")[0]
    problem.assert_same_losses(found, problem.losses(model, "train"))
    assert model.training


def test_mixed_samples_may_be_left_out(tmp_path, capsys):
    example("mixup").main(tmp_path / "run.zarr", clean_view=False, share=0.5)
    observed = [commit.train.observed for commit in ltc.open_store(tmp_path / "run.zarr").commits]
    assert all(0 < count < 90 and count % 10 == 0 for count in observed)  # whole batches
    assert "90" in capsys.readouterr().out


# webdataset leaves its files to be closed when they are collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_keys_of_webdataset_are_ids(tmp_path, capsys):
    pytest.importorskip("webdataset")
    example("webdataset_keys").main(tmp_path)
    store = ltc.open_store(tmp_path / "run.zarr")
    assert store.ids("train")[[0, 59]].tolist() == ["train00000", "train00059"]
    assert all(commit.train.observed == 60 for commit in store.commits)
    assert len(capsys.readouterr().out.split()) == 6
    gc.collect()


def test_the_index_is_a_field_of_ffcv(tmp_path, monkeypatch):
    for name, module in ffcv_double.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    loops, loaders = example("ffcv_index"), []
    pipelines = {
        "inputs": [torch.stack],
        "target": [torch.tensor],
    }
    for split in ("train", "val"):
        inputs, targets = problem.tensors(split)
        pairs = list(zip(inputs, targets.tolist(), strict=True))
        loops.write(pairs, split, {"inputs": None, "target": None})
        loaders.append(loops.load(split, pipelines, batch_size=4, seed=1))
    model = problem.network()
    labels = problem.labels("train"), problem.labels("val")
    loops.train(tmp_path / "run.zarr", model, *loaders, labels, epochs=4)
    store = ltc.open_store(tmp_path / "run.zarr")
    assert all(commit.train.observed == problem.NUM_TRAIN for commit in store.commits)
    problem.assert_same_losses(store.read("val")[-1], problem.losses(model, "val"))


class Reader(list):
    """Of timm: ``reader[i]`` is an open file and a class; it knows the names of the files."""

    def filename(self, index):
        return f"{index}.png"


class ImageDataset:
    """Of timm: an image that can't be read is replaced by the next one."""

    def __init__(self, reader):
        self.reader = reader

    def __len__(self):
        return len(self.reader)

    def __getitem__(self, index):
        file, target = self.reader[index]
        file.seek(0)
        try:
            image = torch.load(file)
        except EOFError:
            return self[(index + 1) % len(self)]
        return image, target


def collate(batch):
    """Of timm: images and targets, and nothing else."""
    return torch.stack([image for image, _ in batch]), torch.tensor([target for _, target in batch])


def file(inputs):
    buffer = io.BytesIO()
    torch.save(inputs, buffer)
    buffer.seek(0)
    return buffer


def test_an_image_that_timm_replaces_counts_for_the_one_that_was_read(tmp_path):
    inputs, targets = problem.tensors("train")
    files = [file(row) for row in inputs]
    files[7] = io.BytesIO()  # can't be read
    dataset = ImageDataset(Reader(zip(files, targets.tolist(), strict=True)))
    dataset.reader = IndexedReader(dataset.reader)
    loader = DataLoader(dataset, batch_size=4, collate_fn=collate)
    model = problem.network()
    with ltc.Recorder(tmp_path / "run.zarr", **problem.arguments()) as recorder:
        for images, both in loader:
            classes, index = both.unbind(1)
            recorder.update("train", index, logits=model(images), targets=classes)
        recorder.evaluate(
            "val",
            model,
            DataLoader(ltc.IndexedDataset(TensorDataset(*problem.tensors("val")))),
        )
        recorder.commit(1)
    store = ltc.open_store(tmp_path / "run.zarr")
    expected = problem.losses(model, "train")
    expected[7] = np.nan  # never read, and not given its neighbour's loss
    problem.assert_same_losses(store.read("train")[0], expected)
    assert store.commits[0].train.duplicate == 1  # the neighbour, which was read twice
    assert dataset.reader.filename(3) == "3.png"
