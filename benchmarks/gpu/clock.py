"""Time on a device: events on its stream, with nothing left in its cache from the call before."""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from benchmarks.timing import Timing

Calls = Mapping[str, Callable[[], object]]


class Clock(Protocol):
    """Whatever times calls; a test may hand in another than the device's."""

    def measure(self, calls: Calls, *, rounds: int) -> dict[str, Timing]:
        """Time each call so many times, in turns, after calls that aren't counted."""


class DeviceClock:
    """CUDA's or HIP's events.

    Parameters
    ----------
    device : torch.device
        Which GPU.
    warm_up : int
        Calls of each that aren't counted; the first compiles.
    """

    def __init__(self, device: torch.device, warm_up: int = 3) -> None:
        self._device, self._warm_up = device, warm_up
        cache = torch.cuda.get_device_properties(device).L2_cache_size
        # As AMD's second-level caches are one per die, and a third level follows: 512 MB at least.
        self._flush = torch.empty(max(4 * cache, 2**29), dtype=torch.uint8, device=device)

    def measure(self, calls: Calls, *, rounds: int) -> dict[str, Timing]:
        """Time each call so many times, in turns, each after writing over the cache."""
        for call in calls.values():
            for _ in range(self._warm_up):
                call()
        spans: dict[str, list[tuple[torch.cuda.Event, torch.cuda.Event]]] = {
            name: [] for name in calls
        }
        with torch.cuda.device(self._device):
            for _ in range(rounds):
                for name, call in calls.items():
                    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                    self._flush.zero_()
                    begin.record()
                    call()
                    end.record()
                    spans[name].append((begin, end))
            torch.cuda.synchronize(self._device)
        return {
            name: Timing(tuple(begin.elapsed_time(end) / 1e3 for begin, end in pairs))
            for name, pairs in spans.items()
        }
