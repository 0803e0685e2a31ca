"""The pass of `score` on a GPU: the same kernels' meaning, fed by a conveyor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ltc.conveyor import Conveyor
from ltc.devices import on_device
from ltc.tiles import read_tiles
from ltc_kernels import count_missing

if TYPE_CHECKING:
    from ltc.conveyor import Place
    from ltc.score_plan import ScorePlan

__all__ = ["TileKernel", "score_on_device"]

TileKernel: TypeAlias = Callable[[Any, Any], NDArray[np.float32]]
"""Losses (T, n) and groups (n,) on one device to scores (n,) in the host's memory."""


def score_on_device(
    plan: ScorePlan, kernel: TileKernel, place: Place, width: int, bar: Any, samples: slice
) -> tuple[NDArray[np.float32], int]:
    """Scores of a range of samples, and how many of their losses are missing.

    Parameters
    ----------
    plan : ScorePlan
        What is scored.
    kernel : callable
        See `TileKernel`.
    place : Place
        The device.
    width : int
        Samples of a tile.
    bar : tqdm
        Shows the progress.
    samples : slice
        A range of whole chunks.
    """
    first = samples.start
    values = np.empty(samples.stop - first, dtype=np.float32)
    missing = 0

    def work(begin: int, tile: Any) -> None:
        end = begin + tile.shape[1]
        groups = on_device(plan.train_groups(begin, end), str(tile.device), tensor=True)
        values[begin - first : end - first] = kernel(tile, groups)

    conveyor = Conveyor(place, work, len(plan.rows), width)
    tiles = read_tiles(plan.store, plan.rows, width, allocate=place.host_rows, samples=samples)
    for begin, losses in tiles:
        conveyor.take(begin, losses)
        missing += count_missing(losses)
        bar.update(losses.shape[1])
    conveyor.finish()
    return values, missing
