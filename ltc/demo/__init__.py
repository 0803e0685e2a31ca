"""The demonstration on real data: record, score, select, and train on what was selected.

`run` is all of it, and what ``ltc demo`` calls. It needs the extra ``demo``: matplotlib and
scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ltc.demo.errors import require_extra
from ltc.errors import ArgumentValueError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ltc.demo.experiment import Plan

__all__ = ["Report", "run"]

FLIPPED = 0.1


@dataclass(frozen=True)
class Report:
    """What the demonstration found; `str` of it is the text to print.

    Attributes
    ----------
    text : str
        Tables of accuracy and the other figures.
    files : tuple of Path
        The plots, the table of single accuracies and the text.
    """

    text: str
    files: tuple[Path, ...]

    def __str__(self) -> str:
        """Return the text and where the files are."""
        return "\n".join([self.text, "", "Saved:", *(f"  {path}" for path in self.files)])


def run(
    dataset: str = "digits",
    *,
    data: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] = "ltc-demo",
    seeds: int = 5,
    sizes: Sequence[float] = (0.02, 0.05, 0.1, 0.2),
    cutoff: float = 0.2,
    epochs: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Report:
    """Compare coresets of every strategy with a random subset and with all of the data.

    For every seed: split the data, train a small network on the training split while recording it,
    score, select, and train from scratch on every coreset for the same number of iterations; first
    with the labels as they are, then with a tenth of them flipped. The same seeds give the same
    figures on the same machine.

    Parameters
    ----------
    dataset : {"digits", "fashion-mnist"}
        Which data.
    data : path, optional
        Where the IDX files of ``"fashion-mnist"`` lie, if not where Debian puts them.
    out : path
        The folder for stores, plots and tables, in a folder named like `dataset`; results of an
        earlier call are replaced.
    seeds : int
        How often everything is repeated, at least 1.
    sizes : sequence of float
        Coreset sizes, as fractions of the training split, between 0 and 1.
    cutoff : float
        The share of each class that half of the coresets set aside, between 0 and 1.
    epochs : int, optional
        Passes over the training split; by default what suits `dataset`. At least 4: fewer
        checkpoints have no score.
    workers : int, optional
        Processes that train at the same time; by default one per core. More than one needs the
        usual ``if __name__ == "__main__":`` in a script.
    progress : bool
        Show progress bars on stderr.

    Returns
    -------
    Report
        The text, and the paths of what was saved.

    Raises
    ------
    MissingExtraError
        matplotlib or scikit-learn is not installed.
    DatasetNotFoundError, DatasetFormatError
        The data set is not there, or broken.
    ArgumentValueError
        A parameter breaks its rule.
    """
    require_extra()
    from ltc.demo.experiment import Plan
    from ltc.demo.train import RECIPES, default_workers

    if dataset not in RECIPES:
        raise ArgumentValueError(f"dataset must be one of {', '.join(RECIPES)}, got {dataset!r}")
    recipe = RECIPES[dataset]
    return _carry_out(
        Plan(
            dataset=dataset,
            directory=None if data is None else Path(data),
            recipe=recipe if epochs is None else replace(recipe, epochs=epochs),
            seeds=seeds,
            sizes=tuple(sizes),
            cutoff=cutoff,
            out=Path(out) / dataset,
            workers=default_workers() if workers is None else workers,
            progress=progress,
        )
    )


def _carry_out(plan: Plan) -> Report:
    from ltc.demo.experiment import compare
    from ltc.demo.plots import save_plots
    from ltc.demo.report import accuracy_csv, compose

    start = perf_counter()
    parts = compare(plan, (0.0, FLIPPED))
    files = save_plots(plan, parts)
    text = compose(plan, parts, perf_counter() - start)
    for name, content in (
        ("accuracy.csv", accuracy_csv(plan, parts)),
        ("report.txt", text + "\n"),
    ):
        files.append(plan.out / name)
        files[-1].write_text(content, encoding="utf-8")
    return Report(text, tuple(files))
