"""Scores of training samples: their order, their selection, and files that hold them."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ltc.atomic import checked_suffix
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.exports.scores import ScoresExports
from ltc.exports.tables import save_parquet
from ltc.score_files import SUFFIXES, read_scores, write_npz
from ltc.selection import Coreset
from ltc.selection.picks import select
from ltc.selection.plan import EXPONENT, Balance, Strategy, plan_selection
from ltc.selection.ranking import best_first, stable_order
from ltc.store import Store, open_store
from ltc.tables import scores_table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class StaleScoresWarning(UserWarning):
    """Saved scores were made from other checkpoints than the store has now."""


@dataclass(frozen=True, eq=False)
class Scores(ScoresExports):
    """One score per training sample; :func:`ltc.score` and :func:`ltc.difficulty` make them.

    Attributes
    ----------
    values : float32 [N]
        Pearson correlations, in -1..1, or what the kind of difficulty says; NaN where undefined.
    labels : int32 [N] or None
        The class of each sample, or the group that it was scored with; None in a run without
        labels.
    ids : int64 or str [N], or None
        The ids that the run was recorded with, if it was.
    metadata : dict
        How the scores were made, as JSON values: ``signal`` and ``reference``, or ``kind``,
        ``checkpoints`` (those used), ``left_out``, ``committed`` (how many there were), ``modes``,
        ``undefined`` and more.

    Raises
    ------
    ArgumentTypeError
        An array has another dtype.
    ArgumentValueError
        An array has another shape, a value is infinite, or a label negative.

    Examples
    --------
    >>> import ltc
    >>> scores = ltc.Scores(np.array([0.2, np.nan, 0.7], np.float32), np.array([1, 0, 1], np.int32))
    >>> scores.undefined
    array([False,  True, False])
    >>> scores.ranking()
    {0: array([1]), 1: array([2, 0])}
    >>> scores.ranking(by=None)
    array([2, 0, 1])
    """

    values: NDArray[np.float32]
    labels: NDArray[np.int32] | None = None
    ids: NDArray[Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what the arrays have in common, and what selection relies on."""
        _check_array("values", self.values, np.shape(self.values)[:1], "float32")
        if np.isinf(self.values).any():
            raise ArgumentValueError("values must be finite, or NaN where undefined, got inf")
        if self.labels is not None:
            _check_array("labels", self.labels, self.values.shape, "int32")
            if self.labels.min(initial=0) < 0:
                raise ArgumentValueError(f"labels must be at least 0, got {self.labels.min()}")
        if self.ids is not None:
            _check_array("ids", self.ids, self.values.shape, None)

    @property
    def undefined(self) -> NDArray[np.bool_]:
        """Whether each score is undefined, bool [N]."""
        return np.isnan(self.values)

    @overload
    def ranking(self, by: Literal["class"] = "class") -> dict[int, NDArray[np.int64]]: ...

    @overload
    def ranking(self, by: None) -> NDArray[np.int64]: ...

    def ranking(
        self, by: Literal["class"] | None = "class"
    ) -> dict[int, NDArray[np.int64]] | NDArray[np.int64]:
        """Return sample indices, best first; ties in the order of the indices, undefined ones last.

        Parameters
        ----------
        by : {"class", None}
            One ranking for each class that has samples, or one of all samples.

        Returns
        -------
        dict of int to int64 arrays, or int64 [N]
            Classes in ascending order.

        Raises
        ------
        ArgumentValueError
            Another `by`, or ``"class"`` where there are no labels.
        """
        order = best_first(self.values)
        if by is None:
            return order
        if by != "class":
            raise ArgumentValueError(f"by must be 'class' or None, got {by!r}")
        if self.labels is None:
            raise ArgumentValueError("by must be None for scores without labels, got 'class'")
        order = order[stable_order(self.labels[order].view(np.uint32))]
        classes = self.labels[order]
        starts = np.flatnonzero(np.diff(classes, prepend=-1))
        return dict(zip(classes[starts].tolist(), np.split(order, starts[1:]), strict=False))

    def select(
        self,
        *,
        fraction: float | None = None,
        k: int | None = None,
        balance: Balance = "class",
        strategy: Strategy = "top",
        cutoff: float = 0.0,
        seed: int = 0,
        exclude: ArrayLike | None = None,
        clusters: ArrayLike | None = None,
        confidence: Scores | ArrayLike | None = None,
        exponent: float = EXPONENT,
        fading: float = 0.0,
        times: Scores | ArrayLike | None = None,
    ) -> Coreset:
        """Select a coreset of exactly the size that is asked for.

        Parameters
        ----------
        fraction : float, optional
            Size as a share of the samples that are not excluded, in 0..1, rounded to the nearest
            integer and from a half up. Either this or `k` is given.
        k : int, optional
            Size in samples.
        balance : {"class", "equal", None}
            ``"class"``: shares proportional to the sizes of the classes, by largest remainder.
            ``"equal"``: the same number from each class. None: one ranking, whatever the classes.
        strategy : {"top", "stratified", "random", "coverage", "beta"}
            What is taken from what the cutoff leaves. ``"top"``: the highest scores.
            ``"stratified"``: an equal number, drawn at random, from each of 50 strata that divide
            the range of the class's scores into equal widths; what small strata lack comes from
            larger ones (Coverage-centric Coreset Selection, ICLR 2023). ``"random"``: any, whatever
            their scores. ``"coverage"``: an equal number, drawn at random, from each of the class's
            `clusters`; what small ones lack comes from larger ones (S2L, arXiv 2403.07384).
            ``"beta"``: drawn with a chance proportional to the score times a Beta density of
            `confidence` that moves to easier samples the smaller the coreset is (DUAL, arXiv
            2502.06905); those with scores of at most 0 come last. Of
            DUAL's scores, with `times` those of LTC and a `fading` of 10, it is what to take: it
            came out above ``"random"`` at every size from 1 to 20 %, in the mean, on digits with
            matched iterations and on Fashion-MNIST with matched epochs, with right and with wrong
            labels (``python -m benchmarks.paper.strategies``).
        cutoff : float
            Share of each class's defined scores, in 0..1, rounded down, that is set aside, the
            lowest first. It keeps out what is likely to be mislabelled. It goes by class for every
            `balance`, by all samples only where there are no labels.
        seed : int
            For all strategies but ``"top"``; the same seed gives the same samples.
        exclude : array of int, optional
            Indices of samples that are not to be selected, in any order.
        clusters : array of int, shape (N,), optional
            The cluster of each sample, for ``"coverage"`` and only there: ``ltc.clusters(run)``
            gives them, or any other way to tell kinds of samples apart.
        confidence : Scores or array of float, shape (N,), optional
            The mean probability of each sample's label over the checkpoints, in 0..1, for
            ``"beta"`` and only there: ``ltc.difficulty(run, "confidence")``. A sample without one,
            NaN, counts as one without a score.
        exponent : float
            For ``"beta"``, at least 1: the larger, the later the density leaves samples of middling
            difficulty for easy ones as the coreset becomes smaller. Its authors take 4 for
            CIFAR-100.
        fading : float
            For ``"beta"``, at least 0: the score counts to the power of ``n / (n + fading)``, where
            n samples of a class are selected on average, so the less beside the confidence the
            fewer they are. 0: always in full, as DUAL's authors have it.
        times : Scores or array of float, shape (N,), optional
            For ``"beta"`` and only there: other scores, by which these are multiplied. The product
            is 0 where one of the two is not above 0.

        Returns
        -------
        Coreset
            What a class can't fill of its share comes from the other classes, then from samples set
            aside by the cutoff, best first, then from undefined ones.

        Raises
        ------
        ArgumentValueError
            Both or none of `fraction` and `k`, more than there are, or a value that its rule
            forbids.
        ArgumentTypeError
            A type or dtype that its rule forbids.
        ArgumentIndexError
            `exclude` has an index outside 0..N-1.

        Examples
        --------
        >>> import ltc
        >>> values = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.1], np.float32)
        >>> scores = ltc.Scores(values, np.array([0, 0, 0, 0, 1, 1], np.int32))
        >>> scores.select(fraction=0.5).indices
        array([0, 1, 4])
        >>> scores.select(k=3, balance=None).indices
        array([0, 1, 2])
        >>> scores.select(k=4, balance="equal", exclude=[0]).indices
        array([1, 2, 4, 5])
        """
        plan = plan_selection(
            self.values.size,
            labelled=self.labels is not None,
            fraction=fraction,
            k=k,
            balance=balance,
            strategy=strategy,
            cutoff=cutoff,
            seed=seed,
            exclude=exclude,
            clusters=clusters,
            confidence=confidence.values if isinstance(confidence, Scores) else confidence,
            exponent=exponent,
            fading=fading,
            times=times.values if isinstance(times, Scores) else times,
        )
        indices = select(self.values, self.labels, plan)
        return Coreset(
            indices=indices,
            ids=None if self.ids is None else self.ids[indices],
            labels=None if self.labels is None else self.labels[indices],
            scores=self.values[indices],
            num_samples=self.values.size,
        )

    def summary(self) -> str:
        """Return a text for reading: how the scores were made, their spread, and by class."""
        return scores_table(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the scores to a file; what is there is replaced, never by half a file.

        Parameters
        ----------
        path : path
            The suffix says what is written. ``.npz``: ``values``, ``metadata`` (a JSON string) and,
            where there are any, ``labels`` and ``ids`` (int64, or unicode of fixed width); it has
            no pickles. ``.parquet``: the table of :meth:`to_arrow`.

        Raises
        ------
        ArgumentValueError
            Another suffix.
        MissingExtraError
            pyarrow, which writes ``.parquet``, is not installed.
        OSError
            The file can't be written.
        """
        path = checked_suffix(path, SUFFIXES)
        if path.suffix.lower() == ".parquet":
            save_parquet(path, self.to_arrow())
        else:
            write_npz(path, self.values, self.labels, self.ids, self.metadata)


def load_scores(path: str | os.PathLike[str] | Store, name: str | None = None) -> Scores:
    """Read scores that were saved, from a file or from a store.

    Parameters
    ----------
    path : path or Store
        An ``.npz`` or ``.parquet`` file that :meth:`Scores.save` wrote, or a store.
    name : str, optional
        The name given to ``ltc.score(..., save=name)``; for a store only, and then it is needed.

    Returns
    -------
    Scores
        Those from a store have its labels and ids; labels are None if they were scored with
        ``groups=``, because the store doesn't keep these.

    Warns
    -----
    StaleScoresWarning
        The store has other checkpoints than the scores were made from.

    Raises
    ------
    ArgumentValueError
        `name` is missing or not wanted, or the file isn't one of scores.
    StoreError
        There is no store, no scores of that name in it, or they can't be read.
    OSError
        The file can't be read.

    Examples
    --------
    >>> import ltc, tempfile
    >>> scores = ltc.Scores(np.array([0.25, np.nan], np.float32), metadata={"signal": "loss"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scores.save(folder + "/scores.npz")
    ...     found = ltc.load_scores(folder + "/scores.npz")
    >>> found.values, found.metadata
    (array([0.25,  nan], dtype=float32), {'signal': 'loss'})
    """
    if isinstance(path, str | os.PathLike) and Path(path).suffix.lower() in SUFFIXES:
        if name is not None:
            raise ArgumentValueError(f"name must be None for a file of scores, got {name!r}")
        return Scores(*read_scores(Path(path)))
    store = path if isinstance(path, Store) else open_store(path)
    if name is None:
        raise ArgumentValueError(
            "name must be given to load scores from a store, which has "
            f"{', '.join(map(repr, store.score_names())) or 'none'}"
        )
    values, metadata = store.read_scores(name)
    warn_if_stale(name, metadata, store)
    labels = None if metadata.get("groups") == "given" else store.labels("train")
    return Scores(values, labels, store.ids("train"), metadata)


def warn_if_stale(name: str, metadata: dict[str, Any], store: Store) -> None:
    """Warn whoever called the caller if scores were made from other checkpoints than there are."""
    made_from = metadata.get("committed")
    if made_from != store.committed:
        reason = (
            f"were made from {made_from} committed checkpoints, the store has {store.committed}"
        )
    elif metadata.get("revision", store.revision) != store.revision:
        reason = "were made before the store was rewound or made anew"
    else:
        return
    warnings.warn(f"scores {name!r} {reason}: score again", StaleScoresWarning, stacklevel=3)


def _check_array(name: str, array: Any, shape: tuple[int, ...], dtype: str | None) -> None:
    if not isinstance(array, np.ndarray) or (dtype is not None and array.dtype != dtype):
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise ArgumentTypeError(f"{name} must be a NumPy array of {dtype or 'ids'}, got {kind}")
    if array.shape != shape or array.ndim != 1:
        raise ArgumentValueError(
            f"{name} must have one entry per sample, shape {shape}, got shape {array.shape}"
        )
