"""Dask clusters on this machine, for tests."""

import contextlib
import warnings

# What a worker needs for its first task: processes that are forked from one that has it start at
# once, and those that are killed have many successors.
PRELOADED = [
    "distributed",
    "ltc.distributed.neighbors",
    "ltc.distributed.scoring",
    "ltc.distributed.selection",
    "ltc.store.checked_rows",
    "ltc_kernels.cpu.group",
    "ltc_kernels.cpu.pairs",
]


@contextlib.contextmanager
def started(workers=2, *, threads=1, processes=True, **options):
    """Run a cluster; a client of it."""
    import dask
    from distributed import Client, LocalCluster
    from distributed.utils import get_mp_context

    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        warnings.catch_warnings(),
    ):
        get_mp_context().set_forkserver_preload(PRELOADED)
        # Of a port for the dashboard, which nobody looks at.
        warnings.filterwarnings("ignore", "Port .* is already in use", UserWarning)
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=threads,
                processes=processes,
                dashboard_address=":0",  # any: several clusters run at once
                **options,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
