"""Record samples of webdataset's shards, which have a key each and no index.

The keys are the ids of the samples. Their positions in the list of all keys are the indices, which
needs one look at the shards before; a key that isn't in the list is an error, not another sample.
"""

import argparse
import sys
from pathlib import Path

import torch
import webdataset
from torch import nn

import ltc


def write_shards(folder, split, inputs, targets):
    """Write shards of 16 samples; here the data are made, elsewhere they are there."""
    pattern = f"{folder}/{split}-%06d.tar"
    with webdataset.ShardWriter(pattern, maxcount=16, verbose=0) as sink:
        for i, (x, y) in enumerate(zip(inputs, targets, strict=True)):
            sink.write({"__key__": f"{split}{i:05d}", "x.pth": x.clone(), "y.cls": int(y)})
    return sorted(map(str, Path(folder).glob(f"{split}-*.tar")))


def read(shards, *, shuffle=0):
    """Yield inputs, target and key of each sample."""
    dataset = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
    return dataset.shuffle(shuffle).decode().to_tuple("x.pth", "y.cls", "__key__")


def batches(dataset, positions):
    """Inputs, targets and indices of batches of at most eight."""
    for inputs, targets, keys in dataset.batched(8, partial=True):
        yield (
            torch.stack(list(inputs)),
            torch.as_tensor(targets),
            [positions[key] for key in keys],
        )


def main(folder, *, epochs=5):
    """Train and record; print the keys of a coreset."""
    torch.manual_seed(0)
    targets = torch.arange(80) % 2
    inputs = torch.randn(80, 4) + targets[:, None]
    train = write_shards(folder, "train", inputs[:60], targets[:60])
    val = write_shards(folder, "val", inputs[60:], targets[60:])

    keys = {
        s: [key for _, _, key in read(shards)] for s, shards in (("train", train), ("val", val))
    }
    labels = {
        s: [label for _, label, _ in read(shards)] for s, shards in (("train", train), ("val", val))
    }
    positions = {s: {key: i for i, key in enumerate(found)} for s, found in keys.items()}
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    path = f"{folder}/run.zarr"
    with ltc.Recorder(
        path,
        train_labels=labels["train"],
        val_labels=labels["val"],
        train_ids=keys["train"],
        val_ids=keys["val"],
    ) as recorder:
        for epoch in range(1, epochs + 1):
            for x, y, index in batches(read(train, shuffle=40), positions["train"]):
                logits = model(x)
                recorder.update("train", index, logits=logits, targets=y)
                optimizer.zero_grad()
                nn.functional.cross_entropy(logits, y).backward()
                optimizer.step()
            recorder.evaluate("val", model, batches(read(val), positions["val"]))
            recorder.commit(epoch)
    coreset = ltc.score(path).select(fraction=0.1)
    print(" ".join(coreset.ids))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="where shards and the store are written")
    sys.exit(main(parser.parse_args().folder))
