"""`score`: one pass over the store, in tiles that threads read and work on by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from ltc.devices import choose_device
from ltc.lost_losses import warn_of_lost_losses
from ltc.score_pass import check_memory, prepare_scoring, score_metadata, score_samples
from ltc.score_plan import plan_score
from ltc.scores import Scores
from ltc.store import Store, open_store
from ltc.store.scores import write_scores
from ltc.tiles import parse_memory

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from distributed import Client
    from numpy.typing import ArrayLike


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
    client: Client | None = None,
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
    client : distributed.Client, optional
        Share the work out among the workers of a Dask cluster, who all reach the store; see
        `ltc.distributed`. The scores are the same bits.

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
    if client is not None:
        from ltc.distributed.scoring import score_on_cluster

        return score_on_cluster(
            run,
            client,
            signal=signal,
            reference=reference,
            checkpoints=checkpoints,
            groups=groups,
            device=device,
            memory_limit=memory_limit,
            save=save,
            progress=progress,
        )
    place = choose_device(device, pairs=False)
    store = run if isinstance(run, Store) else open_store(run)
    plan = plan_score(store, signal, reference, checkpoints, groups, parse_memory(memory_limit))
    check_memory(plan)
    prepared = prepare_scoring(plan)
    with tqdm(
        total=store.num_train, desc="score", unit=" samples", unit_scale=True, disable=not progress
    ) as bar:
        values, found = score_samples(plan, prepared, place, bar)
    missing = {"train": found, "val": prepared.missing_val}
    lost = warn_of_lost_losses(store, plan.rows, missing)
    metadata = score_metadata(plan, int(np.isnan(values).sum()), missing)
    metadata |= {"lost": lost, "device": place}
    scores = Scores(values, plan.labels, store.ids("train"), metadata)
    if save is not None:
        write_scores(store.place, save, values, scores.metadata)
    return scores
