"""The online scorer: time of an update, and bytes that it keeps, at most those of the limits."""

from typing import Any

import numpy as np

from benchmarks import inputs
from benchmarks.bandwidth import reader
from benchmarks.results import Table
from benchmarks.timing import measure
from ltc.online import OnlineScorer
from ltc_kernels import group_correlation, reference

UPDATE_LIMIT = 10  # milliseconds, at ImageNet-1k size
BYTES_LIMIT = {"complete": 20, "a gap in each tile": 36}
CHECKPOINTS = 6  # before the update that is timed, and compared with the definition


def scorer(size: inputs.Size, losses: Any, val: Any, signal: str) -> OnlineScorer:
    """Return a scorer some checkpoints into a run, its scores compared with their definition."""
    train_labels, val_labels = inputs.labels(size, "train"), inputs.labels(size, "val")
    online = OnlineScorer(train_labels, val_labels, signal=signal)
    for rows in zip(losses, val, strict=True):
        online.update(*rows)
    some = np.random.default_rng(0).integers(0, size.train, 200)
    means = np.stack(
        [
            np.bincount(val_labels, row.astype(np.float64), size.classes)
            / np.maximum(np.bincount(val_labels, minlength=size.classes), 1)
            for row in val
        ],
        axis=1,
    )
    expected = reference.group_correlation(
        losses[:, some], means, train_labels[some], signal=signal
    )
    np.testing.assert_allclose(online.scores().values[some], expected, atol=1e-5)
    whole = group_correlation(losses, means, train_labels, signal=signal)
    np.testing.assert_allclose(online.scores().values, whole, atol=1e-5)
    return online


def run(size_name: str = "imagenet-1k", rounds: int = 25) -> Table:
    """Measure updates and scores of both signals, complete and with gaps, in turns."""
    size = inputs.SIZES[size_name]
    short = inputs.Size(CHECKPOINTS, size.train, size.val, size.classes)
    complete, val = inputs.losses(short, "train"), inputs.losses(short, "val")
    gaps = complete.copy()
    gaps[2, :: min(100_000, size.train)] = np.nan
    online = {
        (signal, name): scorer(short, losses, val, signal)
        for signal in ("difference", "loss")
        for name, losses in (("complete", complete), ("a gap in each tile", gaps))
    }
    given = complete[-1].astype(np.float32)
    calls: dict[Any, Any] = {
        ("update", *key): _updates(one, given, val[-1]) for key, one in online.items()
    }
    calls |= {("scores", *key): one.scores for key, one in online.items()}
    calls[("floor", "", "")] = reader(np.zeros(40 * size.train, np.uint8))
    timings = measure(calls, rounds=rounds)
    table = Table(
        f"OnlineScorer, {size.train:,} + {size.val:,} samples, {size.classes} classes, float32 in",
        ["signal", "losses", "update", "limit", "bytes per sample", "limit ", "scores()"],
    )
    for (signal, name), one in online.items():
        table.add(
            signal,
            name,
            str(timings[("update", signal, name)]),
            f"at most {UPDATE_LIMIT} ms" if size_name == "imagenet-1k" else "",
            f"{one.nbytes / size.train:.1f}",
            f"at most {BYTES_LIMIT[name]}",
            str(timings[("scores", signal, name)]),
        )
    table.note(
        "An update checks and rounds the losses, averages those of the validation samples and "
        f"moves the moments. Reading 40 bytes per sample once: {timings[('floor', '', '')]}."
    )
    return table


def _updates(online: OnlineScorer, train: Any, val: Any) -> Any:
    return lambda: online.update(train, val)
