"""Runs with scores, and selections from them: for one machine and for a cluster."""

import numpy as np

import ltc
from ltc.store.scores import write_scores

SIZE = 5_000


def make_run(path, *, labelled=True, seed=0, groups="class"):
    """Write a run in twenty chunks, with scores that have ties and gaps; return these."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(5, SIZE, p=[0.5, 0.3, 0.1, 0.09, 0.01])
    losses = rng.random((4, SIZE), np.float32)
    given = {"train_labels": labels, "val_labels": labels[:50]} if labelled else {}
    ltc.write_store(path, losses, losses[:, :50], **given)
    values = (rng.integers(-50, 50, SIZE) / 50).astype(np.float32)
    values[rng.random(SIZE) < 0.05] = np.nan
    revision = ltc.open_store(path).revision
    write_scores(path, "kept", values, {"committed": 4, "revision": revision, "groups": groups})
    return ltc.load_scores(path, "kept")


CASES = [
    {"fraction": 0.1},
    {"k": 0},
    {"k": SIZE, "balance": None},
    {"k": 4_900, "strategy": "random", "cutoff": 0.3},
    {"fraction": 0.3, "balance": "equal", "cutoff": 0.2, "exclude": range(200, 900, 2)},
    {"fraction": 0.2, "strategy": "stratified", "cutoff": 0.1, "seed": 3},
    {"fraction": 0.2, "strategy": "random", "balance": None, "cutoff": 0.2, "seed": 4},
]
