"""Scores, coresets and runs as text for reading, at most 80 columns wide."""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.selection.ranking import numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ltc.scores import Scores
    from ltc.selection import Coreset
    from ltc.store import Store
    from ltc.store.commits import SplitCommit
    from ltc.store.verification import Verification

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_QUANTILE_NAMES = ("lowest", "5 %", "25 %", "median", "75 %", "95 %", "highest", "mean")
_CLASSES_SHOWN = 10
_LISTED = 6
_ROWS_AT_ENDS = 8


def columns(rows: Iterable[Sequence[str]], alignment: str) -> list[str]:
    r"""Return lines with the cells of each column below each other, two spaces between columns.

    Parameters
    ----------
    rows : iterable of sequences of str
        Cells.
    alignment : str
        ``<`` or ``>`` for each column.

    Examples
    --------
    >>> print(*columns([("class", "samples"), ("3", "12,000")], "<>"), sep="\n")
    class  samples
    3       12,000
    """
    rows = list(rows)
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{side}{width}}"
            for cell, side, width in zip(row, alignment, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number and its noun.

    Examples
    --------
    >>> counted(1, "class", "classes"), counted(50_000, "sample")
    ('1 class', '50,000 samples')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def share(part: int, whole: int) -> str:
    """Return a number and what percentage of the whole it is.

    Examples
    --------
    >>> share(3, 1000)
    '3 (0.3 %)'
    """
    return f"{part:,} ({part / whole:.1%})".replace("%", " %") if whole else f"{part:,}"


def shortened(values: Sequence[float]) -> str:
    """Return checkpoints as text, the middle left out where they are many.

    Examples
    --------
    >>> shortened([0.0, 1.0, 2.5]), shortened(range(90))
    ('0, 1, 2.5', '0, 1, 2, ..., 89')
    """
    if len(values) <= _LISTED:
        return ", ".join(f"{value:g}" for value in values)
    return ", ".join([*(f"{value:g}" for value in values[:3]), "...", f"{values[-1]:g}"])


def scores_table(scores: Scores) -> str:
    """Describe scores: how they were made, how they are spread, and the classes at both ends.

    Parameters
    ----------
    scores : Scores
        Of any number of samples.
    """
    size = scores.values.size
    undefined = int(np.count_nonzero(scores.undefined))
    lines = [facts_table(size, {**scores.metadata, "undefined": undefined})]
    if undefined < size:
        lines += ["", *_spread([("", scores.values)])]
        if scores.labels is not None:
            lines += ["", *_classes(scores.values, scores.labels)]
    return "\n".join(lines)


def facts_table(size: int, metadata: dict[str, Any]) -> str:
    """Describe how scores of so many samples were made, and how many are undefined."""
    facts = [("samples", f"{size:,}"), *scores_facts(metadata)]
    facts.append(("undefined", share(metadata["undefined"], size)))
    return "\n".join(columns(facts, "<<"))


def coreset_table(coreset: Coreset, scores: Scores, more: Iterable[tuple[str, str]] = ()) -> str:
    """Describe a coreset beside what it was selected from.

    Parameters
    ----------
    coreset : Coreset
        Selected from `scores`.
    scores : Scores
        Of all samples.
    more : iterable of pairs of str
        What else is known of it: a word, and a text.
    """
    size = scores.values.size
    undefined = int(np.count_nonzero(np.isnan(coreset.scores)))
    facts = [
        ("coreset", f"{share(len(coreset), size)} of {counted(size, 'sample')}"),
        ("undefined", f"{undefined:,}, of {np.count_nonzero(scores.undefined):,} in the run"),
    ]
    if scores.labels is not None:
        facts.append(("classes", _class_sizes(coreset.indices, scores.labels)))
    lines = columns([*facts, *more], "<<")
    if undefined < len(coreset):
        lines += ["", *_spread([("coreset", coreset.scores), ("all", scores.values)])]
    return "\n".join(lines)


def run_table(store: Store, *, every: bool = False) -> str:
    """Describe a run: its sizes, and for each split what was recorded at which checkpoints.

    Parameters
    ----------
    store : Store
        Open for reading.
    every : bool
        Show all rows of a long table.
    """
    lines = columns(
        [*run_facts(store), ("scores", ", ".join(store.score_names()) or "none kept")], "<<"
    )
    for unfinished in store.unfinished_scores():
        lines += ["", *wrap(str(unfinished), 80)]
    for split in ("train", "val"):
        lines += ["", *_split_table(split, store, every=every)]
    return "\n".join(lines)


def run_facts(store: Store) -> list[tuple[str, str]]:
    """Return where a run is, when it was recorded, and its sizes.

    Parameters
    ----------
    store : Store
        Open for reading.
    """
    commits = store.commits
    first, last = (_when(commit.time) for commit in (commits[0], commits[-1]))
    return [
        ("run", store.path),
        ("checkpoints", f"{store.committed:,}: {shortened(store.checkpoints.tolist())}"),
        ("recorded", f"{first} to {last} UTC"),
        ("samples", f"{store.num_train:,} train, {store.num_val:,} val"),
        ("classes", "no labels" if store.num_groups is None else f"{store.num_groups:,}"),
    ]


def _when(seconds: float) -> str:
    """Return a time as a text; a clock that was wrong may have said anything."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:g} s"


def verification_table(run: str, found: Verification) -> str:
    """Describe what a look at every chunk found.

    Parameters
    ----------
    run : str
        What was looked at.
    found : Verification
        From `Store.verify`.
    """
    if found.ok:
        return f"{run}: {counted(found.chunks, 'chunk')}, all as written"
    damage = f"{len(found.lost):,} lost, {len(found.changed):,} changed"
    rows = [("lost", key) for key in found.lost] + [("changed", key) for key in found.changed]
    return "\n".join([f"{run}: {counted(found.chunks, 'chunk')}, {damage}", *columns(rows, "<<")])


def commit_rows(split: str, store: Store) -> list[tuple[str, ...]]:
    """Return what was recorded of a split as rows of text, the heading first and the sums last.

    Neighbouring checkpoints of the same figures share a row.

    Parameters
    ----------
    split : {"train", "val"}
        Which.
    store : Store
        Open for reading.
    """
    size = store.size(split)
    parts: list[SplitCommit] = [getattr(commit, split) for commit in store.commits]
    figures = np.array(
        [
            (size - part.observed + part.nonfinite, part.duplicate, part.clipped, part.nonfinite)
            for part in parts
        ]
    )
    keys = [(part.mode, *row) for part, row in zip(parts, figures.tolist(), strict=True)]
    starts = [t for t, key in enumerate(keys) if t == 0 or key != keys[t - 1]]
    rows = [(split, "mode", "missing", "duplicate", "clipped", "non-finite")]
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        begin, until = f"{store.checkpoints[start]:g}", f"{store.checkpoints[end - 1]:g}"
        mode, *numbers = keys[start]
        span = begin if end - start == 1 else f"{begin} to {until}"
        rows.append((span, mode, *(f"{number:,}" for number in numbers)))
    return [*rows, ("all", "", *(f"{number:,}" for number in figures.sum(axis=0)))]


def _split_table(split: str, store: Store, *, every: bool) -> list[str]:
    """Return the rows of a split as lines, the middle left out where they are many."""
    rows = commit_rows(split, store)
    if len(rows) - 2 > 2 * _ROWS_AT_ENDS and not every:
        rows[1 + _ROWS_AT_ENDS : -1 - _ROWS_AT_ENDS] = [("...", "", "", "", "", "")]
    return columns(rows, "<<>>>>")


def scores_facts(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is known of how the scores were made; scores built by hand may tell nothing.

    Parameters
    ----------
    metadata : dict
        Of :class:`ltc.Scores`.
    """
    facts: list[tuple[str, str]] = [
        (name, str(metadata[name]))
        for name in ("signal", "reference", "kind", "window", "classes")
        if name in metadata
    ]
    used, left_out = metadata.get("checkpoints"), metadata.get("left_out")
    if used:
        facts.append(("checkpoints", f"{len(used):,}: {shortened(used)}"))
    if left_out:
        facts.append(("left out", f"{len(left_out):,}: {shortened(left_out)}"))
    for split, modes in metadata.get("modes", {}).items():
        facts.append((f"{split} mode", ", ".join(modes)))
    for split, number in metadata.get("missing", {}).items():
        facts.append((f"{split} missing", f"{counted(number, 'loss', 'losses')}"))
    for split, number in metadata.get("lost", {}).items():
        if number:
            facts.append((f"{split} lost", f"{number:,} of these, which had been recorded"))
    return facts


def _spread(named: Sequence[tuple[str, NDArray[np.float32]]]) -> list[str]:
    rows: list[tuple[str, ...]] = [("score", *_QUANTILE_NAMES)]
    for name, values in named:
        defined = values[~np.isnan(values)].astype(np.float64)
        figures = [*np.quantile(defined, _QUANTILES), defined.mean()]
        rows.append((name, *(f"{figure:.3f}" for figure in figures)))
    return columns(rows, "<" + ">" * len(_QUANTILE_NAMES))


def _classes(values: NDArray[np.float32], labels: NDArray[np.int32]) -> list[str]:
    """Return a row for each class; of many, those with the highest and the lowest means."""
    names, classes = numbered(labels)
    defined = ~np.isnan(values)
    sizes = np.bincount(classes, minlength=names.size)
    known = np.bincount(classes[defined], minlength=names.size)
    sums = np.bincount(classes[defined], weights=values[defined], minlength=names.size)
    means = np.where(known > 0, sums / np.maximum(known, 1), np.nan)
    present, scored = np.flatnonzero(sizes), np.flatnonzero(known)
    shown = present
    if present.size > _CLASSES_SHOWN:
        shown = scored[np.argsort(-means[scored], kind="stable")]
    rows = [
        (
            f"{names[c]}",
            f"{sizes[c]:,}",
            f"{sizes[c] - known[c]:,}",
            f"{means[c]:.3f}" if known[c] else "-",
        )
        for c in shown
    ]
    if len(rows) > _CLASSES_SHOWN:
        rows[_CLASSES_SHOWN // 2 : -_CLASSES_SHOWN // 2] = [("...", "", "", "")]
    table = columns([("class", "samples", "undefined", "mean"), *rows], "<>>>")
    without = present.size - scored.size
    if without:
        table.append(
            f"{without:,} of {counted(present.size, 'class', 'classes')} without any score"
        )
    return table


def _class_sizes(indices: NDArray[np.int64], labels: NDArray[np.int32]) -> str:
    """Return how many classes there are, and the smallest and largest part of one in a coreset."""
    names, classes = numbered(labels)
    present = np.bincount(classes, minlength=names.size) > 0
    taken = np.bincount(classes[indices], minlength=names.size)[present]
    if not taken.size:
        return "0"
    return f"{taken.size:,}, {taken.min():,} to {taken.max():,} samples from each"
