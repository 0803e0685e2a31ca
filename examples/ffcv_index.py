"""Record samples that FFCV loads: their index is a field of their own in its file.

Other than with a shuffled order that is drawn again outside, the index can't come apart from the
sample: it is written beside it.
"""

import torch
from torch import nn

import ltc


def write(dataset, path, fields):
    """Write a data set of ``(inputs, target)`` as ``(inputs, target, index)``.

    `fields` are those of FFCV for the first two, by name.
    """
    from ffcv.fields import IntField
    from ffcv.writer import DatasetWriter

    writer = DatasetWriter(path, {**fields, "index": IntField()})
    writer.from_indexed_dataset(ltc.IndexedDataset(dataset))


def load(path, pipelines, **options):
    """Load batches ``(inputs, target, index)``, each index once."""
    from ffcv.fields.decoders import IntDecoder
    from ffcv.loader import Loader
    from ffcv.transforms import Squeeze, ToTensor

    index = [IntDecoder(), ToTensor(), Squeeze()]  # decoded as [B, 1]
    return Loader(path, pipelines={**pipelines, "index": index}, **options)


def train(path, model, train_loader, val_loader, labels, *, epochs):
    """Train and record; a batch of FFCV is what a recorder takes."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    train_labels, val_labels = labels
    with ltc.Recorder(path, train_labels=train_labels, val_labels=val_labels) as recorder:
        for epoch in range(1, epochs + 1):
            for inputs, targets, index in train_loader:
                logits = model(inputs)
                recorder.update("train", index, logits=logits, targets=targets)
                optimizer.zero_grad()
                nn.functional.cross_entropy(logits, targets).backward()
                optimizer.step()
            recorder.evaluate("val", model, val_loader)
            recorder.commit(epoch)
