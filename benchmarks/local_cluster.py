"""Dask clusters on this machine, to be measured."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from distributed import Client, LocalCluster

from benchmarks import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = "1GB"  # of a worker


@contextlib.contextmanager
def started(workers: int) -> Iterator[Client]:
    """Run a cluster of processes with a thread and limited memory each; a client of it."""
    with warnings.catch_warnings():
        # Of a port for the dashboard, which nobody looks at.
        warnings.filterwarnings("ignore", "Port .* is already in use", UserWarning)
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=MEMORY,
                dashboard_address=":0",
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def begin_peak() -> float:
    """Forget the peak of this process's memory, as Linux lets it; the bytes resident now."""
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5")
    return 1e6 * machine.peak_memory()
