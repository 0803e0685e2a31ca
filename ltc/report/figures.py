"""The plots of a report, as Bokeh figures.

The page's script fills those of their sources that have names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.report.canvas import FEW, add_hover, add_line, add_lines, blank, label_ticks, source
from ltc.report.classes import EDGES
from ltc.report.contents import Queries, median
from ltc.report.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, ROSE
from ltc.stability import Stability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from ltc.pairs import Ranking
    from ltc.report.contents import Contents

__all__ = ["DASHES", "HUES", "MARKERS", "draw_all"]

HUES = (BLUE, ORANGE, GREEN, PURPLE, ROSE)
DASHES = ("solid", "dashed", "dotted", "dashdot", "solid")
# Marks of strategies, and what they look like as a path of ten pixels.
MARKERS = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "square": "M-4-4h8v8h-8z",
    "triangle": "M0-5l5 8h-10z",
    "diamond": "M0-5.5l3.7 5.5l-3.7 5.5l-3.7-5.5z",
    "inverted_triangle": "M0 5l5-8h-10z",
}
NAMED_TICKS = 20  # classes whose names fit below a plot
LETTERS = 12  # of them


def draw_all(contents: Contents) -> dict[str, figure]:
    """Return every plot by its name."""
    drawn = {
        "sample": _sample(contents),
        "observed": _observed(contents),
        "losses": _losses(contents),
        "scores": _scores(contents),
        "takes": _takes(contents),
    }
    if contents.classes.number > 1:
        drawn["classes"] = _classes(contents)
        drawn["shares"] = _shares(contents)
    for kind, samples in contents.extremes.items():
        if samples.size:
            drawn[f"extremes-{kind}"] = _extremes(contents, samples)
    if isinstance(contents.queries, Queries):
        for row, query in enumerate(contents.queries.found.queries.tolist()):
            for side in ("aligned", "conflicting"):
                drawn[f"query-{query}-{side}"] = _neighbours(contents, contents.queries, row, side)
    if isinstance(contents.stability, Stability):
        drawn["stability"] = _stability(contents.stability)
    return drawn


def _checkpoints(contents: Contents) -> NDArray[np.float64]:
    return contents.plan.store.checkpoints


def _observed(contents: Contents) -> figure:
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
    data = source({"x": _checkpoints(contents)} | {k: np.array(v) for k, v in columns.items()})
    lines = [
        add_line(plot, data, "train", BLUE, line_width=2.5),
        add_line(plot, data, "val", ORANGE, "dashed"),
    ]
    _dots(plot, data, {"train": BLUE, "val": ORANGE})
    rows = {"checkpoint": "@x", "training": "@train{0.00} %", "validation": "@val{0.00} %"}
    add_hover(plot, lines[:1], rows, "vline")
    return plot


def _losses(contents: Contents) -> figure:
    """How the losses fell."""
    plot = blank(x="Checkpoint", y="Loss", height=220)
    losses = contents.typical.losses
    data = source(
        {
            "x": _checkpoints(contents),
            "low": median(losses, 0.1),
            "train": median(losses),
            "high": median(losses, 0.9),
            "val": contents.val_median,
        }
    )
    plot.varea("x", "low", "high", source=data, fill_color=BLUE, fill_alpha=0.18)
    lines = [
        add_line(plot, data, "train", BLUE, line_width=2.5),
        add_line(plot, data, "val", ORANGE, "dashed"),
    ]
    _dots(plot, data, {"train": BLUE, "val": ORANGE})
    rows = {
        "checkpoint": "@x",
        "training, median": "@train{0.000}",
        "10 to 90 %": "@low{0.000} to @high{0.000}",
        "validation, median": "@val{0.000}",
    }
    add_hover(plot, lines[:1], rows, "vline")
    return plot


def _dots(plot: figure, data: Any, colours: dict[str, str]) -> None:
    """Mark single checkpoints where a line through them may be none."""
    if data.data["x"].size <= FEW:
        for column, colour in colours.items():
            plot.scatter("x", column, source=data, size=6, fill_color=colour, line_color=None)


def _scores(contents: Contents) -> figure:
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


def _classes(contents: Contents) -> figure:
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


def _shares(contents: Contents) -> figure:
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


def _takes(contents: Contents) -> figure:
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


def _extremes(contents: Contents, samples: NDArray[np.int64]) -> figure:
    """Trajectories of some training samples beside what each is compared with."""
    plot = blank(x="Checkpoint", y="Loss", height=240)
    x = _checkpoints(contents)
    if contents.references:  # there are some for all or for none
        references = [contents.references[sample] for sample in samples.tolist()]
        add_lines(plot, x, references, HUES, (), line_width=5, line_alpha=0.3)
    _trajectories(plot, x, [contents.courses.of(sample) for sample in samples], samples)
    return plot


def _neighbours(contents: Contents, queries: Queries, row: int, side: str) -> figure:
    """A validation sample beside what is aligned or in conflict with it."""
    plot = blank(x="Checkpoint", y="Loss", height=240)
    x = _checkpoints(contents)
    query = int(queries.found.queries[row])
    data = source({"x": x, "loss": queries.val.of(query)})
    line = add_line(plot, data, "loss", GREY, line_width=6, line_alpha=0.45)
    add_hover(plot, [line], {f"validation sample {query}": "@loss{0.000}", "checkpoint": "@x"})
    ranking: Ranking = getattr(queries.found, side)
    samples = ranking.indices[row]
    samples = samples[samples >= 0]
    _trajectories(plot, x, [queries.train.of(sample) for sample in samples], samples)
    return plot


def _sample(contents: Contents) -> figure:
    """Room for the trajectory of a sample that is looked for."""
    plot = blank(x="Checkpoint", y="Loss", height=200)
    x = _checkpoints(contents)
    data = source({"x": x, "loss": np.zeros_like(x)}, "found-course")  # replaced before it is seen
    line = add_line(plot, data, "loss", PURPLE, line_width=2.5)
    plot.scatter("x", "loss", source=data, size=4, fill_color=PURPLE, line_color=None)
    add_hover(plot, [line], {"checkpoint": "@x", "loss": "@loss{0.000}"})
    return plot


def _trajectories(
    plot: figure,
    x: NDArray[np.float64],
    losses: Sequence[NDArray[np.float16]],
    samples: NDArray[np.int64],
) -> None:
    """Draw training samples as lines that a pointer can ask."""
    names = [f"training sample {sample}" for sample in samples]
    lines = add_lines(plot, x, losses, HUES, DASHES, names, line_width=1.75)
    rows = {"": "@name", "checkpoint": "$snap_x", "loss": "$snap_y{0.000}"}
    add_hover(plot, [lines], rows)


def _stability(found: Stability) -> figure:
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
    _dots(plot, data, {"correlation": BLUE, "overlap": ORANGE})
    rows = {
        "up to checkpoint": "@x",
        "rank correlation": "@correlation{0.000}",
        "overlap": "@overlap{0.000}",
    }
    add_hover(plot, lines[:1], rows, "vline")
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
    label_ticks(plot.xaxis[0], [_shortened(name) for name in names])
    if max(map(len, names)) > 3:
        plot.xaxis.major_label_orientation = 0.9
        plot.min_border_left = 70


def _shortened(name: str) -> str:
    """A name as it fits beside others, on one line."""
    line = " ".join(name.split())
    return line if len(line) <= LETTERS else f"{line[: LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
