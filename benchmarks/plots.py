"""Bars of what tables say: times with their spread, and memory, as one PNG for each suite."""

import math
import re
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.results import Table

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#404040")  # Okabe and Ito's
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}  # in milliseconds
TIMING = re.compile(r"(\d[\d.e+]*) (us|ms|s)(?: \((\d[\d.e+]*) to (\d[\d.e+]*)\))?$")
MEMORY = re.compile(r"(\d[\d.]*) MB\b")
LINEAR = 30  # times the shortest may the longest bar be; beyond, the scale is logarithmic
WIDTH, ROW, MARGIN = 9.0, 0.34, 1.1  # inches


def save(path: Path, title: str, tables: list[Table]) -> Path | None:
    """Draw every column of times or of memory; None if there is none."""
    panels = [
        (table, pattern, columns)
        for table in tables
        for pattern in (TIMING, MEMORY)
        if (columns := _columns(table, pattern))
    ]
    if not panels:
        return None
    heights = [ROW * len(table.rows) * len(columns) + MARGIN for table, _, columns in panels]
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for axis, (table, pattern, columns) in zip(axes, panels, strict=True):
        _draw(axis, table, pattern, columns)
    figure.suptitle(title, size=9)
    figure.savefig(path)
    return path


def _columns(table: Table, pattern: re.Pattern[str]) -> list[int]:
    """Those in which every row has a figure; limits are no figures."""
    return [
        k
        for k in range(1, len(table.columns))
        if table.rows
        and "limit" not in table.columns[k]
        and all(pattern.match(row[k]) for row in table.rows)
    ]


def _draw(axis: Any, table: Table, pattern: re.Pattern[str], columns: list[int]) -> None:
    """One bar for each row and column, the first row on top."""
    # What stands before the figures names the row.
    first = min(min(_columns(table, each), default=len(table.columns)) for each in (TIMING, MEMORY))
    labels = [", ".join(cell for cell in row[:first] if cell) for row in table.rows]
    share = 0.8 / len(columns)
    everything: list[float] = []
    for number, k in enumerate(columns):
        figures = [_figure(pattern, row[k]) for row in table.rows]
        places = [place + number * share for place in range(len(figures))]
        values = [value for value, _, _ in figures]
        spread = [[value - low for value, low, _ in figures], [h - v for v, _, h in figures]]
        axis.barh(
            places,
            values,
            share,
            xerr=spread,
            color=COLOURS[number % len(COLOURS)],
            ecolor="#404040",
            label=table.columns[k],
        )
        for place, (value, _, high) in zip(places, figures, strict=True):
            axis.annotate(
                _text(pattern, value),
                (high, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                size=7,
            )
        everything += values
    axis.set_yticks([place + 0.4 - share / 2 for place in range(len(labels))], labels, size=8)
    axis.invert_yaxis()
    least, most = min(everything), max(everything)
    if most > LINEAR * least:
        axis.set_xscale("log")
        axis.set_xlim(10 ** math.floor(math.log10(least)), most * 4)  # room for the figures
        axis.xaxis.set_minor_formatter(NullFormatter())
    else:
        axis.set_xlim(0, most * 1.25)
    axis.set_xlabel("ms" if pattern is TIMING else "MB", size=8)
    axis.tick_params(axis="x", labelsize=7)
    axis.set_title(table.title, size=9, loc="left")
    if len(columns) > 1 or pattern is MEMORY:
        # Beside the bars: inside, it covers the figures of some.
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))


def _text(pattern: re.Pattern[str], value: float) -> str:
    if pattern is MEMORY:
        return f"{value:.4g} MB"
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


def _figure(pattern: re.Pattern[str], cell: str) -> tuple[float, float, float]:
    """Value and the ends of its spread, in milliseconds or MB."""
    match = pattern.match(cell)
    if match is None:
        raise ValueError(f"cell must hold a figure, got {cell!r}")
    if pattern is MEMORY:
        return (float(match[1]),) * 3
    numbers = (match[1], match[3] or match[1], match[4] or match[1])
    value, low, high = (float(number) * UNITS[match[2]] for number in numbers)
    return value, low, high
