"""What `report` takes, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from ltc.atomic import checked_suffix
from ltc.demo.errors import MissingExtraError
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.scores import Scores, load_scores
from ltc.scoring import score
from ltc.selection.plan import plan_selection
from ltc.store import Store, open_store
from ltc.store.kinds import claimed_loss
from ltc.store.picking import pick_samples

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

__all__ = ["ClassNames", "Pictures", "ReportPlan", "check_output", "check_report"]

ClassNames: TypeAlias = Sequence[str] | Mapping[int, str]
Pictures: TypeAlias = Callable[[str, int], Any]

SUFFIXES: Final = (".html", ".htm")
MOST_QUERIES: Final = 50
_PACKAGES: Final = ("bokeh", "jinja2", "PIL")


@dataclass(frozen=True, eq=False)
class ReportPlan:
    """The arguments of `report`, checked.

    Attributes
    ----------
    store : Store
        Open for reading.
    output : Path
        The file to write.
    scores : Scores
        Of every training sample.
    queries : int64 array or None
        Validation samples; None where the report chooses some.
    names : mapping of int to str
        Names of classes, by label; a class without one is called by its label.
    pictures : callable or None
        Gives the picture of a sample.
    fraction, cutoff : float
        What is selected.
    loss : str or None
        ``"cross-entropy"`` where the user says so of the losses.
    device, memory_limit : str
        Where neighbours are looked for, and with how much memory the rest is computed.
    progress : bool
        Show progress bars.
    """

    store: Store
    output: Path
    scores: Scores
    queries: NDArray[np.int64] | None
    names: Mapping[int, str]
    pictures: Pictures | None
    fraction: float
    cutoff: float
    loss: str | None
    device: str
    memory_limit: str | int
    progress: bool

    def name(self, label: int) -> str:
        """Return what a class is called; by its label where its name can't be seen."""
        name = self.names.get(label, "")
        return name if name.strip() else str(label)


def check_output(output: str | os.PathLike[str]) -> Path:
    """Check that a report can be made, and that a file of this name can be meant.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        It isn't the name of an HTML file, or its directory doesn't exist.
    MissingExtraError
        A package of the extra ``report`` is not installed.
    """
    path = checked_suffix(output, SUFFIXES)
    if not path.parent.is_dir():
        raise ArgumentValueError(f"output must lie in a directory that exists, got {str(path)!r}")
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"a report needs {' and '.join(missing)}: pip install 'ltc[report]'"
        )
    return path


def check_report(
    run: str | os.PathLike[str] | Store,
    output: str | os.PathLike[str],
    *,
    scores: Scores | str | None,
    queries: slice | ArrayLike | None,
    class_names: ClassNames | None,
    pictures: Pictures | None,
    fraction: float,
    cutoff: float,
    loss: str | None,
    device: str,
    memory_limit: str | int,
    progress: bool,
) -> ReportPlan:
    """Check the arguments of :func:`ltc.report`, which documents them; score the run if need be."""
    path = check_output(output)
    if pictures is not None and not callable(pictures):
        raise ArgumentTypeError(
            f"pictures must be a function of a split and an index, got {type(pictures).__name__}"
        )
    names = _names(class_names)
    claimed_loss(loss)
    store = run if isinstance(run, Store) else open_store(run)
    plan_selection(  # for its checks
        store.num_train, labelled=False, balance=None, fraction=fraction, cutoff=cutoff
    )
    return ReportPlan(
        store=store,
        output=path,
        queries=None if queries is None else _queries(queries, store.num_val),
        scores=_scores(store, scores, memory_limit, progress=progress),
        names=names,
        pictures=pictures,
        fraction=float(fraction),
        cutoff=float(cutoff),
        loss=loss,
        device=device,
        memory_limit=memory_limit,
        progress=progress,
    )


def _scores(
    store: Store, scores: Scores | str | None, memory_limit: str | int, *, progress: bool
) -> Scores:
    if scores is None:
        reference = "class-mean" if store.num_groups is not None else "mean"
        return score(store, reference=reference, memory_limit=memory_limit, progress=progress)
    if isinstance(scores, str):
        return load_scores(store, scores)
    if not isinstance(scores, Scores):
        raise ArgumentTypeError(
            f"scores must be Scores, the name of some kept in the run or None, got "
            f"{type(scores).__name__}"
        )
    if scores.values.size != store.num_train:
        raise ArgumentValueError(
            f"scores must be of the {store.num_train:,} training samples of the run, got "
            f"{scores.values.size:,}"
        )
    if scores.ids is not None and not _are_ids_of(store, scores.ids):
        raise ArgumentValueError("scores must have the ids of the run's training samples, or none")
    return scores


def _are_ids_of(store: Store, ids: NDArray[Any]) -> bool:
    """Whether these are the ids of the training samples; so are all of a run without ids."""
    stored = store.ids("train")
    return stored is None or np.array_equal(stored, ids)


def _queries(queries: slice | ArrayLike, num_val: int) -> NDArray[np.int64]:
    picked = pick_samples(queries, num_val, "queries")
    positions = np.arange(picked.start, picked.stop) if isinstance(picked, slice) else picked
    if positions.size > MOST_QUERIES:
        raise ArgumentValueError(
            f"queries must be at most {MOST_QUERIES} validation samples, got {positions.size:,}"
        )
    if np.unique(positions).size < positions.size:
        raise ArgumentValueError("queries must be different validation samples, got one twice")
    return positions


def _names(class_names: ClassNames | None) -> dict[int, str]:
    if class_names is None:
        return {}
    if isinstance(class_names, str) or not isinstance(class_names, Mapping | Sequence | np.ndarray):
        raise ArgumentTypeError(
            "class_names must be a sequence of names or a mapping of labels to names, got "
            f"{type(class_names).__name__}"
        )
    named = class_names.items() if isinstance(class_names, Mapping) else enumerate(class_names)
    return {int(label): str(name) for label, name in named}
