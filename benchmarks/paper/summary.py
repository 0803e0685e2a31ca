"""Numbers over seeds as cells of tables: a mean and its bootstrap interval."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import Table
from ltc import evaluation

LEVEL = 0.95


def complete(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the seeds of ``[seeds, ...]`` that have all their numbers."""
    return values[~np.isnan(values).reshape(len(values), -1).any(1)]


def interval(values: NDArray[np.float64]) -> evaluation.Interval | None:
    """Return mean and interval over the complete seeds of ``[seeds, ...]``; None if there are none.

    With one seed the ends are NaN.
    """
    done = complete(values)
    return evaluation.bootstrap_interval(done, level=LEVEL) if len(done) else None


def cells(values: NDArray[np.float64], *, sign: bool = False, scale: float = 100) -> list[str]:
    """Return a cell for each column of ``[seeds, columns]``, in percent: mean (low to high)."""
    found = interval(values)
    if found is None:
        return ["not done"] * values.shape[1]
    form = "{:+.1f}" if sign else "{:.1f}"
    if scale == 1:
        form = form.replace(".1f", ".3f")
    rows = scale * np.stack([found.estimate, found.low, found.high], axis=-1)
    return [
        form.format(mean) + ("" if np.isnan(low) else f" ({form} to {form})".format(low, high))
        for mean, low, high in rows
    ]


def add_row(table: Table, labels: Sequence[str], values: NDArray[np.float64], **how: bool) -> None:
    """Append a row: labels, a cell for each column of ``[seeds, columns]``, how many seeds."""
    table.add(*labels, *cells(values, **how), str(len(complete(values))))


def percent(fraction: float) -> str:
    """Return a fraction for a heading."""
    return f"{100 * fraction:g} %"


def of_labels(flip: float) -> str:
    """Say which labels these are."""
    return f"{percent(flip)} of the labels flipped" if flip else "clean labels"


def note(table: Table) -> None:
    """Say what the cells are."""
    table.note(
        f"Mean over the seeds in %, and its {100 * LEVEL:g} % interval from 10,000 bootstrap "
        "resamples of the seeds, which with five seeds or fewer is too narrow."
    )
