"""Train with several processes and record the loss of every sample.

    torchrun --standalone --nproc-per-node 2 examples/distributed.py run.zarr

Started again after an interruption, it goes on: from the model that was saved last, and with the
store as it was then. The number of processes may be another.
"""

import argparse
import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import ltc


def clusters(size, seed):
    """Points round five centres, a tenth of them with a wrong label."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(5, (size,), generator=random)
    centres = 2 * torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    points = centres[labels] + torch.randn(size, 16, generator=random)
    wrong = torch.rand(size, generator=random) < 0.1
    return TensorDataset(points, torch.where(wrong, (labels + 1) % 5, labels))


def share(data, *, shuffle):
    """A loader over this process's part of a data set, whose batches have the samples' indices."""
    sampler = DistributedSampler(data, shuffle=shuffle)  # pads, so some samples come twice
    return DataLoader(ltc.IndexedDataset(data), batch_size=32, sampler=sampler)


def train(recorder, saved, epochs, device):
    """Train from where the last run ended to the last epoch."""
    train_loader = share(clusters(1000, seed=1), shuffle=True)
    val_loader = share(clusters(301, seed=2), shuffle=False)
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 5))
    model = DistributedDataParallel(net.to(device))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    first = 0
    if saved.exists():
        state = torch.load(saved, map_location=device, weights_only=True)
        net.load_state_dict(state["model"])
        recorder.load_state_dict(state["recorder"], rewind=True)
        first = state["epoch"] + 1
    for epoch in range(first, epochs):
        train_loader.sampler.set_epoch(epoch)
        for inputs, targets, index in train_loader:
            inputs, targets = inputs.to(device), targets.to(device)
            logits = model(inputs)
            recorder.update("train", index, logits=logits, targets=targets)
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, targets).backward()
            optimizer.step()
        recorder.evaluate("val", model, val_loader)
        recorder.commit(epoch)
        if dist.get_rank() == 0:
            state = {"model": net.state_dict(), "epoch": epoch}
            torch.save(state | {"recorder": recorder.state_dict()}, saved)


def main():
    """Join the other processes, train, and say what the scores are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()

    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    with ltc.Recorder(
        arguments.path,
        train_labels=clusters(1000, seed=1).tensors[1],
        val_labels=clusters(301, seed=2).tensors[1],
        resume=True,
    ) as recorder:
        train(recorder, arguments.path.with_suffix(".pt"), arguments.epochs, device)
    if dist.get_rank() == 0 and arguments.epochs >= 4:
        print(ltc.score(arguments.path).summary())
    dist.barrier()  # nobody leaves while others still use the group
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
