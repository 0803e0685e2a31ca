"""The figures of the report, as PNG files.

Colours are those of Okabe and Ito, which stay apart for the colour-blind; what they say, markers or
line styles say too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from ltc.atomic import atomic_file
from ltc.demo.experiment import Part, Plan, Run

__all__ = ["save_plots"]

BLACK, BLUE, ORANGE, GREEN = "#404040", "#0072b2", "#d55e00", "#009e73"
STRATEGY_COLOURS = {"random": BLACK, "top": BLUE, "stratified": ORANGE}
DOTS_PER_INCH = 200


def save_plots(plan: Plan, parts: Sequence[Part]) -> list[Path]:
    """Draw every figure into `plan.out` and return the files.

    Figures of single runs show the first seed.
    """
    figures = {"accuracy": _accuracy(plan, parts)}
    for part in parts:
        figures[f"scores-{_slug(part)}"] = _score_histograms(plan, part)
    figures["trajectories"] = _trajectories(plan, parts[0].runs[0])
    figures["data-map"] = _data_map(parts)
    return [_save(figure, plan.out / f"{name}.png") for name, figure in figures.items()]


def _accuracy(plan: Plan, parts: Sequence[Part]) -> Figure:
    """Test accuracy against coreset size, one panel per part."""
    figure, axes = _figure(3.4 * len(parts), 3.7, columns=len(parts))
    sizes = 100 * np.array(plan.sizes)
    for panel, part in zip(axes, parts, strict=True):
        for place, row in enumerate(plan.rows):
            values = 100 * np.array([part.accuracy[row, size] for size in plan.sizes])
            # Side by side, so that the error bars don't hide each other.
            shifted = sizes * 1.035 ** (place - (len(plan.rows) - 1) / 2)
            colour = STRATEGY_COLOURS[row.strategy]
            panel.errorbar(
                shifted,
                values.mean(1),
                _spread(values),
                color=colour,
                marker="o" if row.cutoff else "s",
                markerfacecolor="white" if row.cutoff else colour,
                markersize=4.5,
                linewidth=1.2,
                linestyle="--" if row.cutoff else "-",
                elinewidth=0.8,
                label=f"{row.strategy}, cutoff {row.cutoff:g}",
            )
        panel.axhline(100 * part.everything.mean(), color=GREEN, linestyle=":", label="all data")
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(sizes.tolist()))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xticklabels([f"{size:g}" for size in sizes])
        panel.set_xlabel("Coreset size (% of the training split)", size=9)
        panel.set_title(_title(part), size=9)
        panel.grid(axis="y", color="0.9", linewidth=0.6)
    axes[0].set_ylabel("Test accuracy (%)", size=9)
    handles = axes[0].get_legend_handles_labels()[0]
    # Columns are filled first: the two rows of a strategy stand one above the other.
    _legend_below(figure, [*handles[1:], handles[0]], columns=4)
    return figure


def _score_histograms(plan: Plan, part: Part) -> Figure:
    """Histograms of the scores, a panel per class, flipped labels on top of the others."""
    run, classes = part.runs[0], plan.source.classes
    figure, axes = _figure(7.2, 3.6, columns=5, rows=-(-len(classes) // 5))
    values = run.scores.values
    bins = np.linspace(-1, 1, 41).tolist()
    for group, (panel, name) in enumerate(zip(axes, classes, strict=False)):
        inside = (run.labels == group) & ~run.scores.undefined
        panel.hist(
            [values[inside & ~run.flipped], values[inside & run.flipped]],
            bins,
            stacked=True,
            color=[BLUE, ORANGE],
            label=["label as published", "label flipped"],
        )
        median = float(np.median(values[inside]))
        panel.axvline(median, color=BLACK, linestyle="--", linewidth=0.9, label="median")
        panel.set_title(f"class {name}", size=9)
        panel.set_xlim(-1.05, 1.05)
        panel.set_xticks([-1, 0, 1])
    for panel in axes[::5]:
        panel.set_ylabel("Training samples", size=9)
    axes[-3].set_xlabel(
        "Score: correlation with the mean validation trajectory of the class", size=9
    )
    figure.suptitle(_title(part), size=10)
    handles, labels = axes[0].get_legend_handles_labels()
    shown = [
        handle
        for handle, label in zip(handles, labels, strict=True)
        if part.flip or label != "label flipped"
    ]
    _legend_below(figure, shown, columns=3)
    return figure


def _trajectories(plan: Plan, run: Run) -> Figure:
    """The training samples of the highest and lowest score beside their class's validation mean."""
    figure, axes = _figure(7.2, 4.4, columns=2, rows=2, share_y="row")
    chosen = {
        "Aligned": int(np.nanargmax(run.scores.values)),
        "Conflicting": int(np.nanargmin(run.scores.values)),
    }
    for column, (name, sample) in enumerate(chosen.items()):
        group = run.labels[sample]
        of_group = run.val_labels == group
        sample_losses = run.recording.train_losses[:, sample].astype(np.float64)
        mean_losses = run.recording.val_losses[:, of_group].mean(1, dtype=np.float64)
        losses, differences = axes[column], axes[column + 2]
        checkpoints = np.arange(len(sample_losses))
        for trajectory, colour, line, label in (
            (sample_losses, ORANGE, "-", "training sample"),
            (mean_losses, BLUE, "--", "mean of its class in the validation split"),
        ):
            steps = np.diff(trajectory)
            losses.plot(checkpoints, trajectory, line, color=colour, label=label)
            differences.plot(checkpoints[1:], steps / steps.std(), line, color=colour)
        losses.set_yscale("log")
        score = f"{run.scores.values[sample]:.2f}".replace("-", "\N{MINUS SIGN}")
        losses.set_title(
            f"{name}: score {score}\nclass {plan.source.classes[group]}, id {run.ids[sample]}",
            loc="left",
            y=1.06,
            size=9,
        )
        differences.set_xlabel("Checkpoint (epochs trained)", size=9)
        _thumbnail(losses, plan.source.images[run.ids[sample]])
    axes[0].set_ylabel("Loss (nats)", size=9)
    axes[2].set_ylabel("Loss difference\n(standard deviations)", size=9)
    _legend_below(figure, axes[0].get_legend_handles_labels()[0], columns=2)
    return figure


