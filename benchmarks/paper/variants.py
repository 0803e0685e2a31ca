"""Scores of the same run made in different ways: how far they agree, and what they are worth.

What the figures on checkpoints and on recording modes have in common. The first way is the one that
the others are held against.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ltc
from benchmarks.paper import charts, summary
from benchmarks.paper.jobs import Job
from benchmarks.paper.recording import Case, Recorded, recorded, recording_job
from benchmarks.paper.study import Choose, Study
from benchmarks.results import Table
from ltc import evaluation

FRACTIONS = (0.05, 0.1)
COMPARED = 0.1  # the size at which selections are compared
MEASURES = {
    "agreement": "rank agreement",
    "overlap": f"same samples of {summary.percent(COMPARED)}",
    "auc": "AUC for flipped labels",
}


@dataclass(frozen=True)
class Variant:
    """A way to score a recorded run.

    Attributes
    ----------
    name : str
        In names of jobs; that of a method of figure 3 where it is the same.
    label : str
        In tables.
    score : function
        Called with what a run left.
    """

    name: str
    label: str
    score: Callable[[Recorded], ltc.Scores]

    @property
    def choose(self) -> Choose:
        """How a coreset is chosen: the highest scores of each class."""

        def choose(run: Recorded, fraction: float, seed: int) -> NDArray[np.int64]:
            del seed
            return self.score(run).select(fraction=fraction).indices

        return choose


def stages(study: Study, variants: Sequence[Variant]) -> Iterator[list[Job]]:
    """Yield one list of jobs: recording, comparing, and training on coresets."""
    jobs = []
    for seed in range(study.seeds):
        for flip in study.flips:
            case = study.case(flip, seed)
            jobs.append(recording_job(case, study.work))
            jobs += [_comparison(study, case, variants[0], variant) for variant in variants]
            jobs += [
                study.coreset_job(case, variant.name, variant.choose, fraction)
                for variant in variants
                for fraction in FRACTIONS
            ]
    yield jobs


def _comparison(study: Study, case: Case, first: Variant, variant: Variant) -> Job:
    return Job(_comparison_name(case, variant), 0, lambda: _compare(study, case, first, variant))


def _comparison_name(case: Case, variant: Variant) -> str:
    return f"scores/{case.name}/{variant.name}"


def _compare(study: Study, case: Case, first: Variant, variant: Variant) -> Mapping[str, Any]:
    run = recorded(case, study.work)
    scores, others = variant.score(run), first.score(run)
    chosen = [each.select(fraction=COMPARED).indices for each in (scores, others)]
    return {
        "agreement": evaluation.rank_agreement(scores.values, others.values),
        "overlap": evaluation.overlap(*chosen),
        # Without flipped labels there is nothing to find.
        "auc": evaluation.flipped_auc(scores.values, run.flipped) if case.flip else None,
    }


def tables(study: Study, variants: Sequence[Variant], title: str) -> list[Table]:
    """Return a table for each share of wrong labels."""
    return [_table(study, variants, flip, title) for flip in study.flips]


def _table(study: Study, variants: Sequence[Variant], flip: float, title: str) -> Table:
    measures = [name for name in MEASURES if flip or name != "auc"]
    columns = ["scores", *(MEASURES[name] for name in measures)]
    columns += [f"accuracy at {summary.percent(fraction)}" for fraction in FRACTIONS]
    columns += [f"above the first row at {summary.percent(fraction)}" for fraction in FRACTIONS]
    table = Table(
        f"{title}, {study.dataset}, {summary.of_labels(flip)}, matched epochs",
        [*columns, "seeds"],
    )
    first = _accuracies(study, variants[0], flip)
    for variant in variants:
        names = [_comparison_name(study.case(flip, seed), variant) for seed in range(study.seeds)]
        compared = np.column_stack(
            [study.results(names, lambda result, name=name: result[name]) for name in measures]
        )
        accuracies = _accuracies(study, variant, flip)
        table.add(
            variant.label,
            *summary.cells(compared, scale=1),
            *summary.cells(accuracies),
            *(summary.cells(accuracies - first, sign=True)),
            str(len(summary.complete(np.hstack([compared, accuracies])))),
        )
    table.note(f"Rank agreement and same samples are with {variants[0].label!r}.")
    summary.note(table)
    return table


def _accuracies(study: Study, variant: Variant, flip: float) -> NDArray[np.float64]:
    return np.array(
        [
            study.results(
                [
                    study.coreset_name(study.case(flip, seed), variant.name, fraction)
                    for fraction in FRACTIONS
                ]
            )
            for seed in range(study.seeds)
        ]
    )


def draw(study: Study, variants: Sequence[Variant], title: str, path: Path) -> Path:
    """Draw rank agreement, and accuracy at the larger size, one point for each way to score."""
    panels = []
    for flip in study.flips:
        names = [
            [_comparison_name(study.case(flip, seed), variant) for seed in range(study.seeds)]
            for variant in variants
        ]
        agreement = [study.results(each, lambda result: result["agreement"]) for each in names]
        panels.append((f"rank agreement\n{summary.of_labels(flip)}", agreement))
        accuracy = [100 * _accuracies(study, variant, flip)[:, -1] for variant in variants]
        size = summary.percent(FRACTIONS[-1])
        panels.append((f"accuracy (%) at {size}\n{summary.of_labels(flip)}", accuracy))
        if flip:
            found = [study.results(each, lambda result: result["auc"]) for each in names]
            panels.append((f"AUC for flipped labels\n{summary.of_labels(flip)}", found))
    labels = [variant.label for variant in variants]
    return charts.points(path, f"{title}, {study.dataset}", labels, panels)
