"""Dask clusters on this machine, for tests, and whether they do what one process does."""

import contextlib
import time
import warnings

import numpy as np

import ltc

PATIENCE = 120  # seconds

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
def quick_starts(config=None):
    """Let processes of clusters be forked from one that is prepared; set more of Dask's config."""
    import dask
    from distributed.utils import get_mp_context

    method = {"distributed.worker.multiprocessing-method": "forkserver"}
    with dask.config.set({**method, **(config or {})}):
        get_mp_context().set_forkserver_preload(PRELOADED)
        yield


@contextlib.contextmanager
def started(workers=2, *, threads=1, processes=True, **options):
    """Run a cluster; a client of it."""
    from distributed import Client, LocalCluster

    # Threads need no start; a cluster of them that lives for all tests must not set it for others.
    starts = quick_starts() if processes else contextlib.nullcontext()
    with starts, warnings.catch_warnings():
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


def is_idle(client):
    """Whether no worker is in a task, not even in one that has been cancelled."""
    busy = client.run(lambda dask_worker: len(dask_worker.state.executing))
    return not any(busy.values()) and not any(client.processing().values())


def wait_until(reached):
    """Wait for something, long enough for a machine that has much else to do."""
    until = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


def assert_same_scores(store, client, **options):
    """Fail unless the cluster scores as this process does, whether it keeps the scores or not."""
    alone = ltc.score(store, **options)
    for save in (None, "kept"):
        scores = ltc.score(store, client=client, save=save, **options)
        np.testing.assert_array_equal(bits(scores.values), bits(alone.values))
        np.testing.assert_array_equal(
            scores.labels, alone.labels if options.get("groups") is None or save is None else None
        )
        assert scores.metadata == alone.metadata
    loaded = ltc.load_scores(store.path, "kept")
    np.testing.assert_array_equal(bits(loaded.values), bits(alone.values))
    assert loaded.metadata == alone.metadata
    assert ltc.open_store(store.path).verify().ok
    return alone


def assert_same_neighbours(found, alone):
    """Fail unless the neighbours are the same, in the same order, with the same bits."""
    np.testing.assert_array_equal(found.queries, alone.queries)
    for one, other in ((found.aligned, alone.aligned), (found.conflicting, alone.conflicting)):
        np.testing.assert_array_equal(one.indices, other.indices)
        np.testing.assert_array_equal(bits(one.values), bits(other.values))
    assert found.metadata == alone.metadata


def bits(values):
    """Return floats as the integers that have the same bits."""
    return values.view(np.int32)
