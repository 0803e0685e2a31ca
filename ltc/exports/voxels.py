"""Fields and tags of samples in FiftyOne, through the part of its API that all its versions have.

Values of a collection come and go as lists in its order: ``values(field)`` and ``set_values(field,
list)``. FiftyOne itself is not imported: the caller has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.errors import ArgumentValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def set_scores(
    samples: Any, ids: NDArray[Any] | None, values: NDArray[np.float32], field: str, key: str
) -> int:
    """Set a field to the scores; see :meth:`ltc.Scores.to_fiftyone`."""
    # Python's own floats, which a database takes; None is a sample without a value.
    floats = [None if np.isnan(value) else float(value) for value in values]
    scores = dict(zip(_ids(ids), floats, strict=True))
    keys = _keys(samples, key, scores)
    found = [scores.get(each) for each in keys]
    if all(value is None for value in found):
        raise ArgumentValueError("scores must be defined for at least one of the samples")
    samples.set_values(field, found)
    return sum(each in scores for each in keys)


def set_tag(samples: Any, ids: NDArray[Any] | None, tag: str, key: str) -> int:
    """Tag the samples of a coreset, and only these; see :meth:`ltc.Coreset.to_fiftyone`."""
    chosen = dict.fromkeys(_ids(ids))
    keys = _keys(samples, key, chosen)
    others = [[each for each in tags or [] if each != tag] for tags in samples.values("tags")]
    samples.set_values(
        "tags",
        [[*tags, tag] if each in chosen else tags for tags, each in zip(others, keys, strict=True)],
    )
    return sum(each in chosen for each in keys)


def _ids(ids: NDArray[Any] | None) -> list[Any]:
    if ids is None:
        raise ArgumentValueError("ids must be recorded to find the samples, got none")
    found: list[Any] = ids.tolist()
    return found


def _keys(samples: Any, key: str, ids: dict[Any, Any]) -> list[Any]:
    keys: list[Any] = samples.values(key)
    if ids and not any(each in ids for each in keys):
        raise ArgumentValueError(
            f"key must name a field that holds the ids of the run, such as {next(iter(ids))!r}, "
            f"got {key!r}, which holds {'none' if not keys else repr(keys[0])}"
        )
    return keys
