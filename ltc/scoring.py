"""`score`: one pass over the store, in tiles that threads read and work on by themselves."""

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from ltc.conveyor import CudaPlace
from ltc.device_scores import TileKernel, score_on_device
from ltc.devices import choose_device, to_host
from ltc.lost_losses import warn_of_lost_losses
from ltc.references import mean_references, pair_references, pairs_width
from ltc.score_plan import ScorePlan, plan_score
from ltc.scores import Scores
from ltc.store import Store, open_store
from ltc.store.scores import write_scores
from ltc.tiles import Tiling, parse_memory, plan_tiling, share_tiles
from ltc_kernels import (
    PreparedPairs,
    group_correlation,
    pair_sums,
    prepare_references,
    thread_count,
)

BYTES_PER_REFERENCE_VALUE: Final = 48  # sums, counts, and the float64 steps of the preparation
BYTES_PER_SAMPLE: Final = 160  # of a tile, in the kernels beside the losses
WORKSPACE: Final = 32 * 2**20  # bytes for columns that are done again in float64, all threads

Metadata = dict[str, Any]


def score(
    run: str | os.PathLike[str] | Store,
    *,
    signal: str = "difference",
    reference: str = "class-mean",
    checkpoints: slice | Sequence[int] | None = None,
    groups: tuple[ArrayLike, ArrayLike] | None = None,
    device: str = "auto",
    memory_limit: str | int = "512MB",
    save: str | None = None,
    progress: bool = False,
) -> Scores:
    """Score every training sample by how its loss moves with the validation loss.

    The Pearson correlation of the two loss trajectories: Loss Trajectory Correlation (arXiv
    2503.09721) for ``signal="loss"``, its variant on loss differences (arXiv 2508.20230) for
    ``signal="difference"``.

    Parameters
    ----------
    run : path or Store
        A store written by `Recorder` or `write_store`.
    signal : {"difference", "loss"}
        Correlate consecutive differences of the losses, or the losses.
    reference : {"class-mean", "mean", "class-pairs", "pairs"}
        Compare with the mean validation trajectory of the sample's class, with that of all samples,
        or with each validation sample of the class, or of all, and take the mean of the defined
        correlations.
    checkpoints : slice or sequence of int, optional
        Positions of the checkpoints to use, unique and ascending; all by default.
    groups : tuple of array of int, shapes (N,) and (M,), optional
        Another partition of the training and the validation samples than the class.
    device : str
        Where to compute: ``"cpu"``, or a GPU, ``"cuda"`` or ``"cuda:1"`` and so on, ROCm's too.
        ``"auto"`` is the CPU: scoring is bound by reading.
    memory_limit : str or int
        Bytes beyond inputs and results (12 bytes per sample), such as ``"512MB"``.
    save : str, optional
        Keep the scores in the store under this name.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Scores
        Float32, shape (N,), in -1..1, NaN where undefined.

    Warns
    -----
    UserWarning
        Losses that were recorded are lost; they count as missing, and in ``metadata["lost"]``.

    Raises
    ------
    StoreError
        Not a store, a lost chunk of labels, or a changed chunk.
    ArgumentValueError, ArgumentTypeError
        An argument that doesn't fit the store, or fewer than three signal values.
    BackendUnavailableError
        A device that can't be used.

    Examples
    --------
    >>> import ltc
    >>> train = np.array([[3, 3], [2, 3], [1, 1], [0.5, 2]], dtype=np.float32)
    >>> val = np.array([[3.0], [2.5], [1.0], [0.8]], dtype=np.float32)
    >>> run = directory / "run.zarr"
    >>> ltc.write_store(run, train, val, train_labels=[0, 0], val_labels=[0])
    >>> ltc.score(run).values.round(4)
    array([0.6785, 0.9938], dtype=float32)
    """
    place = choose_device(device, pairs=False)
    store = run if isinstance(run, Store) else open_store(run)
    plan = plan_score(store, signal, reference, checkpoints, groups, parse_memory(memory_limit))
    memory = _memory_for_tiles(plan)
    tiling = plan_tiling(
        store.num_train,
        store.chunk_samples,
        len(plan.rows),
        threads=thread_count() if place == "cpu" and _can_share(plan, memory) else 1,
        memory=memory,
        per_sample=BYTES_PER_SAMPLE,
    )
    prepared = _prepare_means(plan, memory) if _of_means(plan) else _prepare_pairs(plan, memory)
    with tqdm(
        total=store.num_train, desc="score", unit=" samples", unit_scale=True, disable=not progress
    ) as bar:
        if place == "cpu":
            values, found = _score_on_cpu(plan, prepared.kernel, tiling, bar)
        else:
            there = CudaPlace(place)
            values, found = score_on_device(plan, prepared.kernel, there, tiling.width, bar)
    missing = {"train": found, "val": prepared.missing_val}
    lost = warn_of_lost_losses(store, plan.rows, missing)
    metadata = _metadata(plan, values, missing) | {"lost": lost, "device": place}
    scores = Scores(values, plan.labels, store.ids("train"), metadata)
    if save is not None:
        write_scores(store.place, save, values, scores.metadata)
    return scores


