"""What work takes on this machine, measured in a moment on small runs."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.recorder import Recorder
from ltc.scoring import score
from ltc.selection.counting import choose, cut, fold_over
from ltc.selection.plan import plan_selection
from ltc.selection.search import Limits
from ltc.store.arrays import write_store
from ltc.store.format import CHUNK_SAMPLES
from ltc_kernels import PairSearch, thread_count

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["SEARCHED", "Rates", "measure_rates"]

SEARCHED: Final = 10  # neighbours of each end

FEW: Final = 1_000  # training samples of a run whose size doesn't matter, and validation samples
COMMITTED: Final = (FEW, CHUNK_SAMPLES)  # training samples of the runs that are recorded,
COMMITS: Final = 8  # and their commits, the first of which makes directories
SCORED: Final = 2 * CHUNK_SAMPLES  # training samples of the run that is scored,
CHECKPOINTS: Final = (4, 32)  # with so many checkpoints of it
SEARCHES: Final = ((32_768, 131_072), (128, 1024))  # training and validation samples
LONGEST: Final = 128  # checkpoints of a search; of more it takes longer in proportion
REPEATS: Final = 5


@dataclass(frozen=True)
class Rates:
    """What work takes on this machine, in seconds.

    Attributes
    ----------
    commit, commit_sample : float
        A commit, and what each sample adds to it.
    score, score_sample, score_loss : float
        A call of `score`, and what each training sample and each of its losses adds to it, read
        from the file cache.
    search, search_sample, search_query, search_pair : float
        A search for neighbours among trajectories of the planned length, and what each training
        sample, each query, and each pair of them adds to it.
    selection_sample : float
        What a pass of a selection in blocks takes for each sample, its scores being in memory.
    """

    commit: float
    commit_sample: float
    score: float
    score_sample: float
    score_loss: float
    search: float
    search_sample: float
    search_query: float
    search_pair: float
    selection_sample: float


def measure_rates(num_checkpoints: int, folder: str | os.PathLike[str] | None = None) -> Rates:
    """Measure this machine for a second or two, on small stores that are removed again.

    Parameters
    ----------
    num_checkpoints : int
        Of the planned run.
    folder : str or os.PathLike, optional
        Where to put the stores, by default the temporary directory.

    Raises
    ------
    OSError
        The folder isn't there, or doesn't take 40 MB.
    """
    with tempfile.TemporaryDirectory(prefix="ltc-plan-", dir=folder) as place:
        commit, commit_sample = _line(
            COMMITTED, [_commit(Path(place, f"{size}.zarr"), size) for size in COMMITTED]
        )
        scoring = _scoring(Path(place))
    return Rates(commit, commit_sample, *scoring, *_search(num_checkpoints), _selection())


def _commit(run: Path, size: int) -> float:
    """Seconds of a commit of so many training samples."""
    rng = np.random.default_rng(0)
    seconds = []
    with Recorder(run, num_train=size, num_val=FEW) as recorder:
        for checkpoint in range(COMMITS):
            for split, length in (("train", size), ("val", FEW)):
                losses = rng.random(length, dtype=np.float32)
                recorder.update(split, np.arange(length), losses=losses)
            seconds.append(_time(lambda checkpoint=checkpoint: recorder.commit(checkpoint)))  # type: ignore[misc]
    return float(np.median(seconds[1:]))


def _scoring(place: Path) -> tuple[float, float, float]:
    """Seconds of a call, of a sample and of a loss."""
    block = np.random.default_rng(0).random((1, SCORED + CHECKPOINTS[1]), np.float32)
    block = block.astype(np.float16)
    runs = {}
    for size in (FEW, SCORED):
        # Neighbouring windows of one block: as good as noise, and made in no time.
        train = np.lib.stride_tricks.sliding_window_view(block[0], size)[: CHECKPOINTS[1]]
        labels = np.arange(size) % 10
        runs[size] = place / f"scored-{size}.zarr"
        write_store(runs[size], train, train[:, :FEW], train_labels=labels, val_labels=labels[:FEW])
    score(runs[FEW])  # compiles, or loads what was compiled
    short, long = CHECKPOINTS
    call = _fastest(lambda: score(runs[FEW], checkpoints=slice(short)))
    few, many = (
        _fastest(lambda length=length: score(runs[SCORED], checkpoints=slice(length)))  # type: ignore[misc]
        for length in CHECKPOINTS
    )
    each = max(many - few, 0.1 * many) / (SCORED * (long - short))
    return call, max((few - call) / SCORED - short * each, 0.0), each


def _search(num_checkpoints: int) -> tuple[float, float, float, float]:
    """Seconds of a search, of a sample, of a query and of a pair."""
    length = min(max(num_checkpoints, 4), LONGEST)
    rng = np.random.default_rng(0)
    train, val = (
        rng.random((length, sizes[1]), dtype=np.float32).astype(np.float16) for sizes in SEARCHES
    )

    def seconds(samples: int, queries: int) -> float:
        def search() -> None:
            found = PairSearch(val[:, :queries], SEARCHED, signal="difference", ends="both")
            found.add(train[:, :samples], np.arange(samples))
            found.results()

        return _fastest(search, 2)

    seconds(1_000, SEARCHES[1][0])  # compiles
    # A line over the samples for each number of queries, then a line over the queries of each end.
    lines = [_line(SEARCHES[0], [seconds(n, m) for n in SEARCHES[0]]) for m in SEARCHES[1]]
    search, search_query = _line(SEARCHES[1], [fixed for fixed, _ in lines])
    sample, pair = _line(SEARCHES[1], [slope for _, slope in lines])
    longer = max(num_checkpoints / LONGEST, 1.0)
    return search, sample * longer, search_query, pair * longer


def _selection() -> float:
    """Seconds of a sample in a pass that counts."""
    values = np.random.default_rng(0).random(CHUNK_SAMPLES, np.float32)
    labels = np.arange(CHUNK_SAMPLES, dtype=np.int32) % 1000
    plan = plan_selection(CHUNK_SAMPLES, labelled=True, fraction=0.1)
    passes = fold_over(list(cut(values, labels, plan.excluded, width=CHUNK_SAMPLES)))
    seconds: list[float] = []

    def timed(function: Any, merge: Any) -> Any:
        begin = time.perf_counter()
        result = passes(function, merge)
        seconds.append(time.perf_counter() - begin)
        return result

    for _ in range(REPEATS):
        choose(plan, labelled=True, fold=timed, limits=Limits(fetched=CHUNK_SAMPLES // 100))
    return float(np.median(seconds)) / CHUNK_SAMPLES / thread_count()


def _line(sizes: tuple[int, int], seconds: list[float]) -> tuple[float, float]:
    """Fixed cost and cost of each, from two sizes.

    Noise doesn't make things free: all that are added take at least a tenth of the longer time.
    """
    slope = max(seconds[1] - seconds[0], 0.1 * seconds[1]) / (sizes[1] - sizes[0])
    return max(seconds[0] - sizes[0] * slope, 0.0), slope


def _fastest(call: Callable[[], object], repeats: int = REPEATS) -> float:
    return min(_time(call) for _ in range(repeats))


def _time(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
