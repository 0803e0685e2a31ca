"""The look that the plots of a report share, and the marks that they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from bokeh.models import (
    BasicTicker,
    ColumnDataSource,
    DataRange1d,
    FixedTicker,
    HoverTool,
    NumeralTickFormatter,
    PlainText,
)
from bokeh.plotting import figure

from ltc.reporting.palette import AXIS, GRID, TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bokeh.models.renderers import GlyphRenderer
    from numpy.typing import NDArray

__all__ = [
    "FONT",
    "add_dots",
    "add_hover",
    "add_line",
    "add_lines",
    "blank",
    "label_ticks",
    "source",
]

Mode: TypeAlias = Literal["mouse", "hline", "vline"]

MOST_TOLD: Final = 5  # of the marks under a pointer
FEW: Final = 12  # checkpoints that are marked by dots
FONT: Final = "system-ui, sans-serif"


def blank(
    *,
    x: str,
    y: str,
    height: int = 260,
    bottom: float | None = None,
    top: float | None = None,
    **options: Any,
) -> figure:
    """Return an empty plot as wide as the page allows, with its axes labelled.

    Parameters
    ----------
    x, y : str
        What the axes show, with the unit.
    height : int
        Pixels.
    bottom, top : float, optional
        Ends of the vertical axis; by default what the data need.
    **options
        For Bokeh's figure.
    """
    heights = DataRange1d()
    if bottom is not None:
        heights.start = bottom
    if top is not None:
        heights.end = top
    plot = figure(
        height=height,
        min_width=200,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        x_axis_label=x,
        y_axis_label=y,
        y_range=heights,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        **options,
    )
    plot.grid.grid_line_color = GRID
    plot.xgrid.grid_line_color = None
    for axis in plot.axis:
        axis.axis_line_color = AXIS
        axis.major_tick_line_color = AXIS
        axis.minor_tick_line_color = None
        axis.major_tick_in = 0
        axis.axis_label_text_color = axis.major_label_text_color = TEXT
        axis.axis_label_text_font = axis.major_label_text_font = FONT
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_standoff = 8
    plot.xaxis.ticker = BasicTicker(desired_num_ticks=6)
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=5)
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[000]")
    return plot


def source(columns: Mapping[str, Any], name: str | None = None) -> ColumnDataSource:
    """Return a table of columns; numbers take four bytes each, more can't be seen of them."""
    smaller = {key: _smaller(values) for key, values in columns.items()}
    return ColumnDataSource(smaller, name=name)


def add_line(
    plot: figure, data: ColumnDataSource, y: str, colour: str, dash: str = "solid", **options: Any
) -> GlyphRenderer[Any]:
    """Draw a column against the column ``x``."""
    width = options.pop("line_width", 2)
    return plot.line(
        "x", y, source=data, line_color=colour, line_dash=dash, line_width=width, **options
    )


def add_lines(
    plot: figure,
    x: NDArray[np.float64],
    lines: Sequence[NDArray[np.floating[Any]]],
    colours: Sequence[str],
    dashes: Sequence[str],
    names: Sequence[str] = (),
    **options: Any,
) -> GlyphRenderer[Any]:
    """Draw several lines as one mark; single points of few as dots, too."""
    columns = {
        "xs": [x.astype(np.float32)] * len(lines),
        "ys": [line.astype(np.float32) for line in lines],
        "line_color": colours[: len(lines)],
        "line_dash": dashes[: len(lines)] or ["solid"] * len(lines),
        "name": names or [""] * len(lines),
    }
    drawn = plot.multi_line(
        "xs",
        "ys",
        source=ColumnDataSource({key: list(values) for key, values in columns.items()}),
        line_color="line_color",
        line_dash="line_dash",
        **options,
    )
    if names and x.size <= FEW:  # a line through missing losses may be none
        points = source({"x": np.tile(x, len(lines)), "y": np.concatenate(lines, dtype=np.float32)})
        points.data["fill_color"] = [hue for hue in columns["line_color"] for _ in range(x.size)]
        plot.scatter("x", "y", source=points, size=5, fill_color="fill_color", line_color=None)
    return drawn


def add_dots(plot: figure, data: ColumnDataSource, colours: Mapping[str, str]) -> None:
    """Mark single checkpoints where a line through them may be none."""
    if np.size(data.data["x"]) <= FEW:
        for column, colour in colours.items():
            plot.scatter("x", column, source=data, size=6, fill_color=colour, line_color=None)


def add_hover(
    plot: figure, renderers: Sequence[Any], rows: Mapping[str, str], mode: Mode = "mouse"
) -> None:
    """Show values where the pointer is; text among them is escaped by Bokeh."""
    plot.add_tools(
        HoverTool(
            renderers=list(renderers),
            tooltips=list(rows.items()),
            mode=mode,
            line_policy="nearest",
            limit=MOST_TOLD,
        )
    )


def label_ticks(axis: Any, names: Sequence[str]) -> None:
    """Name the places 0, 1, ... of an axis; as plain text, whatever a name looks like."""
    places = list(range(len(names)))
    axis.ticker = FixedTicker(ticks=places)
    axis.major_label_overrides = {
        place: PlainText(text=name) for place, name in zip(places, names, strict=True)
    }


def _smaller(values: Any) -> Any:
    array = np.asarray(values)
    if array.dtype == np.float64 or array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype == np.int64:
        return array.astype(np.int32)
    return values
