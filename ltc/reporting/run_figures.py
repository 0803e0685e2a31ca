"""Plots of the whole run over its checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltc.reporting.canvas import add_dots, add_hover, add_line, blank, source
from ltc.reporting.contents import median
from ltc.reporting.palette import BLUE, ORANGE

if TYPE_CHECKING:
    from bokeh.plotting import figure

    from ltc.reporting.contents import Contents
    from ltc.stability import Stability

__all__ = ["losses", "observed", "stability"]


def observed(contents: Contents) -> figure:
    """How much of either split was seen at each checkpoint."""
    store = contents.plan.store
    plot = blank(x="Checkpoint", y="Samples with a loss (%)", height=220, bottom=0, top=105)
    columns = {
        split: [
            100
            * (getattr(commit, split).observed - getattr(commit, split).nonfinite)
            / store.size(split)
            for commit in store.commits
        ]
        for split in ("train", "val")
    }
    data = source(
        {"x": contents.plan.store.checkpoints} | {k: np.array(v) for k, v in columns.items()}
    )
    lines = [
        add_line(plot, data, "train", BLUE, line_width=2.5),
        add_line(plot, data, "val", ORANGE, "dashed"),
    ]
    add_dots(plot, data, {"train": BLUE, "val": ORANGE})
    rows = {"checkpoint": "@x", "training": "@train{0.00} %", "validation": "@val{0.00} %"}
    add_hover(plot, lines[:1], rows, "vline")
    return plot


def losses(contents: Contents) -> figure:
    """How the losses fell."""
    plot = blank(x="Checkpoint", y="Loss", height=220)
    typical = contents.typical.losses
    data = source(
        {
            "x": contents.plan.store.checkpoints,
            "low": median(typical, 0.1),
            "train": median(typical),
            "high": median(typical, 0.9),
            "val": contents.val_median,
        }
    )
    plot.varea("x", "low", "high", source=data, fill_color=BLUE, fill_alpha=0.18)
    lines = [
        add_line(plot, data, "train", BLUE, line_width=2.5),
        add_line(plot, data, "val", ORANGE, "dashed"),
    ]
    add_dots(plot, data, {"train": BLUE, "val": ORANGE})
    rows = {
        "checkpoint": "@x",
        "training, median": "@train{0.000}",
        "10 to 90 %": "@low{0.000} to @high{0.000}",
        "validation, median": "@val{0.000}",
    }
    add_hover(plot, lines[:1], rows, "vline")
    return plot


def stability(found: Stability) -> figure:
    """Agreement of early scores with the final ones."""
    plot = blank(x="Scores made up to checkpoint", y="Agreement with all", height=240, top=1.05)
    data = source(
        {
            "x": found.checkpoints,
            "correlation": found.correlation,
            "overlap": found.overlap,
        }
    )
    lines = [
        add_line(plot, data, "correlation", BLUE, line_width=2.5),
        add_line(plot, data, "overlap", ORANGE, "dashed"),
    ]
    add_dots(plot, data, {"correlation": BLUE, "overlap": ORANGE})
    rows = {
        "up to checkpoint": "@x",
        "rank correlation": "@correlation{0.000}",
        "overlap": "@overlap{0.000}",
    }
    add_hover(plot, lines[:1], rows, "vline")
    return plot
