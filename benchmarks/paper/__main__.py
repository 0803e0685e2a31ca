"""``python -m benchmarks.paper FIGURE``: run what is missing, print the tables, keep them."""

import argparse
import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import machine, results
from benchmarks.paper.data import DATASETS
from benchmarks.paper.jobs import CACHE, Work
from benchmarks.paper.study import Study
from benchmarks.paper.training import RECIPES
from ltc.errors import LtcError

FIGURES = {
    "accuracy": "figure 3: test accuracy against the size of the coreset",
    "transfer": "figure 4: coresets of one architecture for training another",
    "lds": "figure 5: do scores of pairs foretell what leaving samples out does; needs ltc[bench]",
    "checkpoints": "how few checkpoints are enough",
    "modes": "losses of training steps against those of passes",
}
FOLDER = results.FOLDER / "paper"
GUESS = 30_000  # samples a second, of a core that is not alone


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, and make one figure."""
    parser = _parser()
    options = parser.parse_args(arguments)
    recipe = RECIPES[options.dataset]
    if options.epochs is not None:
        recipe = replace(recipe, epochs=options.epochs)
    figure = importlib.import_module(f"benchmarks.paper.{options.figure}")
    try:
        study = Study(
            dataset=options.dataset,
            directory=options.data,
            recipe=recipe,
            work=Work(options.work, options.dataset, recipe),
            seeds=options.seeds,
            long_seeds=options.long_seeds,
            long_share=options.long_share,
        )
        if options.plan:
            _print_plan(figure, study)
            return 0
        if not options.tables:
            for number, jobs in enumerate(figure.stages(study)):
                if number < options.stages:
                    study.work.run(jobs)
        _show(options, figure, study)
    except LtcError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper",
        description="Make a figure of the papers on data in reach. Work that was killed goes on.",
        epilog="figures: " + "; ".join(f"{name} ({what})" for name, what in FIGURES.items()),
    )
    parser.add_argument("figure", choices=FIGURES, help="which, as told below")
    parser.add_argument("--dataset", choices=DATASETS, default="digits", help="default: digits")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the data set's files are")
    parser.add_argument(
        "--work", type=Path, default=CACHE, metavar="DIR", help=f"results so far; {CACHE}"
    )
    parser.add_argument("--seeds", type=int, default=5, help="repetitions of all of it; default: 5")
    parser.add_argument(
        "--long-seeds",
        type=int,
        default=5,
        help="of those, how many with matched iterations too; default: 5",
    )
    parser.add_argument(
        "--long-share", type=float, default=1.0, help="of what share of everything; default: 1"
    )
    parser.add_argument("--epochs", type=int, help="of the recorded run; set by the data set")
    parser.add_argument("--stages", type=int, default=9, help="stop after so many stages of jobs")
    parser.add_argument("--plan", action="store_true", help="only print what is missing")
    parser.add_argument("--tables", action="store_true", help="only of the results so far")
    parser.add_argument("--keep", action="store_true", help="into benchmarks/results/paper")
    return parser


def _show(options: argparse.Namespace, figure: Any, study: Study) -> None:
    """Print the tables of what is there, and keep them."""
    tables = figure.tables(study)
    print("\n\n".join(map(str, tables)))
    if not options.keep:
        return
    jobs = [job.name for stage in figure.stages(study) for job in stage]
    described = machine.describe()
    described["commit"] = f"{', '.join(study.work.commits(jobs))}; tables: {described['commit']}"
    recipe = study.recipe
    described["training"] = (
        f"{recipe.epochs} epochs of batches of {recipe.batch_size}, Adam from a learning rate of "
        f"{recipe.learning_rate:g} along a cosine"
    )
    name = f"{study.dataset}-{options.figure}"
    path = results.keep(name, tables, FOLDER, described)
    figure.draw(study, FOLDER / f"{name}.png")
    print(f"\nkept as {path}")


def _print_plan(figure: Any, study: Study) -> None:
    speed = study.work.speed()
    for number, jobs in enumerate(figure.stages(study)):
        missing = study.work.missing(jobs)
        visits = sum(job.visits for job in missing)
        print(
            f"stage {number + 1}: {len(jobs)} jobs, {len(missing)} missing: {visits / 1e6:.1f} "
            f"million samples through a model, {visits / (speed or GUESS) / 60:.0f} minutes at "
            f"{speed or GUESS:,.0f} a second ({'as so far' if speed else 'a guess'})"
        )


if __name__ == "__main__":
    sys.exit(main())
