"""``--scheduler`` and ``--workers``: the cluster that a command gives its work to."""

from __future__ import annotations

import contextlib
import logging
import signal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import typer

from ltc.errors import ArgumentValueError, BackendUnavailableError, DistributedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cluster_client"]

TIMEOUT: Final = 20  # seconds for a scheduler to answer


@contextlib.contextmanager
def cluster_client(
    scheduler: str | None, workers: int | None, device: str = "cpu"
) -> Iterator[Any | None]:
    """Connect to a cluster, or start one for this block; None where neither is asked for.

    Parameters
    ----------
    scheduler : str, optional
        Address of a scheduler.
    workers : int, optional
        Processes to start here.
    device : str
        Where they are to compute: on GPUs, each of them has one.

    Raises
    ------
    ArgumentValueError
        Both are asked for.
    BackendUnavailableError
        Dask isn't installed.
    DistributedError
        No scheduler answers.
    """
    if scheduler is None and workers is None:
        yield None
        return
    if scheduler is not None and workers is not None:
        raise ArgumentValueError(
            f"--scheduler and --workers exclude each other, got {scheduler!r} and {workers}"
        )
    if find_spec("distributed") is None:
        raise BackendUnavailableError(
            "--scheduler and --workers need the package distributed: pip install 'ltc[cluster]'"
        )
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(
            _started(workers, device) if workers is not None else _connected(str(scheduler))
        )
        typer.echo(f"ltc: the cluster's dashboard: {client.dashboard_link}", err=True)
        yield client


@contextlib.contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    from distributed import Client

    _be_silent()
    try:
        client = Client(scheduler, timeout=TIMEOUT)
    except (OSError, TimeoutError, ValueError) as error:
        raise DistributedError(
            f"--scheduler must be the address of a Dask scheduler that answers, got {scheduler!r}: "
            f"{str(error) or type(error).__name__}"
        ) from error
    with client:
        yield client


@contextlib.contextmanager
def _started(workers: int, device: str) -> Iterator[Any]:
    from distributed import Client

    _be_silent()
    with make_cluster(workers, device) as cluster, Client(cluster) as client:
        client.register_plugin(_deaf_to_interrupts())
        yield client


def _deaf_to_interrupts() -> Any:
    """Return what lets workers not hear of Ctrl-C, which a terminal sends to all processes.

    This one ends them.
    """
    from distributed import WorkerPlugin

    class Deaf(WorkerPlugin):  # type: ignore[misc]
        """Made here, as its base is of a package that may not be there."""

        def setup(self, worker: Any) -> None:
            del worker
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return Deaf()


def make_cluster(workers: int, device: str) -> Any:
    """Return a cluster of processes on this machine; where GPUs are to compute, each has one."""
    options = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    if device.startswith("cuda") and find_spec("dask_cuda") is not None:
        from dask_cuda import LocalCUDACluster

        return LocalCUDACluster(n_workers=workers, threads_per_worker=1, **options)
    from distributed import LocalCluster

    from ltc_kernels import thread_count

    threads = 1 if device.startswith("cuda") else max(thread_count() // workers, 1)
    return LocalCluster(n_workers=workers, threads_per_worker=threads, processes=True, **options)


def _be_silent() -> None:
    """Let Dask say nothing of its own: what matters comes as an error, and is told in one line."""
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
