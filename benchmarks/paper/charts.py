"""Plots of the papers' figures: means with their intervals.

Colours are Okabe and Ito's, which stay apart for the colour-blind; markers differ too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from benchmarks.paper.summary import interval

BLACK, GREEN = "#404040", "#009e73"
STYLES = (
    (BLACK, "s", "--"),
    ("#0072b2", "o", "-"),
    ("#d55e00", "^", "-"),
    ("#cc79a7", "D", "-"),
    ("#e69f00", "v", "-"),
)
DOTS_PER_INCH = 130


@dataclass(frozen=True, eq=False)
class Panel:
    """Lines over sizes of coresets; values are [seeds, sizes], those of everything [seeds]."""

    title: str
    fractions: Sequence[float]
    lines: Sequence[tuple[str, NDArray[np.float64]]]
    everything: NDArray[np.float64]


def curves(path: Path, title: str, rows: Sequence[tuple[str, Sequence[Panel]]]) -> Path:
    """Draw rows of panels, each row with its own scale; the last row has the legends below."""
    columns = max(len(panels) for _, panels in rows)
    figure = Figure(
        figsize=(2.5 * columns, 2.5 * len(rows) + 1.2), dpi=DOTS_PER_INCH, layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False, sharey="row")
    for (name, panels), row in zip(rows, axes, strict=True):
        row[0].set_ylabel(f"{name}\ntest accuracy (%)", size=8)
        for panel, axis in zip(panels, row, strict=True):
            _draw(axis, panel)
    for axis in axes[-1]:
        axis.set_xlabel("coreset (% of the training split)", size=8)
        axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.28), frameon=False)
    figure.suptitle(title, size=10)
    figure.savefig(path)
    return path


def _draw(axis: Any, panel: Panel) -> None:
    for number, (label, values) in enumerate(panel.lines):
        found = interval(values)
        if found is None:
            continue
        colour, marker, line = STYLES[number]
        # Side by side, so that the error bars don't hide each other.
        places = 100 * np.array(panel.fractions) * 1.04 ** (number - (len(panel.lines) - 1) / 2)
        spread = np.nan_to_num([found.estimate - found.low, found.high - found.estimate])
        axis.errorbar(
            places,
            100 * found.estimate,
            100 * np.maximum(spread, 0),
            color=colour,
            marker=marker,
            linestyle=line,
            markersize=4,
            linewidth=1.1,
            elinewidth=0.8,
            label=label,
        )
    whole = interval(panel.everything)
    if whole is not None:
        axis.axhline(
            100 * float(whole.estimate), color=GREEN, linestyle=":", label="everything", zorder=0
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator([100 * f for f in panel.fractions]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels([f"{100 * f:g}" for f in panel.fractions])
    axis.tick_params(labelsize=7)
    axis.set_title(panel.title, size=8)
    axis.grid(axis="y", color="0.9", linewidth=0.6)


def points(
    path: Path,
    title: str,
    labels: Sequence[str],
    panels: Sequence[tuple[str, Sequence[NDArray[np.float64]]]],
) -> Path:
    """Draw a panel for each measure, for each label a point of values [seeds]."""
    figure = Figure(
        figsize=(2.2 * len(panels) + 1.5, 0.32 * len(labels) + 1.3),
        dpi=DOTS_PER_INCH,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axis, (name, rows) in zip(axes, panels, strict=True):
        _scatter(axis, rows, 0.0, STYLES[1], None)
        axis.set_title(name, size=7.5)
        axis.tick_params(labelsize=7)
        axis.grid(axis="x", color="0.9", linewidth=0.6)
    axes[0].set_yticks(range(len(labels)), labels, size=7.5)
    axes[0].invert_yaxis()
    figure.suptitle(title, size=9)
    figure.savefig(path)
    return path


def groups(
    path: Path,
    title: str,
    labels: Sequence[str],
    panels: Sequence[tuple[str, dict[str, Sequence[NDArray[np.float64]]]]],
) -> Path:
    """Draw a panel for each size, and for each label a point of every group."""
    figure = Figure(
        figsize=(2.4 * len(panels) + 1, 0.5 * len(labels) + 1.6),
        dpi=DOTS_PER_INCH,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axis, (name, grouped) in zip(axes, panels, strict=True):
        for number, (group, rows) in enumerate(grouped.items()):
            shift = 0.22 * (number - (len(grouped) - 1) / 2)
            _scatter(axis, rows, shift, STYLES[number], group)
        axis.set_title(name, size=8)
        axis.tick_params(labelsize=7)
        axis.grid(axis="x", color="0.9", linewidth=0.6)
    axes[0].set_yticks(range(len(labels)), labels, size=8)
    axes[0].invert_yaxis()
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8
    )
    figure.suptitle(title, size=9)
    figure.savefig(path)
    return path


def _scatter(
    axis: Any,
    rows: Sequence[NDArray[np.float64]],
    shift: float,
    style: tuple[str, str, str],
    label: str | None,
) -> None:
    """One point for each row of values, with its interval across."""
    for place, values in enumerate(rows):
        found = interval(values)
        if found is not None:
            spread = np.nan_to_num([found.estimate - found.low, found.high - found.estimate])
            axis.errorbar(
                found.estimate,
                place + shift,
                xerr=np.maximum(spread, 0)[:, None],
                color=style[0],
                marker=style[1],
                markersize=4,
                elinewidth=0.9,
                linestyle="",
                label=label if place == 0 else None,
            )
