"""The recorder's share of a training run: ``python -m benchmarks share``.

A small convolutional network on data of Fashion-MNIST's shape (noise: time doesn't depend on the
pixels), trained with PyTorch on the CPU. Timers of the recorder and of the run are from one run.
"""

import tempfile
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

import ltc
from benchmarks.results import Table

LIMIT = 1.0  # percent of the training time
BATCH = 128
EPOCHS = 1
SIZES = {"smallest": (512, 128)}  # training and validation samples
FASHION_MNIST = (54_000, 6_000)


def run(size_name: str = "imagenet-1k") -> Table:
    """Train for some epochs, with the losses that training computes, and with logits."""
    num_train, num_val = SIZES.get(size_name, FASHION_MNIST)
    table = Table(
        f"Recorder's share, {num_train:,} + {num_val:,} samples of 28 x 28, {EPOCHS} epoch",
        ["recorded from", "training", "update", "commit", "share of training", "limit"],
    )
    for source in ("losses", "logits"):
        training, seconds = _train(num_train, num_val, source)
        share = 100 * (seconds["update"] + seconds["commit"]) / training
        table.add(
            source,
            f"{training:.2f} s",
            f"{1e3 * seconds['update']:.1f} ms",
            f"{1e3 * seconds['commit']:.1f} ms",
            f"{share:.2f} %",
            f"at most {LIMIT:g} %" if num_train > BATCH**2 else "",
        )
    table.note(
        "Training is the time of its epochs, the recorder's included, validation passes not."
    )
    return table


def _train(num_train: int, num_val: int, source: str) -> tuple[float, dict[str, float]]:
    """Seconds of the training epochs, and of the recorder by what it did."""
    torch.manual_seed(0)
    splits = [
        TensorDataset(torch.rand(size, 1, 28, 28), torch.randint(10, (size,)))
        for size in (num_train, num_val)
    ]
    labels = [split.tensors[1] for split in splits]
    train, val = (DataLoader(ltc.IndexedDataset(split), batch_size=BATCH) for split in splits)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(64 * 7 * 7, 128),
        torch.nn.ReLU(),
        torch.nn.Linear(128, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    training = 0.0
    with (
        tempfile.TemporaryDirectory() as folder,
        ltc.Recorder(
            f"{folder}/run.zarr", train_labels=labels[0], val_labels=labels[1]
        ) as recorder,
    ):
        for epoch in range(EPOCHS):
            begin = time.perf_counter()
            for inputs, targets, index in train:
                logits = model(inputs)
                losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
                if source == "losses":
                    recorder.update("train", index, losses=losses)
                else:
                    recorder.update("train", index, logits=logits, targets=targets)
                optimizer.zero_grad()
                losses.mean().backward()
                optimizer.step()
            training += time.perf_counter() - begin
            recorder.evaluate("val", model, val)
            begin = time.perf_counter()
            recorder.commit(epoch)
            training += time.perf_counter() - begin
        return training, dict(recorder.seconds)
