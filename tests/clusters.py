"""Dask clusters on this machine, for tests."""

import contextlib
import warnings


@contextlib.contextmanager
def started(workers=2, *, threads=1, processes=True, **options):
    """Run a cluster; a client of it."""
    from distributed import Client, LocalCluster

    with warnings.catch_warnings():
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
