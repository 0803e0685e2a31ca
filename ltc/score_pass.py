"""The pass of `score` over training samples: references are prepared once, tiles are worked on.

One machine goes over all samples, a worker of a cluster over a range of whole chunks; a sample's
score is the same bits in either, whatever the tiles. What sums over validation samples in tiles
takes these from the memory limit alone.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.conveyor import CudaPlace
from ltc.device_scores import score_on_device
from ltc.devices import to_host
from ltc.references import mean_references, pair_references, pairs_width
from ltc.tiles import Tiling, plan_tiling, share_tiles, work_through_tiles
from ltc_kernels import (
    PreparedPairs,
    PreparedReferences,
    group_correlation,
    pair_sums,
    prepare_references,
    thread_count,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ltc.device_scores import TileKernel
    from ltc.score_plan import ScorePlan

__all__ = [
    "BYTES_PER_SAMPLE",
    "WORKSPACE",
    "PreparedScoring",
    "check_memory",
    "prepare_scoring",
    "score_metadata",
    "score_samples",
    "tile_kernel",
]

BYTES_PER_REFERENCE_VALUE: Final = 48  # sums, counts, and the float64 steps of the preparation
BYTES_PER_SAMPLE: Final = 160  # of a tile, in the kernels beside the losses
WORKSPACE: Final = 32 * 2**20  # bytes for columns that are done again in float64, all threads


@dataclass(frozen=True)
class PreparedScoring:
    """What every tile is compared with.

    Attributes
    ----------
    references : PreparedReferences, PreparedPairs or None
        None where validation samples are so many that they are read again for every tile.
    missing_val : int
        How many validation losses are missing.
    """

    references: PreparedReferences | PreparedPairs | None
    missing_val: int


def check_memory(plan: ScorePlan) -> None:
    """Raise `ArgumentValueError` if the memory limit doesn't hold the references and a tile."""
    _tiling(plan, threads=1)


def prepare_scoring(plan: ScorePlan) -> PreparedScoring:
    """Read the validation split, and make of it what training samples are compared with."""
    return _prepare_means(plan) if _of_means(plan) else _prepare_pairs(plan)


def score_samples(
    plan: ScorePlan,
    prepared: PreparedScoring,
    place: str,
    bar: Any,
    *,
    samples: slice | None = None,
    alone: bool = False,
) -> tuple[NDArray[np.float32], int]:
    """Score training samples.

    Parameters
    ----------
    plan : ScorePlan
        What was asked for.
    prepared : PreparedScoring
        From `prepare_scoring`.
    place : str
        ``"cpu"``, or the name of a GPU.
    bar : tqdm
        Shows the progress.
    samples : slice, optional
        A range of whole chunks; all by default.
    alone : bool
        Whether to use no thread but the calling one.

    Returns
    -------
    values : ndarray of float32, shape (n,)
        NaN where undefined.
    missing : int
        How many losses of these samples are missing.
    """
    picked = slice(0, plan.store.num_train) if samples is None else samples
    kernel = tile_kernel(plan, prepared)
    if place != "cpu":
        width = _tiling(plan, threads=1).width
        return score_on_device(plan, kernel, CudaPlace(place), width, bar, picked)
    # For one thread, tiles are as narrow as for two: they stay in the cache.
    threads = 1 if not _can_share(plan) else 2 if alone else thread_count()
    return _score_on_cpu(plan, kernel, _tiling(plan, threads=threads), bar, picked, alone=alone)


def _score_on_cpu(
    plan: ScorePlan,
    kernel: TileKernel,
    tiling: Tiling,
    bar: Any,
    samples: slice,
    *,
    alone: bool,
) -> tuple[NDArray[np.float32], int]:
    """Scores of a range, and how many losses are missing."""
    values = np.empty(samples.stop - samples.start, dtype=np.float32)
    missing = 0
    one_at_a_time = threading.Lock()

    def work(begin: int, losses: NDArray[np.float16], found: int) -> None:
        nonlocal missing
        end = begin + losses.shape[1]
        scores = kernel(losses, plan.train_groups(begin, end))
        values[begin - samples.start : end - samples.start] = scores
        with one_at_a_time:
            missing += found
            bar.update(end - begin)

    if alone:
        work_through_tiles(plan.store, plan.rows, tiling.width, work, samples)
    else:
        share_tiles(plan.store, plan.rows, tiling, work, samples)
    return values, missing


