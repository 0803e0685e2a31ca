"""Plots of the trajectories of single samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltc.reporting.canvas import add_hover, add_line, add_lines, blank, source
from ltc.reporting.palette import DASHES, GREY, HUES, PURPLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from ltc.pairs import Ranking
    from ltc.reporting.contents import Contents, Queries

__all__ = ["extremes", "neighbours", "sample"]


def extremes(contents: Contents, samples: NDArray[np.int64]) -> figure:
    """Trajectories of some training samples beside what each is compared with."""
    plot = blank(x="Checkpoint", y="Loss", height=240)
    x = contents.plan.store.checkpoints
    if contents.references:  # there are some for all or for none
        references = [contents.references[sample] for sample in samples.tolist()]
        add_lines(plot, x, references, HUES, (), line_width=5, line_alpha=0.3)
    _trajectories(plot, x, [contents.courses.of(sample) for sample in samples], samples)
    return plot


def neighbours(contents: Contents, queries: Queries, row: int, side: str) -> figure:
    """A validation sample beside what is aligned or in conflict with it."""
    plot = blank(x="Checkpoint", y="Loss", height=240)
    x = contents.plan.store.checkpoints
    query = int(queries.found.queries[row])
    data = source({"x": x, "loss": queries.val.of(query)})
    line = add_line(plot, data, "loss", GREY, line_width=6, line_alpha=0.45)
    add_hover(plot, [line], {f"validation sample {query}": "@loss{0.000}", "checkpoint": "@x"})
    ranking: Ranking = getattr(queries.found, side)
    samples = ranking.indices[row]
    samples = samples[samples >= 0]
    _trajectories(plot, x, [queries.train.of(sample) for sample in samples], samples)
    return plot


def sample(contents: Contents) -> figure:
    """Room for the trajectory of a sample that is looked for."""
    plot = blank(x="Checkpoint", y="Loss", height=200)
    x = contents.plan.store.checkpoints
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
