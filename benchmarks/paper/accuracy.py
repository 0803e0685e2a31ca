"""Test accuracy against the size of the coreset: figure 3 of arXiv 2503.09721 and 2508.20230.

Every method with matched epochs; the best four of them and random with matched iterations too, at
fewer sizes and seeds, because each of those models takes as long as one of everything.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.jobs import Job
from benchmarks.paper.methods import METHODS, Method
from benchmarks.paper.recording import recording_job
from benchmarks.paper.study import Study, coreset_job_name
from benchmarks.paper.training import Match

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
    """Return the four with the highest mean accuracy, random left aside.

    Over sizes, seeds and shares of wrong labels, with matched epochs.
    """
    others = [method for method in METHODS if method is not RANDOM]
    means = [np.mean([values(study, method, flip) for flip in study.flips]) for method in others]
    order = np.argsort(-np.nan_to_num(means), kind="stable")[:BEST]
    return tuple(others[k] for k in sorted(order))


def values(
    study: Study, method: Method, flip: float, match: Match = "epochs", field: str = "accuracy"
) -> NDArray[np.float64]:
    """Return a number of each model's result, float64 [seeds, fractions]; NaN where not done."""
    epochs = match == "epochs"
    seeds = study.seeds if epochs else min(study.long_seeds, study.seeds)
    fractions = study.fractions if epochs else study.long_fractions
    return np.stack(
        [
            study.results(
                [
                    coreset_job_name(study.case(flip, seed), method.name, fraction, match)
                    for fraction in fractions
                ],
                field,
            )
            for seed in range(seeds)
        ]
    )


def everything(study: Study, flip: float) -> NDArray[np.float64]:
    """Return the accuracy of the recorded models, float64 [seeds]."""
    return study.results([f"runs/{study.case(flip, s).name}" for s in range(study.seeds)])
