"""Plots of the scores, of all samples and by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltc.reporting.canvas import add_hover, blank, label_ticks, source
from ltc.reporting.classes import EDGES
from ltc.reporting.names import shortened
from ltc.reporting.palette import BLUE, DASHES, HUES, MARKERS, ORANGE, PURPLE

if TYPE_CHECKING:
    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from ltc.reporting.contents import Contents

__all__ = ["classes", "scores", "shares", "takes"]

NAMED_TICKS = 20  # classes whose names fit below a plot
LETTERS = 12  # of them


def scores(contents: Contents) -> figure:
    """Histogram of the scores, with room for those of one class."""
    counts = contents.classes.histogram.sum(axis=0)
    share = 100 * counts / max(counts.sum(), 1)
    data = source({"low": EDGES[:-1], "high": EDGES[1:], "share": share, "number": counts})
    plot = blank(x="Score", y="Samples with a score (%)", bottom=0, x_range=(-1.02, 1.02))
    bars = plot.quad(
        left="low",
        right="high",
        bottom=0,
        top="share",
        source=data,
        fill_color=BLUE,
        fill_alpha=0.45,
        line_color=BLUE,
        line_width=1,
    )
    empty = np.empty(0, np.float32)
    chosen = source({"x": empty, "share": empty}, "class-scores")
    plot.step("x", "share", source=chosen, mode="after", line_color=ORANGE, line_width=2.5)
    marked = source({"x": empty}, "marked-score")
    plot.vspan("x", source=marked, line_color=PURPLE, line_width=3, line_dash="dashed")
    rows = {
        "score": "@low{0.00} to @high{0.00}",
        "samples": "@number{0,0}",
        "share": "@share{0.00} %",
    }
    add_hover(plot, [bars], rows)
    return plot


def classes(contents: Contents) -> figure:
    """Where the scores of each class lie, classes side by side by their median."""
    classes = contents.classes
    order = classes.order
    low, lower, middle, upper, high = classes.quantiles[order].T
    data = source(
        {
            "x": np.arange(order.size),
            "low": low,
            "lower": lower,
            "middle": middle,
            "upper": upper,
            "high": high,
            "size": classes.sizes[order],
            "called": _names(contents, order),
        }
    )
    plot = blank(x="", y="Score", height=300, x_range=(-0.7, order.size - 0.3))
    plot.vbar(
        "x", 0.9, "high", "low", source=data, fill_color=BLUE, fill_alpha=0.2, line_color=None
    )
    bars = plot.vbar(
        "x", 0.9, "upper", "lower", source=data, fill_color=BLUE, fill_alpha=0.4, line_color=None
    )
    plot.rect(
        "x", "middle", 0.9, 3, source=data, height_units="screen", fill_color=BLUE, line_color=None
    )
    empty = np.empty(0, np.float32)
    chosen = source({"x": empty, "low": empty, "high": empty}, "class-place")
    plot.vbar(
        "x", 0.96, "high", "low", source=chosen, fill_color=None, line_color=ORANGE, line_width=2.5
    )
    _class_axis(plot, contents, order)
    rows = {
        "class": "@called",
        "samples": "@size{0,0}",
        "median": "@middle{0.00}",
        "middle half": "@lower{0.00} to @upper{0.00}",
        "5 to 95 %": "@low{0.00} to @high{0.00}",
    }
    add_hover(plot, [bars], rows, "vline")
    return plot


def shares(contents: Contents) -> figure:
    """How much of each class one ranking of all samples takes."""
    classes, order = contents.classes, contents.classes.order
    columns = {
        f"take{k}": 100 * each.free[order] / classes.sizes[order]
        for k, each in enumerate(contents.taken)
    }
    data = source({"x": np.arange(order.size), "called": _names(contents, order)} | columns)
    plot = blank(x="", y="Share taken (%)", height=300, bottom=0, x_range=(-0.7, order.size - 0.3))
    size = 8 if order.size <= 2 * NAMED_TICKS else 3
    for k, (column, marker) in enumerate(zip(columns, MARKERS, strict=False)):
        marks = plot.scatter(
            "x",
            column,
            source=data,
            marker=marker,
            size=size,
            fill_color=HUES[k],
            fill_alpha=0.8,
            line_color=None,
        )
        hover = {"class": "@called", contents.taken[k].title: f"@{column}{{0.0}} %"}
        add_hover(plot, [marks], hover)
    _class_axis(plot, contents, order)
    return plot


def takes(contents: Contents) -> figure:
    """Which scores each strategy takes, with room for those of one class."""
    plot = blank(x="Score", y="Share taken (%)", bottom=-2, top=104, x_range=(-1.02, 1.02))
    total = contents.classes.histogram.sum(axis=0)
    with np.errstate(invalid="ignore"):  # 0 / 0: nobody has such a score
        columns = {
            f"take{k}": 100 * each.histogram.sum(axis=0) / total
            for k, each in enumerate(contents.taken)
        }
    middle = (EDGES[:-1] + EDGES[1:]) / 2
    placed = {"x": middle, "low": EDGES[:-1], "high": EDGES[1:], "number": total}
    data = source(placed | columns, "takes")
    for k, column in enumerate(columns):
        plot.step(
            "x",
            column,
            source=data,
            mode="center",
            line_color=HUES[k],
            line_dash=DASHES[k],
            line_width=2.5,
        )
    guide = plot.scatter("x", "take0", source=data, size=1, alpha=0)
    rows = {"score": "@low{0.00} to @high{0.00}", "samples": "@number{0,0}"}
    rows |= {each.title: f"@take{k}{{0.0}} %" for k, each in enumerate(contents.taken)}
    add_hover(plot, [guide], rows, "vline")
    return plot


def _names(contents: Contents, order: NDArray[np.int64]) -> list[str]:
    return [contents.plan.name(label) for label in contents.classes.labels[order].tolist()]


def _class_axis(plot: figure, contents: Contents, order: NDArray[np.int64]) -> None:
    """Name the classes below a plot if there is room."""
    plot.xaxis.axis_label = "Classes, lowest median score first"
    if order.size > NAMED_TICKS:
        plot.xaxis.major_label_text_color = plot.xaxis.major_tick_line_color = None
        return
    names = _names(contents, order)
    label_ticks(plot.xaxis[0], [shortened(name, LETTERS) for name in names])
    if max(map(len, names)) > 3:
        plot.xaxis.major_label_orientation = 0.9
        plot.min_border_left = 70
