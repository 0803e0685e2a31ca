"""What the tables of a report say, as text; the page escapes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from ltc.reporting.dynamics import SPREAD, cells_of
from ltc.tables import commit_rows, counted
from ltc.validation import ValidationQuality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ltc.reporting.contents import Contents, Queries
    from ltc.reporting.dynamics import Dynamics
    from ltc.stability import Stability

__all__ = [
    "Table",
    "class_table",
    "commit_tables",
    "extremes_table",
    "map_tables",
    "query_table",
    "spread_table",
    "stability_table",
    "takes_table",
]

MOST_ROWS: Final = 2_000  # of classes
_BANDS: Final = 5  # of confidence, and of variability
_STABILITY_ROWS: Final = 16
_SPREAD: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    caption : str
        What it shows.
    columns : sequence of str
        Their headings.
    rows : sequence of sequences of str
        Cells; the first of a row is its heading.
    marks : sequence of int
        Position among the lines of a plot of what each row is about; none where it is empty.
    texts : sequence of int
        Positions of the columns that hold texts; the others hold numbers.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    marks: Sequence[int] = field(default=())
    texts: Sequence[int] = field(default=(0,))


def number(value: float, form: str = ".3f") -> str:
    """Return a number with a true minus sign, a dash where there is none."""
    if np.isnan(value):
        return "\N{EN DASH}"
    return f"{value:{form}}".replace("-", "\N{MINUS SIGN}")


def commit_tables(contents: Contents) -> list[Table]:
    """What was recorded of each split at each checkpoint."""
    names = {"train": "training", "val": "validation"}
    tables = []
    for split, name in names.items():
        heading, *rows = commit_rows(split, contents.plan.store)
        columns = ("checkpoint", *heading[1:])
        tables.append(Table(f"Numbers of {name} samples", columns, rows, texts=(0, 1)))
    return tables


def spread_table(contents: Contents) -> Table:
    """How the scores are spread over all samples."""
    values = contents.plan.scores.values
    defined = values[~np.isnan(values)].astype(np.float64)
    figures = np.quantile(defined, _SPREAD) if defined.size else np.full(len(_SPREAD), np.nan)
    names = ("lowest", "5 %", "25 %", "median", "75 %", "95 %", "highest")
    rows = [(name, number(figure)) for name, figure in zip(names, figures, strict=True)]
    return Table("Scores of all training samples", ("quantile", "score"), rows)


def class_table(contents: Contents) -> Table:
    """What is known of each class, the lowest median first."""
    plan, classes, taken = contents.plan, contents.classes, contents.taken
    columns = ["class", "samples", "no score", "mean", "5 %", "median", "95 %"]
    quality = contents.quality if isinstance(contents.quality, ValidationQuality) else None
    if quality is not None and not quality.classes.size:
        quality = None
    if quality is not None:
        columns += ["validation samples", "halves"]
    columns += [f"{each.title}: taken" for each in taken]
    order = classes.order
    shown = order
    if order.size > MOST_ROWS:
        shown = np.concatenate((order[: MOST_ROWS // 2], order[-MOST_ROWS // 2 :]))
    rows = []
    for c in shown.tolist():
        low, _, middle, _, high = classes.quantiles[c]
        cells = [plan.name(int(classes.labels[c])), f"{classes.sizes[c]:,}"]
        cells.append(f"{classes.undefined[c]:,}")
        cells += [number(value, ".2f") for value in (classes.mean[c], low, middle, high)]
        if quality is not None:
            place = int(np.searchsorted(quality.classes, classes.labels[c]))
            known = place < quality.classes.size and quality.classes[place] == classes.labels[c]
            cells.append(f"{quality.sizes[place]:,}" if known else "0")
            cells.append(number(quality.correlation[place] if known else np.nan, ".2f"))
        cells += [f"{each.balanced[c]:,}" for each in taken]
        rows.append(cells)
    caption = f"Classes, lowest median first: {counted(order.size, 'class', 'classes')}"
    if order.size > MOST_ROWS:
        caption += f", of which the {MOST_ROWS // 2:,} at either end are listed"
    return Table(caption, columns, rows)


def map_tables(contents: Contents, dynamics: Dynamics) -> list[Table]:
    """How many samples lie where on the data map, and their mean scores; the most confident first.

    What lies on a bound counts above it.
    """
    found = cells_of(dynamics, contents.plan.scores.values, _BANDS)
    numbers = [["0"] * _BANDS for _ in range(_BANDS)]
    means = [[number(np.nan)] * _BANDS for _ in range(_BANDS)]
    for column, row, size, mean in zip(
        found.columns, found.rows, found.number, found.mean, strict=True
    ):
        numbers[row][column], means[row][column] = f"{size:,}", number(mean, ".2f")
    spreads = [_band(k, SPREAD) for k in range(_BANDS)]
    headings = ("confidence", f"variability {spreads[0]}", *spreads[1:])
    return [
        Table(caption, headings, [(_band(k, 1), *cells[k]) for k in reversed(range(_BANDS))])
        for caption, cells in (("Samples on the map", numbers), ("Their mean scores", means))
    ]


def _band(k: int, end: float) -> str:
    return f"{k * end / _BANDS:.1f} to {(k + 1) * end / _BANDS:.1f}"


def takes_table(contents: Contents) -> Table:
    """What each strategy takes in all, and of the classes of the smallest and largest share."""
    classes = contents.classes
    rows = []
    for each in contents.taken:
        total = int(each.balanced.sum())
        known = each.histogram.sum(axis=1)
        mean = np.nansum(each.mean * known) / known.sum() if known.sum() else np.nan
        shares = 100 * each.free / classes.sizes
        cells = [each.title, f"{total:,}", number(mean)]
        if classes.number > 1:
            cells += [f"{shares.min():.1f} to {shares.max():.1f}"]
        rows.append(cells)
    columns = ["strategy", "samples", "mean score"]
    if classes.number > 1:
        columns.append("% of a class, from one ranking")
    return Table("What each strategy takes", columns, rows)


def extremes_table(contents: Contents, kind: str, samples: NDArray[np.int64]) -> Table:
    """Training samples with their scores, in the order of their lines."""
    values = contents.plan.scores.values[samples]
    return _sample_table(contents, f"Training samples: {kind}", samples, "score", values)


def query_table(contents: Contents, queries: Queries, row: int, side: str) -> Table:
    """The neighbours of a validation sample on one side, in the order of their lines."""
    ranking = getattr(queries.found, side)
    there = ranking.indices[row] >= 0
    samples, values = ranking.indices[row][there], ranking.values[row][there]
    caption = f"Most {side} with validation sample {queries.found.queries[row]}"
    return _sample_table(contents, caption, samples, "correlation", values)


def stability_table(found: Stability) -> Table:
    """How scores of the first checkpoints agree with all; some rows of many."""
    size = found.checkpoints.size
    shown = np.unique(np.linspace(0, size - 1, _STABILITY_ROWS).round().astype(int))
    rows = [
        (
            f"{found.checkpoints[t]:g}",
            number(found.correlation[t]),
            number(found.overlap[t]),
        )
        for t in shown
    ]
    columns = ("up to checkpoint", "rank correlation", "overlap of coresets")
    return Table("Agreement with the scores of all checkpoints", columns, rows)


def sample_class(contents: Contents, split: str, sample: int) -> str | None:
    """Return what the class of a sample is called; None where it has none."""
    labels = contents.plan.scores.labels if split == "train" else contents.labels["val"]
    return None if labels is None else contents.plan.name(int(labels[sample]))


def sample_id(contents: Contents, split: str, sample: int) -> str | None:
    """Return the id of a sample as text; None where the run has none."""
    ids = contents.ids[split]
    return None if ids is None else str(ids[sample])


def _sample_table(
    contents: Contents,
    caption: str,
    samples: NDArray[np.int64],
    what: str,
    values: NDArray[np.float32],
) -> Table:
    """Training samples, what is told of them, and what they are called, as far as it is known."""
    columns: list[tuple[str, list[str]]] = [
        ("index", [f"{sample}" for sample in samples]),
        (what, [number(value) for value in values]),
    ]
    for heading, describe in (("class", sample_class), ("id", sample_id)):
        texts = [describe(contents, "train", sample) for sample in samples.tolist()]
        if texts and None not in texts:
            columns.append((heading, [text for text in texts if text is not None]))
    headings, cells = zip(*columns, strict=True)
    lines = tuple(range(samples.size))
    texts_at = tuple(range(2, len(columns)))
    return Table(caption, headings, list(zip(*cells, strict=True)), lines, (0, *texts_at))