def _data_map(parts: Sequence[Part]) -> Figure:
    """Mean against spread of p = exp(-loss) over the checkpoints, coloured by the score."""
    figure, axes = _figure(3.6 * len(parts) + 0.6, 3.7, columns=len(parts))
    for panel, part in zip(axes, parts, strict=True):
        run = part.runs[0]
        likelihood = np.exp(-run.recording.train_losses.astype(np.float64))
        spread, mean = likelihood.std(0), likelihood.mean(0)
        area = 9 * min(
            1.0, (2000 / len(mean)) ** 0.5
        )  # square points; smaller where there are many
        for flipped, marker in ((False, "o"), (True, "X")):
            inside = (run.flipped == flipped) & ~run.scores.undefined
            points = panel.scatter(
                spread[inside],
                mean[inside],
                s=2.4 * area if flipped else area,
                c=run.scores.values[inside],
                vmin=-1,
                vmax=1,
                cmap="cividis",
                marker=marker,
                linewidths=0.06 * area if flipped else 0,
                edgecolors="black",
            )
        panel.set_xlabel("Spread of p (standard deviation)", size=9)
        panel.set_title(_title(part), size=9)
        panel.set_ylim(-0.03, 1.03)
    axes[0].set_ylabel("Mean of p = exp(-loss) over the checkpoints", size=9)
    bar = figure.colorbar(points, ax=axes, pad=0.02)
    bar.set_label("Score", size=9)
    bar.ax.tick_params(labelsize=8)
    shown = [
        Line2D([], [], linestyle="", marker=marker, color="0.5", markeredgecolor=edge, label=label)
        for marker, edge, label in (("o", "0.5", "label as published"), ("X", "black", "flipped"))
    ]
    _legend_below(figure, shown, columns=2)
    return figure


def _figure(
    width: float,
    height: float,
    *,
    columns: int,
    rows: int = 1,
    share_y: Literal["all", "row"] = "all",
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `width` x `height` inches and its panels, row by row."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, sharex="all", sharey=share_y, squeeze=False)
    panels = list(grid.flat)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    return figure, panels


def _thumbnail(panel: Axes, image: NDArray[np.uint8]) -> None:
    """Show a picture above the right end of a panel, clear of its lines."""
    inset = panel.inset_axes((0.84, 1.02, 0.16, 0.34))
    inset.imshow(image, cmap="gray_r", vmin=0)
    inset.set_axis_off()


def _legend_below(figure: Figure, handles: Sequence[Any], *, columns: int) -> None:
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False
    )


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sample standard deviation of each row; 0 for a single seed."""
    return values.std(1, ddof=1) if values.shape[1] > 1 else np.zeros(len(values))


def _title(part: Part) -> str:
    return f"{part.flip:.0%} of the labels flipped" if part.flip else "Clean labels"


def _slug(part: Part) -> str:
    return "flipped" if part.flip else "clean"


def _save(figure: Figure, path: Path) -> Path:
    with atomic_file(path) as file:
        figure.savefig(file, format=path.suffix[1:])
    return path
