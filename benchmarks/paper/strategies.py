"""The search for a selection that beats class-balanced random: every idea that was tried.

A model is recorded on everything; each idea of `benchmarks.paper.ideas` chooses coresets from its
losses, and a new model is trained on each. An idea is compared with the mean of three random
coresets of the same seed: the same split, initial weights and size.

    python -m benchmarks.paper.strategies --dataset digits --keep

Seeds below `--confirm-from` are those on which ideas were chosen; the others show whether what won
there wins again. What has been computed is kept, and a command that was killed goes on.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.paper.ideas import DRAWS, IDEAS, Losses
from benchmarks.paper.jobs import CACHE, Job, Work
from benchmarks.paper.models import SMALLEST
from benchmarks.paper.recording import Case, recorded, recording_job
from benchmarks.paper.training import MATCHES, RECIPES, Match, evaluate, fit, one_thread
from benchmarks.results import FOLDER, Table, keep
from ltc.evaluation import Interval, paired_difference

FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2)
FLIPS = (0.0, 0.1)
BASELINE = ["random", *(f"random, draw {n + 1}" for n in range(1, DRAWS))]


@dataclass(frozen=True)
class Search:
    """What is computed.

    Attributes
    ----------
    dataset, directory
        As for `benchmarks.paper.data.load`.
    match : {"epochs", "iterations"}
        What training on a coreset has in common with training on everything.
    seeds : range
        Repetitions.
    ideas : tuple of str
        Names in `IDEAS`; the baseline is added.
    work : Work
        Where results gather.
    """

    dataset: str
    directory: Path | None
    match: Match
    seeds: range
    ideas: tuple[str, ...]
    work: Work

    def case(self, flip: float, seed: int) -> Case:
        """Return a recorded run."""
        recipe = RECIPES[self.dataset]
        return Case(self.dataset, self.directory, recipe, SMALLEST, flip, seed)

    def name(self, flip: float, seed: int, idea: str, fraction: float) -> str:
        """Return the name of the job that trains on a coreset."""
        plain = "".join(letter if letter.isalnum() else "-" for letter in idea)
        return f"ideas/{self.match}/{self.case(flip, seed).name}/{plain}/{fraction:g}"

    def run(self) -> None:
        """Record and train whatever isn't done, a seed at a time."""
        for seed in self.seeds:
            cases = [self.case(flip, seed) for flip in FLIPS]
            for case in cases:
                jobs = [self._job(case, idea, f) for idea in self.ideas for f in FRACTIONS]
                if not self.work.missing(jobs):
                    continue
                self.work.run([recording_job(case, self.work)])
                self.work.run(jobs)

    def _job(self, case: Case, idea: str, fraction: float) -> Job:
        def train() -> dict[str, float]:
            run, data = recorded(case, self.work), case.data
            size = int(fraction * len(data.train) + 0.5)
            samples = IDEAS[idea](_losses(run.passes), size, case.seed)
            if samples.size != size or np.unique(samples).size != size:
                raise RuntimeError(f"{idea} chose {np.unique(samples).size} samples, not {size}")
            with one_thread():
                model = fit(data, case.architecture, case.recipe, case.seed, samples, self.match)
                accuracy = evaluate(model, data).accuracy
            return {"accuracy": accuracy, "flipped": float(run.flipped[samples].mean())}

        name = self.name(case.flip, case.seed, idea, fraction)
        return Job(name, round(fraction * 10**6), train)

    def accuracies(self, flip: float, idea: str) -> NDArray[np.float64]:
        """Return what is done of [seed, fraction]; NaN elsewhere."""
        rows = [[self.name(flip, seed, idea, f) for f in FRACTIONS] for seed in self.seeds]
        found = [[self.work.result(name) for name in row] for row in rows]
        return np.array(
            [[np.nan if one is None else one["accuracy"] for one in row] for row in found]
        )


_kept: dict[Path, Losses] = {}


def _losses(run: Path) -> Losses:
    """Return the latest run, with what ideas have computed of it."""
    if run not in _kept:
        _kept.clear()
        _kept[run] = Losses(run)
    return _kept[run]


def tables(search: Search, confirm_from: int) -> list[Table]:
    """Compare every idea with random, for each share of flipped labels and part of the seeds."""
    parts = {
        "seeds that ideas were chosen on": [s for s in search.seeds if s < confirm_from],
        "other seeds": [s for s in search.seeds if s >= confirm_from],
    }
    return [
        _table(search, flip, words, [search.seeds.index(seed) for seed in part])
        for words, part in parts.items()
        for flip in FLIPS
        if part
    ]


def _table(search: Search, flip: float, words: str, places: Sequence[int]) -> Table:
    labels = f"{100 * flip:g} % of the labels flipped" if flip else "clean labels"
    table = Table(
        f"{search.dataset}, matched {search.match}, {labels}, {words}",
        ["selection", *(f"{100 * fraction:g} %" for fraction in FRACTIONS), "seeds"],
    )
    draws = np.array([search.accuracies(flip, idea)[places] for idea in BASELINE])
    random = draws.mean(axis=0)
    done = ~np.isnan(random).any(axis=1)
    means = (f"{100 * mean:.1f}" for mean in random[done].mean(axis=0))
    table.add("random, accuracy in %", *means, str(done.sum()))
    rows = []
    for idea in search.ideas:
        if idea in BASELINE:
            continue
        found = search.accuracies(flip, idea)[places]
        both = done & ~np.isnan(found).any(axis=1)
        if both.sum() < 2:
            continue
        gain = paired_difference(100 * found[both], 100 * random[both])
        rows.append((_worst(gain), idea, gain, int(both.sum())))
    for _, idea, gain, count in sorted(rows, key=lambda row: -row[0]):
        cells = zip(gain.estimate, gain.low, gain.high, strict=True)
        table.add(
            idea, *(f"{mean:+.1f} ({a:+.1f} to {b:+.1f})" for mean, a, b in cells), str(count)
        )
    table.note(
        f"Below the first row: points of test accuracy above the mean of {DRAWS} random coresets "
        "of the same seed, and 95 % bootstrap intervals over the seeds. First are those whose "
        "lowest end of an interval is highest: above 0, they beat random at every size."
    )
    return table


def _worst(gain: Interval) -> float:
    return float(np.min(gain.low))


def main() -> None:
    """Compute what isn't there, print the tables, and keep them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=RECIPES, default="digits")
    parser.add_argument("--directory", type=Path, help="where the files are")
    parser.add_argument("--match", choices=MATCHES, default="epochs")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--confirm-from", type=int, default=5)
    parser.add_argument("--ideas", nargs="*", choices=IDEAS, default=list(IDEAS), metavar="NAME")
    parser.add_argument("--work", type=Path, default=CACHE, help="where results gather")
    parser.add_argument("--tables-only", action="store_true", help="compute nothing")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/paper")
    arguments = parser.parse_args()
    ideas = tuple(dict.fromkeys([*BASELINE, *arguments.ideas]))
    work = Work(arguments.work, arguments.dataset, RECIPES[arguments.dataset])
    search = Search(
        arguments.dataset,
        arguments.directory,
        arguments.match,
        range(arguments.seeds),
        ideas,
        work,
    )
    if not arguments.tables_only:
        search.run()
    found = tables(search, arguments.confirm_from)
    print("\n\n".join(map(str, found)))
    if arguments.keep:
        suffix = "" if arguments.match == "epochs" else f"-{arguments.match}"
        name = f"strategies-{arguments.dataset}{suffix}"
        print(f"\nkept in {keep(name, found, FOLDER / 'paper', machine.describe())}")


if __name__ == "__main__":
    main()
