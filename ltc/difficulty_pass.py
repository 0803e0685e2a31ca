"""The pass of `difficulty` over training samples, and what becomes of its results.

One machine goes over all samples, a worker of a cluster over a range of whole chunks; a sample's
scores are the same bits in either, whatever the tiles.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.lost_losses import warn_of_lost_losses
from ltc.score_pass import package_version
from ltc.scores import Scores
from ltc.tiles import plan_tiling, share_tiles, work_through_tiles
from ltc_kernels import thread_count
from ltc_kernels.difficulty_kinds import FORGETTING, OF_LOSSES, WINDOWED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.difficulty_plan import DifficultyPlan

__all__ = ["difficulty_metadata", "finish", "score_samples"]

BYTES_PER_SAMPLE: Final = 96  # of a tile, in the kernel beside the losses
WORKSPACE: Final = 32 * 2**20  # bytes for columns in float64 and for blocks of p, all threads


def finish(
    plan: DifficultyPlan, values: NDArray[np.float32], missing: int, *, stacklevel: int = 4
) -> dict[str, Scores]:
    """Make scores of what was computed of all samples.

    Parameters
    ----------
    plan : DifficultyPlan
        What was asked for.
    values : float32 array [kind, N]
        What `DifficultyPlan.score` made of every range of samples.
    missing : int
        How many losses of the checkpoints used are missing.
    stacklevel : int
        Whom a warning of lost losses is for, as `warnings.warn` counts from what this calls.

    Raises
    ------
    ArgumentValueError
        A loss is negative, and a kind is made of p.
    """
    store = plan.store
    plan.check(plan.negative(values))
    lost = warn_of_lost_losses(store, plan.rows, {"train": missing}, stacklevel=stacklevel)
    labels, ids = store.labels("train"), store.ids("train")
    found = {}
    for kind, row in zip(plan.kinds, values, strict=False):
        metadata = difficulty_metadata(plan, kind, int(np.isnan(row).sum()), missing, lost)
        found[kind] = Scores(row, labels, ids, metadata)
    return found


def score_samples(
    plan: DifficultyPlan, bar: Any, samples: slice | None = None, *, alone: bool = False
) -> tuple[NDArray[np.float32], int]:
    """Score a range of training samples; the same bits whichever the range.

    Parameters
    ----------
    plan : DifficultyPlan
        What was asked for.
    bar : tqdm
        Shows the progress.
    samples : slice, optional
        A range of whole chunks; all by default.
    alone : bool
        Whether to use no thread but the calling one.

    Returns
    -------
    values : float32 array [kind, n]
        In the order of `DifficultyPlan.computed`; what `finish` takes, of all ranges together.
    missing : int
        How many losses of these samples are missing.
    """
    store = plan.store
    picked = slice(0, store.num_train) if samples is None else samples
    values = np.empty((len(plan.computed), picked.stop - picked.start), dtype=np.float32)
    # For one thread, tiles are as narrow as for two: they stay in the cache.
    threads = 1 if not store.in_pieces("train") else 2 if alone else thread_count()
    tiling = plan_tiling(
        store.num_train,
        store.chunk_samples,
        len(plan.rows),
        threads=threads,
        memory=plan.memory - WORKSPACE,
        per_sample=BYTES_PER_SAMPLE,
    )
    missing = 0
    one_at_a_time = threading.Lock()

    def work(begin: int, losses: NDArray[np.float16], found: int) -> None:
        nonlocal missing
        end = begin + losses.shape[1]
        values[:, begin - picked.start : end - picked.start] = plan.score(losses)
        with one_at_a_time:
            missing += found
            bar.update(end - begin)

    if alone:
        work_through_tiles(store, plan.rows, tiling.width, work, picked)
    else:
        share_tiles(store, plan.rows, tiling, work, picked)
    return values, missing


def difficulty_metadata(
    plan: DifficultyPlan, kind: str, undefined: int, missing: int, lost: dict[str, int]
) -> dict[str, Any]:
    """Return how the scores of a kind were made, as JSON values.

    Parameters
    ----------
    plan : DifficultyPlan
        What was asked for.
    kind : str
        One of `plan.kinds`.
    undefined, missing : int
        How many scores are undefined, and how many losses were missing.
    lost : dict of str to int
        How many of these had been recorded, by split.
    """
    store, commits = plan.store, [plan.store.commits[t] for t in plan.rows]
    options: dict[str, Any] = {}
    if kind in WINDOWED:
        options["window"] = plan.window
    if kind in FORGETTING:
        options["classes"] = plan.classes
    if kind not in OF_LOSSES:
        options["loss"] = "cross-entropy, claimed" if plan.claimed else "cross-entropy"
    return {
        "kind": kind,
        **options,
        "groups": "class",
        "revision": store.revision,
        "committed": store.committed,
        "checkpoints": [float(store.checkpoints[t]) for t in plan.rows],
        "left_out": [float(store.checkpoints[t]) for t in plan.left_out],
        "modes": {"train": sorted({commit.train.mode for commit in commits})},
        "missing": {"train": missing},
        "undefined": undefined,
        "store": store.path,
        "version": package_version(),
        "lost": lost,
        "device": "cpu",
    }
