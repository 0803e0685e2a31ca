"""`difficulty`: other papers' scores from the same losses, all in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from tqdm.auto import tqdm

from ltc.difficulty_pass import finish, score_samples
from ltc.difficulty_plan import plan_difficulty
from ltc.errors import ArgumentTypeError
from ltc.store import Store, open_store
from ltc.store.scores import write_scores
from ltc.tiles import parse_memory

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from distributed import Client

    from ltc.difficulty_plan import DifficultyPlan, Kind
    from ltc.scores import Scores


@overload
def difficulty(
    run: str | os.PathLike[str] | Store,
    kind: Kind,
    *,
    checkpoints: slice | Sequence[int] | None = None,
    window: int = 10,
    classes: int | None = None,
    loss: str | None = None,
    memory_limit: str | int = "512MB",
    save: str | None = None,
    progress: bool = False,
    client: Client | None = None,
) -> Scores: ...


@overload
def difficulty(
    run: str | os.PathLike[str] | Store,
    kind: list[Kind] | tuple[Kind, ...],
    *,
    checkpoints: slice | Sequence[int] | None = None,
    window: int = 10,
    classes: int | None = None,
    loss: str | None = None,
    memory_limit: str | int = "512MB",
    save: str | None = None,
    progress: bool = False,
    client: Client | None = None,
) -> dict[str, Scores]: ...


def difficulty(
    run: str | os.PathLike[str] | Store,
    kind: Kind | list[Kind] | tuple[Kind, ...],
    *,
    checkpoints: slice | Sequence[int] | None = None,
    window: int = 10,
    classes: int | None = None,
    loss: str | None = None,
    memory_limit: str | int = "512MB",
    save: str | None = None,
    progress: bool = False,
    client: Client | None = None,
) -> Scores | dict[str, Scores]:
    """Score every training sample by how hard it was to learn, as other papers do.

    Each kind is made of one sample's own losses x over T checkpoints; the validation split plays no
    part. For hard-label cross-entropy p = exp(-x) is the probability of the label.

    - ``"cumulative-loss"``: the sum of x. CSL (Ravikumar et al., "Towards Memorization Estimation:
      Fast, Formal and Free", ICML 2025). High is hard, and mislabelled.
    - ``"mean-loss"``: that sum over T. ``"final-loss"``: the last x. High is hard.
    - ``"confidence"``: mean of p, ``"variability"``: its population standard deviation,
      sqrt(sum (p - mean)^2 / T). Dataset Cartography (arXiv 2009.10795, section 2). Low confidence
      is hard; high variability is ambiguous, low variability easy or hopeless.
    - ``"dyn-unc"``: the mean, over all windows of J consecutive checkpoints, of
      s = sqrt(sum (p - m)^2 / (J - 1)), m being the window's mean of p. Dyn-Unc (arXiv 2306.05175).
      High is uncertain, low easy or hopeless.
    - ``"dual"``: the mean over these windows of s (1 - m). DUAL (arXiv 2502.06905). High is hard
      and uncertain, low easy or hopeless.
    - ``"forgetting-least"``, ``"forgetting-most"``: bounds of the number of times that a right
      prediction is followed by a wrong one (Toneva et al., arXiv 1812.05159). High is hard.

    A ranking has high values first, whatever the kind, and ``"top"`` of `Scores.select` takes them.

    The authors of Dyn-Unc and of DUAL take J = 10, which is the default, and multiply by ten in
    their scripts; that of Dyn-Unc leaves out the last window. Here are T - J + 1 windows.

    Losses don't tell predictions, but bound them: a sample is right for certain where x < ln 2, as
    no other class can have as much, and wrong for certain where x > ln C, as some class must have
    more; between, it may be either. What is counted lies between both bounds, whichever way the
    open ones are settled, and reaches both. A sample that is never right has never been learned:
    the authors put it behind all others, their script by counting T events, and so do both bounds.
    A stored loss is rounded to float16; one that may have been below ln C is open.

    What is missing is left out of a trajectory, and each value is of the checkpoints that remain;
    neighbours among these are consecutive. ``"cumulative-loss"`` is T times their mean, so that a
    missing loss doesn't count as 0. Undefined are samples without any loss, with fewer than 2 for
    variability and forgetting, and with fewer than J for windows.

    The papers' trajectories begin after the first epoch. A checkpoint recorded before training is
    used like any other here: leave it out with ``checkpoints=slice(1, None)`` to compare with
    theirs.

    It is computed on the CPU; there is no form for a GPU.

    Parameters
    ----------
    run : path or Store
        A store written by `Recorder` or `write_store`.
    kind : str or sequence of str
        One of those above, or several: they are computed in one pass over the store.
    checkpoints : slice or sequence of int, optional
        Positions of the checkpoints to use, unique and ascending; all by default. Those at which no
        training sample was observed are left out.
    window : int
        Checkpoints in a window, for ``"dyn-unc"`` and ``"dual"``; at least 2.
    classes : int, optional
        Number C of the model's classes, for forgetting; by default that of the labels.
    loss : {None, "cross-entropy"}
        All kinds but the first three need hard-label cross-entropy. The store knows it of losses
        recorded from logits; ``"cross-entropy"`` says that all others are it too. Of labels that
        are smoothed or mixed, and of sums or means over tokens, exp(-loss) is no probability of the
        label: record ``logits=`` then, whatever the loss that is trained with.
    memory_limit : str or int
        Bytes beyond inputs and results (8 bytes per sample, and 4 for each kind).
    save : str, optional
        Keep the scores in the store under this name; of several kinds, each as ``NAME-KIND``.
    progress : bool
        Show a progress bar.
    client : distributed.Client, optional
        Let the workers of a Dask cluster do it; scores are the same bits. The store must be a path
        or an address that all of them reach. With `save` they write the scores, and what an earlier
        call with the same arguments has left undone is all that is done.

    Returns
    -------
    Scores, or dict of str to Scores
        Float32, shape (N,), NaN where undefined; by kind where several were asked for.

    Warns
    -----
    UserWarning
        Losses that were recorded are lost; they count as missing, and in ``metadata["lost"]``.

    Raises
    ------
    StoreError
        Not a store, a lost chunk of labels, or a changed chunk.
    ArgumentValueError, ArgumentTypeError
        An argument that doesn't fit the store, too few checkpoints, or losses that a kind can't be
        made of: not known to be cross-entropy, or negative.
    DistributedError
        The cluster is gone, or its workers died of a task.

    Examples
    --------
    >>> import ltc
    >>> p = np.array([[0.1, 0.2], [0.5, 0.3], [0.9, 0.1]])
    >>> run = directory / "run.zarr"
    >>> ltc.write_store(run, -np.log(p), -np.log(p), loss="cross-entropy")
    >>> difficulty(run, "mean-loss").values.round(3)
    array([1.034, 1.705], dtype=float32)
    >>> found = difficulty(run, ["confidence", "dual"], window=2)
    >>> found["confidence"].values.round(3), found["dual"].values.round(3)
    (array([0.5, 0.2], dtype=float32), array([0.141, 0.083], dtype=float32))
    """
    if not isinstance(kind, str | list | tuple):
        raise ArgumentTypeError(f"kind must be a string or a list of them, got {kind!r}")
    store = run if isinstance(run, Store) else open_store(run)
    kinds = (kind,) if isinstance(kind, str) else kind
    memory = parse_memory(memory_limit)
    plan = plan_difficulty(store, kinds, checkpoints, window, classes, loss, memory)
    names = None
    if save is not None:
        names = {each: save if isinstance(kind, str) else f"{save}-{each}" for each in plan.kinds}
    if client is None:
        found = _on_this_machine(plan, names, progress=progress)
    else:
        from ltc.distributed.difficulty import difficulty_on_cluster

        found = difficulty_on_cluster(plan, client, names, progress=progress)
    return found[kind] if isinstance(kind, str) else found


def _on_this_machine(
    plan: DifficultyPlan, names: dict[str, str] | None, *, progress: bool
) -> dict[str, Scores]:
    """Score all samples by each kind, and keep the scores under these names."""
    store = plan.store
    with tqdm(
        total=store.num_train,
        desc="difficulty",
        unit=" samples",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        values, missing = score_samples(plan, bar)
    found = finish(plan, values, missing, stacklevel=5)
    for kind, name in (names or {}).items():
        write_scores(store.place, name, found[kind].values, found[kind].metadata)
    return found
