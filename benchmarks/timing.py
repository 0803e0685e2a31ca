"""Timings that can be compared: everything in one run, in turns."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Seconds of one thing, measured several times."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median, seconds."""
        return float(np.median(self.seconds))

    def quantile(self, share: float) -> float:
        """Quantile, seconds."""
        return float(np.quantile(self.seconds, share))

    def __str__(self) -> str:
        """Median and 20th to 80th percentile in milliseconds."""
        low, high = 1e3 * self.quantile(0.2), 1e3 * self.quantile(0.8)
        return f"{1e3 * self.median:.4g} ms ({low:.4g} to {high:.4g})"


def measure(
    functions: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    seldom: Mapping[str, int] | None = None,
) -> dict[str, Timing]:
    """Time each function ``rounds`` times, in turns, after one call that isn't counted.

    Parameters
    ----------
    functions : mapping of str to callable
        What to time. A slow phase of the machine meets all of them.
    rounds : int
        Times each is counted.
    seldom : mapping of str to int, optional
        Fewer rounds for some, because they take long.
    """
    wanted = {name: min((seldom or {}).get(name, rounds), rounds) for name in functions}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    gc.disable()
    try:
        for turn in range(rounds):
            for name, function in functions.items():
                if turn < wanted[name]:
                    begin = time.perf_counter()
                    function()
                    seconds[name].append(time.perf_counter() - begin)
    finally:
        gc.enable()
    return {name: Timing(tuple(values)) for name, values in seconds.items()}
