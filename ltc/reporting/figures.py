"""The plots of a report, as Bokeh figures.

The page's script fills those of their sources that have names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltc.reporting import course_figures, map_figures, run_figures, score_figures
from ltc.reporting.contents import Queries
from ltc.reporting.dynamics import Dynamics
from ltc.stability import Stability

if TYPE_CHECKING:
    from bokeh.plotting import figure

    from ltc.reporting.contents import Contents

__all__ = ["draw_all"]


def draw_all(contents: Contents) -> dict[str, figure]:
    """Return every plot by its name."""
    drawn = {
        "sample": course_figures.sample(contents),
        "observed": run_figures.observed(contents),
        "scores": score_figures.scores(contents),
        "takes": score_figures.takes(contents),
    }
    if not np.isnan(contents.val_median).all() or not np.isnan(contents.typical.losses).all():
        drawn["losses"] = run_figures.losses(contents)
    if contents.classes.number > 1:
        if contents.classes.histogram.any():
            drawn["classes"] = score_figures.classes(contents)
        drawn["shares"] = score_figures.shares(contents)
    if contents.cells is not None:
        drawn |= map_figures.cells(contents.cells)
    elif isinstance(contents.dynamics, Dynamics):
        drawn["map"] = map_figures.points(contents, contents.dynamics)
    for kind, samples in contents.extremes.items():
        if samples.size:
            drawn[f"extremes-{kind}"] = course_figures.extremes(contents, samples)
    if isinstance(contents.queries, Queries):
        for row, query in enumerate(contents.queries.found.queries.tolist()):
            for side in ("aligned", "conflicting"):
                drawn[f"query-{query}-{side}"] = course_figures.neighbours(
                    contents, contents.queries, row, side
                )
    if isinstance(contents.stability, Stability):
        drawn["stability"] = run_figures.stability(contents.stability)
    return drawn
