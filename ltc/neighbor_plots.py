"""A figure of one query and its neighbours: their losses, and the differences of these.

Needs matplotlib, which only the extra ``demo`` brings.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.atomic import atomic_file
from ltc.demo.errors import MissingExtraError
from ltc.neighbor_tables import describe_sample

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ltc.pairs import Neighbors, Ranking
    from ltc.store import Store

__all__ = ["require_plots", "save_neighbors_plot"]

# Okabe and Ito's colours stay apart for the colour-blind; the query is also thicker.
_QUERY, _ALIGNED, _CONFLICTING = "#404040", "#0072b2", "#d55e00"
_DRAWN = 5  # neighbours; more hide each other
_DOTS_PER_INCH = 200


def require_plots() -> None:
    """Check that figures can be drawn, without importing what draws them.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("a plot needs matplotlib: pip install 'ltc[demo]'")


def save_neighbors_plot(path: Path, found: Neighbors, store: Store, row: int = 0) -> None:
    """Draw the query at ``found.queries[row]`` with its most aligned and most conflicting samples.

    Losses are as recorded; differences are divided by the standard deviation of each trajectory's
    own, as a correlation doesn't see their size.

    Parameters
    ----------
    path : Path
        Where to; the suffix, ``.png``, ``.svg`` or ``.pdf``, says what.
    found : Neighbors
        Of any number of queries.
    store : Store
        Where the losses are.
    row : int
        Which query.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    require_plots()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    checkpoints = np.array(found.metadata["checkpoints"])
    rows = np.flatnonzero(np.isin(store.checkpoints, checkpoints)).tolist()
    query = int(found.queries[row])
    losses = store.read("val", samples=[query], checkpoints=rows)[:, 0]
    figure = Figure(figsize=(7.2, 4.6), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharex="all", sharey="row")
    sides = (("aligned", found.aligned, _ALIGNED), ("conflicting", found.conflicting, _CONFLICTING))
    for column, (name, ranking, colour) in enumerate(sides):
        neighbours = _trajectories(store, ranking, row, rows)
        _draw(panels[:, column], checkpoints, losses, neighbours, colour)
        panels[0, column].set_title(f"{name}: {_span(ranking, row)}", loc="left", size=9)
        panels[1, column].set_xlabel("Checkpoint", size=9)
    panels[0, 0].set_ylabel("Loss", size=9)
    panels[1, 0].set_ylabel("Difference of losses\n(in standard deviations)", size=9)
    figure.suptitle(f"{describe_sample(store, 'val', query)} (thick)", size=10)
    with atomic_file(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower())


def _trajectories(store: Store, ranking: Ranking, row: int, rows: list[int]) -> NDArray[np.float16]:
    """Losses [T, n] of the first neighbours that there are."""
    samples = ranking.indices[row]
    return store.read("train", samples=samples[samples >= 0][:_DRAWN], checkpoints=rows)


def _span(ranking: Ranking, row: int) -> str:
    """Return which correlations the drawn neighbours have."""
    values = ranking.values[row]
    values = values[~np.isnan(values)][:_DRAWN]
    return f"r = {values[0]:.3f} to {values[-1]:.3f}" if len(values) else "none"


def _draw(
    panels: Any,
    checkpoints: NDArray[np.float64],
    losses: NDArray[np.float16],
    neighbours: NDArray[np.float16],
    colour: str,
) -> None:
    lines = [(trajectory, colour, 0.9) for trajectory in neighbours.T]
    for trajectory, shade, width in [*lines, (losses, _QUERY, 2.0)]:
        values = trajectory.astype(np.float64)
        steps = np.diff(values)
        panels[0].plot(checkpoints, values, color=shade, linewidth=width)
        spread = np.nanstd(steps) if np.isfinite(steps).any() else 0.0
        panels[1].plot(checkpoints[1:], steps / (spread or 1.0), color=shade, linewidth=width)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
