"""What a figure is made for, and the one kind of job that all of them share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.jobs import Job, Work
from benchmarks.paper.models import SMALLEST
from benchmarks.paper.recording import Case, Recorded, recorded
from benchmarks.paper.training import Match, Recipe, evaluate, fit, one_thread
from ltc.errors import ArgumentValueError

Choose = Callable[[Recorded, float, int], NDArray[np.int64]]
Take = Callable[[Mapping[str, Any]], float]  # a number of a job's result


def accuracy(result: Mapping[str, Any]) -> float:
    """Return the share of the test split that is right."""
    return result["accuracy"]


def worst_class(result: Mapping[str, Any]) -> float:
    """Return that of the class in which it is smallest."""
    return min(result["class_accuracy"])


def flipped(result: Mapping[str, Any]) -> float:
    """Return the share of wrong labels in the coreset."""
    return result["flipped"]


@dataclass(frozen=True, eq=False)
class Study:
    """What a figure is made for.

    Attributes
    ----------
    dataset, directory, recipe
        What is trained on, where its files are, and how.
    work : Work
        Where results gather.
    seeds, long_seeds : int
        Repetitions with matched epochs, and with matched iterations, which take much longer.
    flips : tuple of float
        Shares of wrong labels.
    fractions, long_fractions : tuple of float
        Sizes of coresets, the same way.
    long_share : float
        Matched iterations are those of this share of everything.
    """

    dataset: str
    directory: Path | None
    recipe: Recipe
    work: Work
    seeds: int = 5
    long_seeds: int = 5
    flips: tuple[float, ...] = (0.0, 0.1)
    fractions: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2)
    long_fractions: tuple[float, ...] = (0.01, 0.05, 0.2)
    long_share: float = 1.0

    def __post_init__(self) -> None:
        """Check every number."""
        for name in ("seeds", "long_seeds"):
            if getattr(self, name) < 1:
                raise ArgumentValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("fractions", "long_fractions"):
            for fraction in getattr(self, name):
                if not 0 < fraction < 1:
                    raise ArgumentValueError(f"{name} must lie between 0 and 1, got {fraction}")
        if not 0 < self.long_share <= 1:
            raise ArgumentValueError(f"long_share must lie in 0..1, got {self.long_share}")

    def case(self, flip: float, seed: int, architecture: str = SMALLEST) -> Case:
        """Return a recorded run."""
        return Case(self.dataset, self.directory, self.recipe, architecture, flip, seed)

    def coreset_job(
        self,
        case: Case,
        name: str,
        choose: Choose,
        fraction: float,
        match: Match = "epochs",
        architecture: str | None = None,
    ) -> Job:
        """Return the job that trains on a coreset chosen from a recorded run.

        Parameters
        ----------
        case : Case
            The recorded run, whose job must have been done.
        name : str
            Of the way of choosing: jobs of the same name are the same.
        choose : function
            Called with what the run left, the fraction and the seed.
        fraction : float
            Size of the coreset.
        match : {"epochs", "iterations"}
            What its training has in common with that of everything.
        architecture : str, optional
            What is trained; by default what was recorded.
        """
        trained = architecture or case.architecture
        share = self.long_share if match == "iterations" else fraction
        return Job(
            self.coreset_name(case, name, fraction, match, architecture),
            round(self.recipe.epochs * share * case.sizes[0]),
            lambda: self._train(case, choose, fraction, match, trained),
        )

    def coreset_name(
        self,
        case: Case,
        name: str,
        fraction: float,
        match: Match = "epochs",
        architecture: str | None = None,
    ) -> str:
        """Return the name of a `coreset_job`."""
        trained = architecture or case.architecture
        source = "" if trained == case.architecture else f"-of-{case.architecture}"
        how = match if match == "epochs" else f"{match}-of-{self.long_share:g}"
        return f"{how}/{case.named(trained)}/{name}{source}/{fraction:g}"

    def _train(
        self, case: Case, choose: Choose, fraction: float, match: Match, architecture: str
    ) -> Mapping[str, Any]:
        run, data = recorded(case, self.work), case.data
        samples = choose(run, fraction, case.seed)
        with one_thread():
            model = fit(data, architecture, self.recipe, case.seed, samples, match, self.long_share)
            tested = evaluate(model, data)
        return {
            "accuracy": tested.accuracy,
            "class_accuracy": tested.class_accuracy.tolist(),
            "samples": len(samples),
            "flipped": float(run.flipped[samples].mean()),
        }

    def results(self, names: Sequence[str], take: Take = accuracy) -> NDArray[np.float64]:
        """Return a number of each job's result; NaN for those that are not done."""
        done = (self.work.result(name) for name in names)
        return np.array([np.nan if each is None else take(each) for each in done])
