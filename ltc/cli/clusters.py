"""``--scheduler`` and ``--workers``: the cluster that a command gives its work to."""

from __future__ import annotations

import contextlib
import logging
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import typer

from ltc.cli.interrupts import put_off_interrupts
from ltc.devices import choose_device
from ltc.errors import ArgumentValueError, BackendUnavailableError, DistributedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cluster_client"]

TIMEOUT: Final = 20  # seconds for a scheduler to answer


@contextlib.contextmanager
def cluster_client(
    scheduler: str | None, workers: int | None, device: str = "cpu", *, pairs: bool = False
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
    pairs : bool
        See `ltc.devices.choose_device`.

    Raises
    ------
    ArgumentValueError
        Both are asked for, or more processes than there are GPUs.
    BackendUnavailableError
        Dask isn't installed, or the device isn't there.
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
            _connected(str(scheduler))
            if workers is None
            else _started(workers, choose_device(device, pairs=pairs))
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
def _started(workers: int, place: str) -> Iterator[Any]:
    from distributed import Client

    _be_silent()
    gpus = [] if place == "cpu" else _gpus_for(workers)
    with contextlib.ExitStack() as stack:
        with put_off_interrupts():  # only what has started well ends well
            cluster = stack.enter_context(make_cluster(workers, place))
            client = stack.enter_context(Client(cluster))
        if gpus and find_spec("dask_cuda") is None:
            client.register_plugin(_own_gpu(gpus))
        yield client


def _gpus_for(workers: int) -> list[str]:
    """Return what CUDA and ROCm call the GPUs of this machine, of which there are enough."""
    import torch

    count = torch.cuda.device_count()
    if workers > count:
        raise ArgumentValueError(
            f"--workers must be at most {count} where GPUs compute, as many as there are, got "
            f"{workers}; --device cpu computes on processors"
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(count)]


def _own_gpu(gpus: list[str]) -> Any:
    """Return what lets a worker find another GPU first than the others do, as dask-cuda does."""
    from distributed import WorkerPlugin

    class OwnGPU(WorkerPlugin):  # type: ignore[misc]
        """Made here, as its base is of a package that may not be there."""

        def setup(self, worker: Any) -> None:
            first = int(worker.name)
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[first:] + gpus[:first])

    return OwnGPU()


def make_cluster(workers: int, place: str) -> Any:
    """Return a cluster of processes on this machine; where GPUs compute, of one thread each."""
    options = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    if place != "cpu" and find_spec("dask_cuda") is not None:
        from dask_cuda import LocalCUDACluster

        return LocalCUDACluster(n_workers=workers, threads_per_worker=1, **options)
    from distributed import LocalCluster

    from ltc_kernels import thread_count

    threads = max(thread_count() // workers, 1) if place == "cpu" else 1
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=True,
        env={"RAYON_NUM_THREADS": str(threads)},  # of what decodes losses that are compressed
        **options,
    )


def _be_silent() -> None:
    """Let Dask say nothing of its own: what matters comes as an error, and is told in one line."""
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
