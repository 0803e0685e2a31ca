"""What the page's script is given: to show a class, and to find a sample.

As much as fits: first the scores of all samples, then the losses of some of them, the classes and
ids of all. What was left out, the page says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ltc.reporting.classes import EDGES
from ltc.reporting.contents import Queries
from ltc.reporting.packing import Budget, packed_scores
from ltc.reporting.palette import COLOURS, DENSITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ltc.reporting.contents import Contents

__all__ = ["Lookup", "pack_lookup"]


@dataclass(frozen=True)
class Lookup:
    """What the page holds for its script.

    Attributes
    ----------
    data : dict
        JSON values.
    said : str
        What can be looked up, as a sentence.
    """

    data: dict[str, Any]
    said: str


def pack_lookup(contents: Contents, size: int) -> Lookup:
    """Pack what fits into so many bytes.

    Parameters
    ----------
    contents : Contents
        All that there is.
    size : int
        Bytes.
    """
    plan, classes, budget = contents.plan, contents.classes, Budget(size)
    names = [plan.name(label) for label in classes.labels.tolist()]
    labelled = plan.scores.labels is not None
    data: dict[str, Any] = {
        "dark": dict(COLOURS.values()),
        "density": DENSITY,
        "cells": None,
        "count": plan.store.num_train,
        "checkpoints": plan.store.checkpoints.tolist(),
        "edges": EDGES.tolist(),
        "strategies": len(contents.taken),
        "names": names if labelled else [],
        "classes": budget.pack(_class_figures(contents)) if labelled else None,
        "histograms": budget.pack(_histograms(contents)) if labelled else None,
        "scores": budget.pack(packed_scores(plan.scores.values)),
    }
    ids = contents.ids["train"]
    courses = _courses(contents)
    data["courses"] = {
        "samples": budget.pack(courses[0].astype(np.uint32)),
        "losses": budget.pack(courses[1].view(np.uint16)),
    }
    narrow = _narrow(classes.codes)
    data["codes"] = budget.pack(narrow) if labelled else None
    data["codeBytes"] = narrow.itemsize
    data["ids"] = None if ids is None else budget.pack_strings(ids)
    if contents.cells is not None and labelled:
        numbers = _narrow(contents.cells.by_class(classes.codes, classes.number))
        data |= {"cells": budget.pack(numbers), "cellBytes": numbers.itemsize}
    data["someIds"] = None
    if ids is not None and data["ids"] is None:
        data["someIds"] = budget.pack_strings(ids[courses[0]])
    return Lookup(data, _said(contents, data, courses[0].size))


def _said(contents: Contents, data: dict[str, Any], num_courses: int) -> str:
    count = contents.plan.store.num_train
    parts = []
    if data["scores"] is not None:
        known = ["score"] + (["class"] if data["codes"] is not None else [])
        parts.append(f"the {' and '.join(known)} of every training sample by its index")
    if contents.ids["train"] is not None:
        if data["ids"] is not None:
            parts.append("or by its id")
        elif data["someIds"] is not None:
            parts.append(f"or, for {num_courses:,} samples, by id")
    if data["courses"]["losses"] is not None:
        which = "all" if num_courses == count else f"{num_courses:,}"
        parts.append(f"and the losses of {which} of them")
    return f"This file holds {' '.join(parts)}." if parts else ""


def _class_figures(contents: Contents) -> NDArray[np.float32]:
    """Size, undefined, mean, the quantiles and the place among the others of each class, [9, C]."""
    classes = contents.classes
    place = np.empty(classes.number)
    place[classes.order] = np.arange(classes.number)
    rows = (classes.sizes, classes.undefined, classes.mean, *classes.quantiles.T, place)
    return np.stack([row.astype(np.float32) for row in rows])


def _histograms(contents: Contents) -> NDArray[Any]:
    """Samples by class and score, of all and of what each strategy takes, [1 + S, C, bins]."""
    parts = (contents.classes.histogram, *(each.histogram for each in contents.taken))
    return np.stack(parts).astype(np.uint32)


def _courses(contents: Contents) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Training samples, ascending, and their losses [n, T]."""
    parts = [contents.courses]
    if isinstance(contents.queries, Queries):
        parts.append(contents.queries.train)
    samples, first = np.unique(np.concatenate([part.samples for part in parts]), return_index=True)
    losses = np.concatenate([part.losses for part in parts], axis=1)[:, first]
    return samples, np.ascontiguousarray(losses.T)


def _narrow(numbers: NDArray[np.integer]) -> NDArray[Any]:
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
