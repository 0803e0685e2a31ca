"""Scores that lie in a store, and are read from there when somebody asks for them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from ltc.scores import Scores
from ltc.tables import facts_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ltc.store import Store

__all__ = ["StoredScores"]


class StoredScores(Scores):
    """Scores kept in a store; `values`, `labels` and `ids` are read when first asked for.

    What `ltc.score` returns where workers of a cluster have written them: as long as only
    `metadata` and `summary` are of interest, nothing of the size of the data set is in memory.

    Attributes
    ----------
    name : str
        Of the scores in the store.
    """

    name: str

    def __init__(self, store: Store, name: str, metadata: dict[str, Any]) -> None:
        object.__setattr__(self, "_store", store)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "metadata", metadata)

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """The scores, float32 [N]."""
        return self._store.read_scores(self.name)[0]  # type: ignore[attr-defined, no-any-return]

    @cached_property
    def labels(self) -> NDArray[np.int32] | None:
        """The classes, int32 [N]; None of scores with ``groups=``, which the store doesn't keep."""
        if self.metadata.get("groups") == "given":
            return None
        return self._store.labels("train")  # type: ignore[attr-defined, no-any-return]

    @cached_property
    def ids(self) -> NDArray[Any] | None:
        """The ids that the run was recorded with, if it was."""
        return self._store.ids("train")  # type: ignore[attr-defined, no-any-return]

    def __repr__(self) -> str:
        """Say where they are."""
        return f"StoredScores(store={self._store.path!r}, name={self.name!r})"  # type: ignore[attr-defined]

    def summary(self) -> str:
        """Return how the scores were made, as text; their spread would need all of them."""
        return facts_table(self._store.num_train, self.metadata)  # type: ignore[attr-defined]
