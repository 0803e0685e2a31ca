"""Figure 4: coresets of one architecture for training another.

Each architecture is trained on a coreset chosen from its own recorded run, and on the one that was
chosen from the smallest architecture's run, which costs least to record.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper import charts, summary
from benchmarks.paper.data import source
from benchmarks.paper.jobs import Job
from benchmarks.paper.methods import METHODS
from benchmarks.paper.models import ARCHITECTURES, build, parameters, smallest
from benchmarks.paper.recording import recording_job
from benchmarks.paper.study import Study
from benchmarks.results import Table

FRACTIONS = (0.05, 0.1)
FLIP = 0.0
RANDOM, OWN = "random", "its own"
COMPARED = ("cld-top", "cld-stratified-cutoff")  # of figure 3
CHOSEN = {method.name: method for method in METHODS}


def stages(study: Study) -> Iterator[list[Job]]:
    """Yield one list of jobs."""
    jobs = []
    for seed in range(study.seeds):
        small = study.case(FLIP, seed, _smallest(study))
        jobs.append(recording_job(small, study.work))  # before all that choose from it
        for architecture in ARCHITECTURES:
            case = study.case(FLIP, seed, architecture)
            jobs.append(recording_job(case, study.work))
            for fraction in FRACTIONS:
                jobs.append(study.coreset_job(case, RANDOM, CHOSEN[RANDOM].choose, fraction))
                jobs += [
                    study.coreset_job(
                        run, name, CHOSEN[name].choose, fraction, architecture=architecture
                    )
                    for name in COMPARED
                    for run in dict.fromkeys((case, small))
                ]
    yield jobs


def _smallest(study: Study) -> str:
    read = source(study.dataset, study.directory)
    return smallest(read.images.shape[1:], len(read.classes))


def _values(study: Study, architecture: str, name: str, chosen_by: str) -> NDArray[np.float64]:
    """Return accuracies, float64 [seeds, fractions]."""
    return np.array(
        [
            study.results(
                [
                    study.coreset_name(
                        study.case(FLIP, seed, chosen_by), name, fraction, architecture=architecture
                    )
                    for fraction in FRACTIONS
                ]
            )
            for seed in range(study.seeds)
        ]
    )


def tables(study: Study) -> list[Table]:
    """Accuracy of each architecture on each coreset, and what the smallest one's costs."""
    return [_table(study, name) for name in COMPARED]


def _table(study: Study, name: str) -> Table:
    sizes = [summary.percent(fraction) for fraction in FRACTIONS]
    least = _smallest(study)
    theirs = f"the {least}'s"
    columns = ["trained", "everything"]
    columns += [f"{which} at {size}" for which in (RANDOM, OWN, theirs) for size in sizes]
    columns += [f"{theirs} above {OWN} at {size}" for size in sizes]
    table = Table(
        f"Transfer, {study.dataset}, clean labels, matched epochs, coresets of "
        f"{CHOSEN[name].group}: {CHOSEN[name].label}",
        [*columns, "seeds"],
    )
    for architecture in ARCHITECTURES:
        whole = study.results(
            [f"runs/{study.case(FLIP, s, architecture).name}" for s in range(study.seeds)]
        )
        random = _values(study, architecture, RANDOM, architecture)
        own = _values(study, architecture, name, architecture)
        small = _values(study, architecture, name, least)
        table.add(
            architecture,
            *summary.cells(whole[:, None]),
            *(cell for values in (random, own, small) for cell in summary.cells(values)),
            *summary.cells(small - own, sign=True),
            str(len(summary.complete(np.hstack([random, own, small])))),
        )
    read = source(study.dataset, study.directory)
    for architecture, (_, words) in ARCHITECTURES.items():
        count = parameters(build(architecture, read.images.shape[1:], len(read.classes), 0))
        table.note(f"{architecture}: {words}; {count:,} parameters.")
    summary.note(table)
    return table


def draw(study: Study, path: Path) -> Path:
    """Draw the accuracies, a panel for each size and way of choosing."""
    panels, least = [], _smallest(study)
    for name in COMPARED:
        for place, fraction in enumerate(FRACTIONS):
            groups = {
                which: [
                    100 * _values(study, architecture, method, run or architecture)[:, place]
                    for architecture in ARCHITECTURES
                ]
                for which, method, run in (
                    (RANDOM, RANDOM, None),
                    (OWN, name, None),
                    (f"the {least}'s", name, least),
                )
            }
            title = f"{CHOSEN[name].label}, {summary.percent(fraction)}"
            panels.append((title, groups))
    return charts.groups(
        path, f"Transfer, {study.dataset}: test accuracy (%)", list(ARCHITECTURES), panels
    )
