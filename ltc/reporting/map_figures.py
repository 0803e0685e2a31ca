"""Plots of the data map: points of few samples, cells of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    FixedTicker,
    LinearColorMapper,
    LogColorMapper,
    NumeralTickFormatter,
)
from bokeh.models.annotations import ColorBar

from ltc.reporting.canvas import FONT, add_hover, blank, source
from ltc.reporting.dynamics import CELLS, SPREAD, Cells, Dynamics
from ltc.reporting.names import shortened
from ltc.reporting.palette import DENSITY, DIVERGING, GREY, PURPLE, TEXT

if TYPE_CHECKING:
    from bokeh.models import ColorMapper
    from bokeh.plotting import figure

    from ltc.reporting.contents import Contents

__all__ = ["cells", "points"]

_NUMBERS = [step * 10**power for power in range(9) for step in (1, 3)]
_NOTHING = "rgba(0, 0, 0, 0)"
_LETTERS = 40  # of the name of a class, beside each point


def points(contents: Contents, dynamics: Dynamics) -> figure:
    """Every sample, in the colour of its score."""
    plan, classes = contents.plan, contents.classes
    samples = dynamics.defined
    columns: dict[str, Any] = {
        "x": dynamics.variability[samples],
        "y": dynamics.confidence[samples],
        "score": plan.scores.values[samples],
        "sample": samples,
        "alpha": np.full(samples.size, 0.8, np.float32),
    }
    rows = {"training sample": "@sample", "score": "@score{0.00}"}
    if plan.scores.labels is not None:
        called = [shortened(plan.name(label), _LETTERS) for label in classes.labels.tolist()]
        columns["called"] = [called[code] for code in classes.codes[samples].tolist()]
        rows["class"] = "@called"
    plot, mapper = _score_map(float(columns["x"].max()))
    marks = plot.scatter(
        "x",
        "y",
        source=source(columns, "map"),
        size=7 if samples.size <= 1_000 else 5,
        fill_color={"field": "score", "transform": mapper},
        fill_alpha="alpha",
        line_color=None,
    )
    add_hover(plot, [marks], rows | {"confidence": "@y{0.00}", "variability": "@x{0.00}"})
    _mark(plot)
    return plot


def cells(cells: Cells) -> dict[str, figure]:
    """Cells of a grid, by how many samples they have, and by the mean score of these."""
    width, height = SPREAD / CELLS, 1 / CELLS
    columns = {
        "left": cells.columns * width,
        "right": (cells.columns + 1) * width,
        "bottom": cells.rows * height,
        "top": (cells.rows + 1) * height,
        "all": cells.number,
        "number": cells.number.astype(np.float32),
        "score": cells.mean,
        "alpha": np.ones(cells.number.size, np.float32),
    }
    rows = {
        "mean score": "@score{0.00}",
        "confidence": "@bottom{0.000} to @top{0.000}",
        "variability": "@left{0.0000} to @right{0.0000}",
    }
    end = float(columns["right"].max())
    made = {
        "map-number": _number_map(end, int(cells.number.max())),
        "map-score": _score_map(end),
    }
    for name, (plot, mapper) in made.items():
        marks = plot.quad(
            left="left",
            right="right",
            bottom="bottom",
            top="top",
            source=source(columns, "map"),
            fill_color={"field": name.removeprefix("map-"), "transform": mapper},
            fill_alpha="alpha",
            line_color=None,
        )
        shown = "@number{0,0}" if name == "map-number" else "@all{0,0}"
        add_hover(plot, [marks], {"samples": shown} | rows)
        _mark(plot)
    return {name: plot for name, (plot, _) in made.items()}


def _number_map(end: float, most: int) -> tuple[figure, ColorMapper]:
    mapper = LogColorMapper(
        palette=DENSITY, low=1, high=max(most, 2), nan_color=_NOTHING, name="map-colours"
    )
    return _map(
        end, mapper, "Samples", FixedTicker(ticks=_NUMBERS), NumeralTickFormatter(format="0,0")
    ), mapper


def _score_map(end: float) -> tuple[figure, ColorMapper]:
    mapper = LinearColorMapper(palette=DIVERGING, low=-1, high=1, nan_color=GREY)
    return _map(
        end, mapper, "Score", BasicTicker(desired_num_ticks=5), BasicTickFormatter()
    ), mapper


def _map(end: float, mapper: ColorMapper, title: str, ticker: Any, formatter: Any) -> figure:
    """An empty map up to a variability, with what its colours mean above it."""
    plot = blank(
        x="Variability of p",
        y="Confidence: mean of p",
        height=420,
        x_range=(-0.005, max(end, 0.1) + 0.005),
    )
    plot.y_range.update(start=-0.01, end=1.01)
    bar = ColorBar(
        color_mapper=mapper,
        ticker=ticker,
        formatter=formatter,
        title=title,
        orientation="horizontal",
        height=10,
        padding=4,
        background_fill_color=None,
        bar_line_color=None,
        border_line_color=None,
        major_tick_line_color=None,
        title_text_color=TEXT,
        major_label_text_color=TEXT,
        title_text_font=FONT,
        major_label_text_font=FONT,
        title_text_font_size="12px",
        major_label_text_font_size="12px",
        title_text_font_style="normal",
    )
    plot.add_layout(bar, "above")
    return plot


def _mark(plot: figure) -> None:
    """Room for a ring round the sample that is found."""
    empty = np.empty(0, np.float32)
    plot.scatter(
        "x",
        "y",
        source=source({"x": empty, "y": empty}, "marked-place"),
        size=16,
        fill_color=None,
        line_color=PURPLE,
        line_width=3,
    )
