"""Figure 5: how well scores of pairs foretell what leaving training samples out does to a query.

The linear datamodeling score (LDS) of a method is, for each query, Spearman's correlation over
random halves of the training samples between the sum of the method's scores over the half and what
models of the half say of the query.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.paper.charts import BLACK, DOTS_PER_INCH
from benchmarks.paper.gradients import METHODS
from benchmarks.paper.halves import ALL, RANDOM, TRAJECTORIES, Found, Plan, found, jobs
from benchmarks.paper.jobs import Job, Work
from benchmarks.paper.lds_statistics import LEVEL, Scored, bound, ends, retrained, scored
from benchmarks.paper.models import ARCHITECTURES, SMALLEST
from benchmarks.paper.study import Study
from benchmarks.results import Table
from ltc.evaluation import bootstrap_interval, paired_difference

RETRAINED = "another model of each half"
CLAIM = (
    "What the papers say: LTC identifies aligned and conflicting samples at a fraction of the cost "
    "of traditional methods (arXiv 2503.09721, abstract); their figure 5 has its linear "
    "datamodeling score beside those of gradient methods, whose values are not repeated here."
)
OURS, OTHERS = "#d55e00", "#0072b2"


def stages(study: Study) -> Iterator[list[Job]]:
    """Yield one list of jobs."""
    yield jobs(Plan.of(study), study.work)


def tables(study: Study) -> list[Table]:
    """Return the scores, and how far LTC's are from the others'."""
    return tables_of(Plan.of(study), study.work)


def draw(study: Study, path: Path) -> Path:
    """Draw each method's score with its intervals, and what is possible."""
    return draw_of(Plan.of(study), study.work, path)


def tables_of(plan: Plan, work: Work) -> list[Table]:
    """Return the tables of a plan."""
    results = found(plan, work)
    methods = scored(results)
    return [_scores(plan, results, methods), _differences(methods)]


def _scores(plan: Plan, results: Found, methods: dict[str, Scored]) -> Table:
    models = len(results.accuracies)
    table = Table(
        f"{plan.dataset}: linear datamodeling score, mean over {plan.queries} queries "
        f"and {models} models",
        [
            "method",
            "LDS",
            "95 %, other queries",
            "95 %, other halves",
            "least and most of the models",
            f"scores of {models} models averaged",
            "seconds",
        ],
    )
    for method in ALL:
        row, each = methods[method], methods[method].values.mean(axis=1)
        table.add(
            method,
            f"{row.queries.estimate:.3f}",
            _span(row.queries.low, row.queries.high),
            _span(*ends(row.halves)),
            _span(each.min(), each.max()),
            f"{row.averaged:.3f}",
            f"{np.median(results.seconds[method]):.2g}",
        )
    again = bootstrap_interval(retrained(results.outputs), level=LEVEL)
    table.add(
        RETRAINED, f"{again.estimate:.3f}", _span(again.low, again.high), *["" for _ in range(4)]
    )
    table.note(
        f"{len(results.subsets)} random halves of {plan.train:,} training samples, {plan.repeats} "
        f"models of each; what is foretold is the mean of their margins. Every model: "
        f"{ARCHITECTURES[SMALLEST][1]}, {plan.recipe.epochs} epochs."
    )
    right = 100 * results.accuracies
    table.note(
        f"Test accuracy of the models from which scores come: {right.mean():.1f} % "
        f"({right.min():.1f} to {right.max():.1f})."
    )
    table.note(
        f"The most that a method can reach, as models of one half differ: about "
        f"{bound(results.outputs):.2f} (estimated from how the repeats agree)."
    )
    table.note(
        f"Seconds: median over the models, one thread, beyond training; for LTC beyond recording, "
        f"which took {np.median(results.recording):.2g} s for {plan.recipe.epochs + 1} "
        f"checkpoints. TracIn takes gradients at {plan.passed} checkpoints; TRAK projects to "
        f"{plan.projection} directions, from one model."
    )
    return table


def _differences(methods: dict[str, Scored]) -> Table:
    table = Table(
        "LTC less the others: difference of the linear datamodeling score, and its 95 % intervals "
        "over other queries; over other halves",
        ["less", *TRAJECTORIES],
    )
    for method in ALL:
        if method not in TRAJECTORIES:
            pairs = (_difference(methods[ours], methods[method]) for ours in TRAJECTORIES)
            table.add(method, *map(str, pairs))
    table.note(CLAIM)
    table.note(_finding(methods))
    return table


def _finding(methods: dict[str, Scored]) -> str:
    """Say in words what the intervals tell."""
    ordered = sorted(ALL, key=lambda method: -methods[method].queries.estimate)
    best, strongest = (
        next(method for method in ordered if method in some) for some in (TRAJECTORIES, METHODS)
    )
    relations = (
        f"{_difference(methods[best], methods[other]).in_words} {words}"
        for other, words in ((RANDOM, "random scores"), (strongest, strongest))
    )
    told = f"{best} is {' and '.join(relations)}"
    return f"Found here, from most to least: {', '.join(ordered)}. {told}."


@dataclass(frozen=True)
class _Difference:
    """Of two methods, with its intervals over queries and over halves."""

    estimate: float
    queries: tuple[float, float]
    halves: tuple[float, float]

    def __str__(self) -> str:
        spans = (f"{low:+.3f} to {high:+.3f}" for low, high in (self.queries, self.halves))
        return f"{self.estimate:+.3f} ({'; '.join(spans)})"

    @property
    def in_words(self) -> str:
        """Told apart where both intervals leave out 0."""
        lows, highs = zip(self.queries, self.halves, strict=True)
        if min(lows) > 0:
            return "above"
        return "below" if max(highs) < 0 else "not told apart from"


def _difference(ours: Scored, other: Scored) -> _Difference:
    found = paired_difference(ours.values.mean(axis=0), other.values.mean(axis=0), level=LEVEL)
    queries = float(found.low), float(found.high)
    return _Difference(float(found.estimate), queries, ends(ours.halves - other.halves))


def _span(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"


def draw_of(plan: Plan, work: Work, path: Path) -> Path:
    """Draw a plan."""
    results = found(plan, work)
    methods = scored(results)
    figure = Figure(figsize=(8, 3.8), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for place, method in enumerate(ALL):
        row = methods[method]
        colour = OURS if method in TRAJECTORIES else BLACK if method == RANDOM else OTHERS
        spans = (ends(row.halves), 7, 0.25), ((row.queries.low, row.queries.high), 2, 1)
        for span, width, opacity in spans:
            axis.plot(span, [place, place], color=colour, linewidth=width, alpha=opacity)
        axis.plot(row.queries.estimate, place, "o", color=colour, markersize=6)
        axis.plot(row.averaged, place, "D", markerfacecolor="white", color=colour, markersize=5)
    lines = (0, "-"), (retrained(results.outputs).mean(), ":"), (bound(results.outputs), "--")
    for value, style in lines:
        axis.axvline(value, color=BLACK, linestyle=style, linewidth=1)
    axis.set_yticks(range(len(ALL)), ALL, size=8)
    axis.invert_yaxis()
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel(
        "linear datamodeling score; point: mean, line: 95 % over other queries, band: over other "
        f"halves, diamond: scores of\n{len(results.accuracies)} models averaged, dotted: "
        f"{RETRAINED}, dashed: about the most that is possible",
        size=7,
    )
    axis.set_title(f"{plan.dataset}: do scores foretell what leaving samples out does?", size=10)
    figure.savefig(path)
    return path
