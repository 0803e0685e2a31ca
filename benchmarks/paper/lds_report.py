"""Figure 5 as tables and as a plot."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.paper.gradients import METHODS
from benchmarks.paper.lds import ALL, RANDOM, TRAJECTORIES, Found, Plan
from benchmarks.paper.lds_statistics import Scored, bound, retrained
from benchmarks.paper.models import ARCHITECTURES, SMALLEST
from benchmarks.results import Table
from ltc.evaluation import Interval, bootstrap_interval, paired_difference

RETRAINED = "another model of each half"
CLAIM = (
    "What the papers say: LTC identifies aligned and conflicting samples at a fraction of the cost "
    "of traditional methods (arXiv 2503.09721, abstract); their figure 5 has its linear "
    "datamodeling score beside those of gradient methods, whose values are not repeated here."
)
OURS, OTHERS, GREY = "#d55e00", "#0072b2", "#404040"  # Okabe and Ito's


def tables(plan: Plan, found: Found, methods: dict[str, Scored]) -> list[Table]:
    """Return the scores, and how far LTC's are from the others'."""
    return [_scores(plan, found, methods), _differences(methods)]


def _scores(plan: Plan, found: Found, methods: dict[str, Scored]) -> Table:
    table = Table(
        f"{plan.dataset}: linear datamodeling score, mean over {plan.queries} queries "
        f"and {plan.seeds} models",
        [
            "method",
            "LDS",
            "95 %, other queries",
            "95 %, other halves",
            "least and most of the models",
            f"scores of {plan.seeds} models averaged",
            "seconds",
        ],
    )
    for method in ALL:
        row, each = methods[method], methods[method].values.mean(axis=1)
        table.add(
            method,
            f"{row.queries.estimate:.3f}",
            _span(row.queries.low, row.queries.high),
            _span(*row.halves),
            _span(each.min(), each.max()),
            f"{row.averaged:.3f}",
            f"{np.median(found.seconds[method]):.2g}",
        )
    again = bootstrap_interval(retrained(found.outputs))
    table.add(
        RETRAINED, f"{again.estimate:.3f}", _span(again.low, again.high), *["" for _ in range(4)]
    )
    table.note(
        f"{plan.subsets} random halves of {plan.train:,} training samples, {plan.repeats} models "
        f"of each; what is foretold is the mean of their margins. Every model: "
        f"{ARCHITECTURES[SMALLEST][1]}, {plan.recipe.epochs} epochs."
    )
    table.note(
        f"Test accuracy of the models from which scores come: {100 * found.accuracies.mean():.1f} "
        f"% ({100 * found.accuracies.min():.1f} to {100 * found.accuracies.max():.1f})."
    )
    table.note(
        f"The most that a method can reach, as models of one half differ: about "
        f"{bound(found.outputs):.2f} (estimated from how the repeats agree)."
    )
    table.note(
        f"Seconds: median over the models, one thread, beyond training; for LTC beyond recording, "
        f"which took {np.median(found.recording):.2g} s for {plan.recipe.epochs + 1} checkpoints. "
        f"TracIn takes gradients at {plan.passed} checkpoints; TRAK projects to "
        f"{plan.projection} directions, from one model."
    )
    return table


def _differences(methods: dict[str, Scored]) -> Table:
    table = Table(
        "LTC less the others: difference of the linear datamodeling score, "
        "and its 95 % interval over other queries",
        ["less", *TRAJECTORIES],
    )
    for method in ALL:
        if method not in TRAJECTORIES:
            base = methods[method].values.mean(axis=0)
            ours = (methods[each].values.mean(axis=0) for each in TRAJECTORIES)
            table.add(method, *(_difference(paired_difference(each, base)) for each in ours))
    table.note(CLAIM)
    table.note(_finding(methods))
    return table


def _finding(methods: dict[str, Scored]) -> str:
    """Say in words what the intervals over queries tell."""
    ordered = sorted(ALL, key=lambda method: -methods[method].queries.estimate)
    ours = next(method for method in ordered if method in TRAJECTORIES)
    gradients = next(method for method in ordered if method in METHODS)
    relations = " and ".join(
        f"{_relation(methods[ours], methods[other])} {name}"
        for other, name in ((RANDOM, "random scores"), (gradients, gradients))
    )
    return f"Found here, from most to least: {', '.join(ordered)}. {ours} is {relations}."


def _relation(ours: Scored, other: Scored) -> str:
    found = paired_difference(ours.values.mean(axis=0), other.values.mean(axis=0))
    if found.low <= 0 <= found.high:
        return "not told apart from"
    return "above" if found.low > 0 else "below"


def _difference(found: Interval) -> str:
    return f"{found.estimate:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _span(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"


def plot(path: Path, heading: str, plan: Plan, found: Found, methods: dict[str, Scored]) -> None:
    """Draw each method's score with its intervals, and what is possible."""
    figure = Figure(figsize=(8, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for place, method in enumerate(ALL):
        row = methods[method]
        colour = OURS if method in TRAJECTORIES else GREY if method == RANDOM else OTHERS
        axis.plot(row.halves, [place, place], color=colour, linewidth=6, alpha=0.25)
        axis.plot([row.queries.low, row.queries.high], [place, place], color=colour, linewidth=2)
        axis.plot(row.queries.estimate, place, "o", color=colour, markersize=6)
        axis.plot(row.averaged, place, "D", markerfacecolor="white", color=colour, markersize=5)
    again = float(retrained(found.outputs).mean())
    axis.axvline(again, color=GREY, linestyle=":", linewidth=1.2)
    axis.axvline(bound(found.outputs), color=GREY, linestyle="--", linewidth=1.2)
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.set_yticks(range(len(ALL)), ALL, size=8)
    axis.invert_yaxis()
    axis.tick_params(axis="x", labelsize=8)
    axis.set_xlabel(
        "linear datamodeling score: point, mean; line, 95 % over queries; band, 95 % over halves;\n"
        f"diamond, scores of {plan.seeds} models averaged; dotted, {RETRAINED}; dashed, the most "
        "that is possible",
        size=7,
    )
    axis.set_title(heading, size=8, loc="left")
    figure.savefig(path)