@dataclass(frozen=True)
class _Prepared:
    """The kernel for a tile, and how many validation losses are missing."""

    kernel: TileKernel
    missing_val: int


def _score_on_cpu(
    plan: ScorePlan, kernel: TileKernel, tiling: Tiling, bar: Any
) -> tuple[NDArray[np.float32], int]:
    """Scores [N], and how many losses are missing."""
    store = plan.store
    values = np.empty(store.num_train, dtype=np.float32)
    missing = 0
    one_at_a_time = threading.Lock()

    def work(begin: int, losses: NDArray[np.float16], found: int) -> None:
        nonlocal missing
        end = begin + losses.shape[1]
        values[begin:end] = kernel(losses, plan.train_groups(begin, end))
        with one_at_a_time:
            missing += found
            bar.update(end - begin)

    share_tiles(store, plan.rows, tiling, work)
    return values, missing


def _of_means(plan: ScorePlan) -> bool:
    return plan.reference.endswith("mean")


def _memory_for_tiles(plan: ScorePlan) -> int:
    """Bytes that references leave of the limit, for tiles; negative where there are too many."""
    references = BYTES_PER_REFERENCE_VALUE * plan.num_groups * len(plan.rows)
    left = plan.memory - WORKSPACE - references
    # Validation samples that are references themselves share what is left.
    return left if _of_means(plan) else left // 2


def _can_share(plan: ScorePlan, memory: int) -> bool:
    """Whether threads may each work on a tile of their own.

    Not where a narrow tile costs as much to read as a wide one, nor where each tile of training
    samples meets all tiles of the validation split, which are read again.
    """
    whole = _of_means(plan) or pairs_width(len(plan.rows), memory) >= plan.store.num_val
    return whole and plan.store.in_pieces("train")


def _prepare_means(plan: ScorePlan, memory: int) -> _Prepared:
    means, missing = mean_references(
        plan.store, plan.rows, plan.val_groups, plan.num_groups, memory=memory // 2
    )
    references = prepare_references(means, signal=plan.signal)

    def correlate(losses: Any, groups: Any) -> NDArray[np.float32]:
        return to_host(group_correlation(losses, references, groups, signal=plan.signal))

    return _Prepared(correlate, missing)


def _prepare_pairs(plan: ScorePlan, memory: int) -> _Prepared:
    def val_tiles() -> Iterator[PreparedPairs]:
        return pair_references(
            plan.store,
            plan.rows,
            plan.val_groups,
            plan.num_groups,
            signal=plan.signal,
            memory=memory,
        )

    # A validation split that fits is prepared once, a larger one again for every training tile.
    kept: list[PreparedPairs] = []
    missing = 0
    for number, pairs in enumerate(val_tiles()):
        missing += int(pairs.trajectories.size - np.isfinite(pairs.trajectories).sum())
        kept = [pairs] if number == 0 else []

    def mean_of_pairs(losses: Any, groups: Any) -> NDArray[np.float32]:
        sums, counts = np.zeros(len(groups)), np.zeros(len(groups), dtype=np.int64)
        for pairs in kept or val_tiles():
            more, found = pair_sums(losses, pairs, groups)
            sums += to_host(more)
            counts += to_host(found)
        with np.errstate(invalid="ignore"):  # 0 / 0: no defined pair
            return (sums / counts).astype(np.float32)

    return _Prepared(mean_of_pairs, missing)


def _metadata(plan: ScorePlan, values: NDArray[np.float32], missing: dict[str, int]) -> Metadata:
    """How the scores were made, as JSON values."""
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
        "undefined": int(np.isnan(values).sum()),
        "store": store.path,
        "version": _version(),
    }


@cache
def _version() -> str:
    """The package's, which takes a millisecond to find."""
    return version("ltc")
