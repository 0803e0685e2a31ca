"""Record in a loop that mixes samples up, such as torchvision's reference for classification.

The loss of a mixed sample is nobody's own. So either a clean view of the same batch is recorded,
with hard labels (`clean_view=True`; one forward pass more for each batch), or batches that are
mixed are left out and count as missing.
"""

import argparse
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, default_collate

import ltc


class MixUp:
    """Mix a batch with itself, with a chance of `share`; the place of torchvision's transform."""

    def __init__(self, num_classes, share):
        self.num_classes = num_classes
        self.share = share

    def __call__(self, inputs, targets):
        """Return inputs, soft targets, and whether they were mixed."""
        soft = nn.functional.one_hot(targets, self.num_classes).float()
        if torch.rand(()) >= self.share:
            return inputs, soft, False
        weight = torch.distributions.Beta(0.4, 0.4).sample()
        mix = [weight * x + (1 - weight) * x.roll(1, 0) for x in (inputs, soft)]
        return *mix, True


def collate_with(mixup):
    """Mix when a batch is collated, as the reference does, and keep what is recorded."""

    def collate(samples):
        inputs, targets, index = default_collate(samples)
        return mixup(inputs, targets), (inputs, targets, index)

    return collate


def train_one_epoch(model, optimizer, loader, recorder, *, clean_view):
    """Train on what may be mixed; record what is not."""
    for (mixed, soft, was_mixed), (inputs, targets, index) in loader:
        logits = model(mixed)
        if clean_view:
            model.eval()
            with torch.no_grad():
                recorder.update("train", index, logits=model(inputs), targets=targets)
            model.train()
        elif not was_mixed:
            recorder.update("train", index, logits=logits, targets=targets)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, soft).backward()
        optimizer.step()


def main(path, *, clean_view, share=0.5, epochs=5):
    """Train, record and score."""
    torch.manual_seed(0)
    targets = torch.arange(120) % 3
    inputs = torch.randn(120, 8) + nn.functional.one_hot(targets, 8)
    train = ltc.IndexedDataset(TensorDataset(inputs[:90], targets[:90]))
    val = ltc.IndexedDataset(TensorDataset(inputs[90:], targets[90:]))
    train_loader = DataLoader(
        train, batch_size=10, shuffle=True, collate_fn=collate_with(MixUp(3, share))
    )
    val_loader = DataLoader(val, batch_size=30)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with ltc.Recorder(path, train_labels=targets[:90], val_labels=targets[90:]) as recorder:
        for epoch in range(1, epochs + 1):
            train_one_epoch(model, optimizer, train_loader, recorder, clean_view=clean_view)
            recorder.evaluate("val", model, val_loader)
            recorder.commit(epoch)
    print(ltc.score(path).summary())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help="the store to write")
    parser.add_argument("--leave-out", action="store_true", help="leave mixed batches out")
    options = parser.parse_args()
    sys.exit(main(options.path, clean_view=not options.leave_out))
