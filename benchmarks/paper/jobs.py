"""Work that can be killed at any moment and goes on where it was.

A job is named by all that its result depends on, and its result is one small JSON file of that
name, written atomically. Whoever runs the same jobs again runs those that have none. What a job
leaves beside it, such as a recorded run, is in place before its result is.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import machine
from benchmarks.paper.training import Recipe
from ltc.atomic import atomic_file
from ltc.errors import ArgumentValueError

CACHE = Path("~/.cache/ltc-paper")


@dataclass(frozen=True, eq=False)
class Job:
    """Something to compute once.

    Attributes
    ----------
    name : str
        Parts divided by ``/``: a path below the folder of the work.
    visits : int
        How many samples go through a model, training or not: what it costs.
    make : function
        Returns the result, which JSON can hold.
    """

    name: str
    visits: int
    make: Callable[[], Mapping[str, Any]]


class Work:
    """The folder in which the results of one data set and recipe gather.

    Raises
    ------
    ArgumentValueError
        The folder holds work of another recipe.
    """

    def __init__(self, folder: Path, dataset: str, recipe: Recipe) -> None:
        self.folder = folder.expanduser() / dataset
        settings = {"dataset": dataset, **asdict(recipe)}
        kept = self._read("settings")
        if kept is None:
            self._write("settings", settings)
        elif kept != settings:
            raise ArgumentValueError(
                f"work must be a folder for this recipe, {settings}; {self.folder} has {kept}"
            )

    def path(self, name: str) -> Path:
        """Return where something of this name lies, or would."""
        return self.folder / name

    def result(self, name: str) -> dict[str, Any] | None:
        """Return the result of a job that has finished."""
        done = self._read(f"jobs/{name}")
        return None if done is None else done["result"]

    def commits(self, names: Iterable[str]) -> list[str]:
        """Return the commits at which these jobs were done, those that are."""
        done = (self._read(f"jobs/{name}") for name in names)
        return sorted({each["commit"] for each in done if each is not None})

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Return those without a result, each name once, in order."""
        unique = {job.name: job for job in jobs}
        return [job for job in unique.values() if self.result(job.name) is None]

    def run(self, jobs: Sequence[Job], *, progress: bool = True) -> None:
        """Run what is missing, in order."""
        commit = machine.commit()
        missing = self.missing(jobs)
        visits = sum(job.visits for job in missing)
        with tqdm(total=visits, unit_scale=True, disable=not progress) as bar:
            for job in missing:
                bar.set_description(job.name, refresh=False)
                start = time.perf_counter()
                result = dict(job.make())
                seconds = time.perf_counter() - start
                done = {"commit": commit, "seconds": seconds, "visits": job.visits}
                self._write(f"jobs/{job.name}", {**done, "result": result})
                bar.update(job.visits)

    def speed(self) -> float | None:
        """Return how many samples a second the jobs that are done took; None before the first."""
        done = [json.loads(path.read_text()) for path in self.path("jobs").rglob("*.json")]
        seconds = sum(each["seconds"] for each in done)
        return sum(each["visits"] for each in done) / seconds if seconds else None

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            text = self.path(f"{name}.json").read_text()
        except FileNotFoundError:
            return None
        return json.loads(text)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        path = self.path(f"{name}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(json.dumps(content).encode())
