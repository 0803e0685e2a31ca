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
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.paper import charts
from benchmarks.paper.ideas import DRAWS, IDEAS
from benchmarks.paper.jobs import CACHE, Job, Work
from benchmarks.paper.losses import Losses
from benchmarks.paper.models import ARCHITECTURES, SMALLEST
from benchmarks.paper.recording import Case, recorded, recording_job
from benchmarks.paper.summary import of_labels, percent
from benchmarks.paper.training import MATCHES, RECIPES, Match, evaluate, fit, one_thread
from benchmarks.results import FOLDER, Table, keep
from ltc.evaluation import bootstrap_interval

FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2)
FLIPS = (0.0, 0.1)
LEAST_SEEDS = 2  # that a mean and its interval are of
KEPT = FOLDER / "paper"
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
    architecture : str
        What is recorded, and trained on coresets.
    """

    dataset: str
    directory: Path | None
    match: Match
    seeds: range
    ideas: tuple[str, ...]
    work: Work
    architecture: str = SMALLEST

    def case(self, flip: float, seed: int) -> Case:
        """Return a recorded run."""
        recipe = RECIPES[self.dataset]
        return Case(self.dataset, self.directory, recipe, self.architecture, flip, seed)

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


def tables(search: Search, confirm_from: Sequence[int]) -> list[Table]:
    """Compare every idea with random, for each share of flipped labels and part of the seeds."""
    made = []
    for begin, end in pairwise((0, *confirm_from, search.seeds.stop)):
        part = [place for place, seed in enumerate(search.seeds) if begin <= seed < end]
        words = "other seeds" if begin else "seeds that ideas were chosen on"
        if part:
            words += f": {begin} to {end - 1}"
            made += [_table(search, flip, words, part) for flip in FLIPS]
    return made


def gains(search: Search, flip: float, idea: str, places: Sequence[int]) -> NDArray[np.float64]:
    """Return points of accuracy above the mean of the random coresets, [seed, fraction].

    Of the seeds at these places for which all is done.
    """
    draws = [search.accuracies(flip, each)[places] for each in BASELINE]
    gain = 100 * (search.accuracies(flip, idea)[places] - np.mean(draws, axis=0))
    return gain[~np.isnan(gain).any(axis=1)]


def _table(search: Search, flip: float, words: str, places: Sequence[int]) -> Table:
    table = Table(
        f"{search.dataset}, {search.architecture}, matched {search.match}, {of_labels(flip)}, "
        f"{words}",
        ["selection", *map(percent, FRACTIONS), "surely above, below", "seeds"],
    )
    random = np.mean([search.accuracies(flip, each)[places] for each in BASELINE], axis=0)
    random = random[~np.isnan(random).any(axis=1)]
    if len(random):
        means = (f"{100 * mean:.1f}" for mean in random.mean(axis=0))
        table.add("random, accuracy in %", *means, "", str(len(random)))
    rows = []
    for idea in search.ideas:
        gain = gains(search, flip, idea, places)
        if idea not in BASELINE and len(gain) >= LEAST_SEEDS:
            rows.append((bootstrap_interval(gain), idea, len(gain)))
    for found, idea, count in sorted(rows, key=lambda row: -float(np.min(row[0].estimate))):
        ends = zip(found.estimate, found.low, found.high, strict=True)
        cells = (f"{mean:+.1f} ({low:+.1f} to {high:+.1f})" for mean, low, high in ends)
        sure = f"{np.sum(found.low > 0)}, {np.sum(found.high < 0)} of {len(FRACTIONS)}"
        table.add(idea, *cells, sure, str(count))
    table.note(
        f"Below the first row: points of test accuracy above the mean of {DRAWS} random coresets "
        "of the same seed, and 95 % bootstrap intervals over the seeds, which with five seeds or "
        "fewer are too narrow. The last but one column counts the sizes at which they exclude 0. "
        "In the order of the smallest gain."
    )
    return table


def draw(search: Search, path: Path, confirm_from: Sequence[int]) -> Path:
    """Draw how far above random the ideas are that the seeds for confirming tried."""
    places = [search.seeds.index(seed) for seed in search.seeds if seed >= confirm_from[0]]
    tried = [
        idea
        for idea in search.ideas
        if idea not in BASELINE
        and all(len(gains(search, flip, idea, places)) >= LEAST_SEEDS for flip in FLIPS)
    ]
    panels = []
    for column, fraction in enumerate(FRACTIONS):
        points = {
            of_labels(flip): [gains(search, flip, idea, places)[:, column] / 100 for idea in tried]
            for flip in FLIPS
        }
        panels.append((percent(fraction), points))
    title = f"{search.dataset}: accuracy above random of the same seed, matched {search.match}"
    return charts.groups(path, title, tried, panels)


def _described(search: Search) -> dict[str, str]:
    """Say on which machine and commits it was computed."""
    names = [
        search.name(flip, seed, idea, fraction)
        for flip in FLIPS
        for seed in search.seeds
        for idea in search.ideas
        for fraction in FRACTIONS
    ]
    described = machine.describe()
    commits = ", ".join(search.work.commits(names))
    return described | {"commit": f"{commits}; tables: {described['commit']}"}


def main(words: Sequence[str] | None = None) -> None:
    """Compute what isn't there, print the tables, and keep them if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper.strategies",
        description=__doc__,
        epilog="ideas, for --ideas, each in quotes:\n  " + "\n  ".join(IDEAS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset", choices=RECIPES, default="digits")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the data set's files are")
    parser.add_argument(
        "--match", choices=MATCHES, default="epochs", help="as long as everything trains"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--confirm-from",
        type=int,
        nargs="+",
        default=[5],
        metavar="SEED",
        help="ideas weren't chosen on it and later ones; of several, tables for each part",
    )
    parser.add_argument("--architecture", choices=ARCHITECTURES, default=SMALLEST)
    parser.add_argument("--ideas", nargs="*", choices=IDEAS, default=list(IDEAS), metavar="NAME")
    parser.add_argument(
        "--work", type=Path, default=CACHE, metavar="DIR", help=f"results so far; {CACHE}"
    )
    parser.add_argument("--tables-only", action="store_true", help="compute nothing")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/paper")
    arguments = parser.parse_args(words)
    ideas = tuple(dict.fromkeys([*BASELINE, *arguments.ideas]))
    work = Work(arguments.work, arguments.dataset, RECIPES[arguments.dataset])
    search = Search(
        arguments.dataset,
        arguments.data,
        arguments.match,
        range(arguments.seeds),
        ideas,
        work,
        arguments.architecture,
    )
    if not arguments.tables_only:
        search.run()
    found = tables(search, arguments.confirm_from)
    print("\n\n".join(map(str, found)))
    if arguments.keep:
        suffix = "" if arguments.match == "epochs" else f"-{arguments.match}"
        name = f"strategies-{arguments.dataset}{suffix}"
        print(f"\nkept in {keep(name, found, KEPT, _described(search))}")
        draw(search, KEPT / f"{name}.png", arguments.confirm_from)


if __name__ == "__main__":
    main()
