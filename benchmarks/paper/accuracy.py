"""Test accuracy against the size of the coreset: figure 3 of arXiv 2503.09721 and 2508.20230.

Every method with matched epochs; the best four of them and random with matched iterations too, at
fewer sizes and seeds, because each of those models takes as long as one of everything.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper import charts, summary
from benchmarks.paper.jobs import Job
from benchmarks.paper.methods import FOUND, METHODS, Method
from benchmarks.paper.recording import recording_job
from benchmarks.paper.study import (
    Study,
    Take,
    accuracy,
    flipped,
    worst_class,
)
from benchmarks.paper.training import MATCHES, Match
from benchmarks.results import Table

BEST = 4
RANDOM = METHODS[0]


def stages(study: Study) -> Iterator[list[Job]]:
    """Yield lists of jobs; what the second one holds depends on the results of the first."""
    yield [
        job
        for seed in range(study.seeds)
        for flip in study.flips
        for job in (
            recording_job(study.case(flip, seed), study.work),
            *_jobs(study, METHODS, flip, seed, "epochs"),
        )
    ]
    yield [
        job
        for seed in range(min(study.long_seeds, study.seeds))
        for flip in study.flips
        for job in _jobs(study, (RANDOM, *best_methods(study)), flip, seed, "iterations")
    ]


def _jobs(
    study: Study, methods: tuple[Method, ...], flip: float, seed: int, match: Match
) -> list[Job]:
    fractions = study.fractions if match == "epochs" else study.long_fractions
    case = study.case(flip, seed)
    return [
        study.coreset_job(case, method.name, method.choose, fraction, match)
        for method in methods
        for fraction in fractions
    ]


def best_methods(study: Study) -> tuple[Method, ...]:
    """Return the four with the highest mean accuracy, random and what the search found left aside.

    Over sizes, seeds and shares of wrong labels, with matched epochs.
    """
    others = [method for method in METHODS if method is not RANDOM and method.group != FOUND]
    means = [np.mean([values(study, method, flip) for flip in study.flips]) for method in others]
    order = np.argsort(-np.nan_to_num(means), kind="stable")[:BEST]
    return tuple(others[k] for k in sorted(order))


def values(
    study: Study, method: Method, flip: float, match: Match = "epochs", take: Take = accuracy
) -> NDArray[np.float64]:
    """Return a number of each model's result, float64 [seeds, fractions]; NaN where not done."""
    epochs = match == "epochs"
    seeds = study.seeds if epochs else min(study.long_seeds, study.seeds)
    fractions = study.fractions if epochs else study.long_fractions
    return np.stack(
        [
            study.results(
                [
                    study.coreset_name(study.case(flip, seed), method.name, fraction, match)
                    for fraction in fractions
                ],
                take,
            )
            for seed in range(seeds)
        ]
    )


def everything(study: Study, flip: float) -> NDArray[np.float64]:
    """Return the accuracy of the recorded models, float64 [seeds]."""
    return study.results([f"runs/{study.case(flip, s).name}" for s in range(study.seeds)])


def tables(study: Study) -> list[Table]:
    """Accuracy, and the difference from random, with matched epochs and iterations."""
    made = []
    for match in MATCHES:
        for flip in study.flips:
            methods = METHODS if match == "epochs" else (RANDOM, *best_methods(study))
            title = f"{study.dataset}, {summary.of_labels(flip)}, matched {match}"
            made += [
                _accuracies(study, methods, flip, match, title),
                _differences(study, methods, flip, match, title),
            ]
            if match == "epochs":
                made.append(_contents(study, flip, title))
    return made


def _columns(study: Study, match: Match) -> list[str]:
    fractions = study.fractions if match == "epochs" else study.long_fractions
    return ["kind", "method", *map(summary.percent, fractions), "seeds"]


def _accuracies(
    study: Study, methods: tuple[Method, ...], flip: float, match: Match, title: str
) -> Table:
    table = Table(f"Test accuracy, {title}", _columns(study, match))
    for method in methods:
        summary.add_row(table, (method.group, method.label), values(study, method, flip, match))
    whole = summary.cells(everything(study, flip)[:, None])[0]
    table.note(f"Everything: {whole}.")
    summary.note(table)
    return table


def _differences(
    study: Study, methods: tuple[Method, ...], flip: float, match: Match, title: str
) -> Table:
    table = Table(f"Above random, of the same seeds, {title}", _columns(study, match))
    random = values(study, RANDOM, flip, match)
    for method in methods[1:]:
        difference = values(study, method, flip, match) - random
        summary.add_row(table, (method.group, method.label), difference, sign=True)
    summary.note(table)
    return table


def _contents(study: Study, flip: float, title: str) -> Table:
    """What the coresets of one size hold, and how the classes fare."""
    middle = study.fractions[len(study.fractions) // 2]
    table = Table(
        f"Coresets of {summary.percent(middle)}, {title}",
        ["kind", "method", "flipped labels in them", "accuracy in the worst class", "seeds"],
    )
    place = study.fractions.index(middle)
    for method in METHODS:
        wrong = values(study, method, flip, take=flipped)[:, place]
        worst = values(study, method, flip, take=worst_class)[:, place]
        both = np.column_stack([wrong, worst])
        summary.add_row(table, (method.group, method.label), both)
    return table


def draw(study: Study, path: Path) -> Path:
    """Draw accuracy against size: a row for each share of wrong labels, a column for each kind."""
    kinds = list(dict.fromkeys(method.group for method in METHODS[1:]))
    best = best_methods(study)
    rows = []
    for flip in study.flips:
        row = [
            _panel(study, [m for m in METHODS if m.group == kind], flip, "epochs", kind)
            for kind in kinds
        ]
        row.append(_panel(study, list(best), flip, "iterations", "best four, matched iterations"))
        rows.append((summary.of_labels(flip), row))
    return charts.curves(path, f"{study.dataset}: test accuracy of coresets", rows)


def _panel(
    study: Study, methods: list[Method], flip: float, match: Match, title: str
) -> charts.Panel:
    fractions = study.fractions if match == "epochs" else study.long_fractions
    lines = [(m.label, values(study, m, flip, match)) for m in (RANDOM, *methods)]
    return charts.Panel(title, fractions, lines, everything(study, flip))