def _tiling(plan: ScorePlan, *, threads: int) -> Tiling:
    store = plan.store
    return plan_tiling(
        store.num_train,
        store.chunk_samples,
        len(plan.rows),
        threads=threads,
        memory=_memory_for_tiles(plan),
        per_sample=BYTES_PER_SAMPLE,
    )


def _of_means(plan: ScorePlan) -> bool:
    return plan.reference.endswith("mean")


def _memory_for_tiles(plan: ScorePlan) -> int:
    """Bytes that references leave of the limit, for tiles; negative where there are too many."""
    references = BYTES_PER_REFERENCE_VALUE * plan.num_groups * len(plan.rows)
    left = plan.memory - WORKSPACE - references
    # Validation samples that are references themselves share what is left.
    return left if _of_means(plan) else left // 2


def _can_share(plan: ScorePlan) -> bool:
    """Whether threads may each work on a tile of their own.

    Not where a narrow tile costs as much to read as a wide one, nor where each tile of training
    samples meets all tiles of the validation split, which are read again.
    """
    kept = pairs_width(len(plan.rows), _memory_for_tiles(plan)) >= plan.store.num_val
    return (_of_means(plan) or kept) and plan.store.in_pieces("train")


def _prepare_means(plan: ScorePlan) -> PreparedScoring:
    means, missing = mean_references(
        plan.store,
        plan.rows,
        plan.val_groups,
        plan.num_groups,
        memory=_memory_for_tiles(plan) // 2,
    )
    return PreparedScoring(prepare_references(means, signal=plan.signal), missing)


def _prepare_pairs(plan: ScorePlan) -> PreparedScoring:
    # A validation split that fits is prepared once, a larger one again for every training tile.
    kept: list[PreparedPairs] = []
    missing = 0
    for number, pairs in enumerate(_val_tiles(plan)):
        missing += int(pairs.trajectories.size - np.isfinite(pairs.trajectories).sum())
        kept = [pairs] if number == 0 else []
    return PreparedScoring(kept[0] if kept else None, missing)


def _val_tiles(plan: ScorePlan) -> Iterator[PreparedPairs]:
    return pair_references(
        plan.store,
        plan.rows,
        plan.val_groups,
        plan.num_groups,
        signal=plan.signal,
        memory=_memory_for_tiles(plan),
    )


def tile_kernel(plan: ScorePlan, prepared: PreparedScoring) -> TileKernel:
    """Return what makes scores of the losses and the groups of a tile."""
    references = prepared.references
    if isinstance(references, PreparedReferences):

        def correlate(losses: Any, groups: Any) -> NDArray[np.float32]:
            return to_host(group_correlation(losses, references, groups, signal=plan.signal))

        return correlate

    def mean_of_pairs(losses: Any, groups: Any) -> NDArray[np.float32]:
        sums, counts = np.zeros(len(groups)), np.zeros(len(groups), dtype=np.int64)
        for pairs in _val_tiles(plan) if references is None else (references,):
            more, found = pair_sums(losses, pairs, groups)
            sums += to_host(more)
            counts += to_host(found)
        with np.errstate(invalid="ignore"):  # 0 / 0: no defined pair
            return (sums / counts).astype(np.float32)

    return mean_of_pairs


def score_metadata(plan: ScorePlan, undefined: int, missing: dict[str, int]) -> dict[str, Any]:
    """How scores were made, as JSON values."""
    store, commits = plan.store, [plan.store.commits[t] for t in plan.rows]
    return {
        "signal": plan.signal,
        "reference": plan.reference,
        "groups": "given" if plan.groups_given else "class",
        "revision": store.revision,
        "committed": store.committed,
        "checkpoints": [float(store.checkpoints[t]) for t in plan.rows],
        "left_out": [float(store.checkpoints[t]) for t in plan.left_out],
        "modes": {
            "train": sorted({commit.train.mode for commit in commits}),
            "val": sorted({commit.val.mode for commit in commits}),
        },
        "missing": missing,
        "undefined": undefined,
        "store": store.path,
        "version": package_version(),
    }


@cache
def package_version() -> str:
    """The package's, which takes a millisecond to find."""
    return version("ltc")
