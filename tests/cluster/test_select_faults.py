"""`ltc.select` on a cluster when things fail: workers that die, an object store that stumbles."""

import clusters
import numpy as np
import pytest
from block_cases import make_run
from object_server import Fault

import ltc
from ltc.errors import ArgumentValueError, StoreConnectionError, StoreNotFoundError

pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")

ARGUMENTS = {"fraction": 0.3, "strategy": "stratified", "cutoff": 0.1}
BLOCK = r"/coreset/0.*\.npy$"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", 256)
    make_run(tmp_path / "run.zarr")
    return tmp_path / "run.zarr"


def test_workers_that_die_while_they_count_and_while_they_write(run, tmp_path):
    died = {"blocks": tmp_path / "counting", "write": tmp_path / "writing"}

    def let_die(name, number):
        """Let a worker die of that call of a method; who replaces it is a whole one."""
        import itertools
        import os
        import signal

        from ltc.block_selection import Source

        calls, plain = itertools.count(1), getattr(Source, name)

        def deadly(source, *arguments):
            if next(calls) == number:
                died[name].touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(source, *arguments)

        setattr(Source, name, deadly)

    alone = ltc.select(run, output=tmp_path / "alone", **ARGUMENTS)
    with clusters.started(2) as client:
        one, other = client.scheduler_info()["workers"]
        client.run(let_die, "blocks", 3, workers=[one])
        client.run(let_die, "write", 1, workers=[other])
        coreset = ltc.select(run, output=tmp_path / "coreset", client=client, **ARGUMENTS)
    assert all(flag.exists() for flag in died.values())
    assert coreset.files == alone.files
    assert np.array_equal(ltc.CoresetBlocks.open(tmp_path / "coreset").indices, alone.indices)


@pytest.mark.parametrize("on", ["cluster", "one machine"])
def test_an_output_at_an_address(run, tmp_path, site, client, on):
    alone = ltc.select(run, output=tmp_path / "alone", **ARGUMENTS)
    output = f"{site.path}/coreset"
    given = {"client": client} if on == "cluster" else {}
    coreset = ltc.select(run, output=output, **given, **ARGUMENTS)
    assert coreset.files == alone.files
    opened = ltc.CoresetBlocks.open(output)
    assert opened.path == output
    assert np.array_equal(opened.indices, alone.indices)
    assert site.keys() == [
        *(f"coreset/{file.name}" for file in alone.files),
        "coreset/coreset.json",
    ]
    again = ltc.select(run, output=output, k=7, **given)
    assert np.array_equal(ltc.CoresetBlocks.open(output).indices, again.indices)
    assert len(again) == 7


def test_an_address_with_something_else_is_left_alone(run, site, client):
    site.write("coreset/precious.txt", b"mine")
    with pytest.raises(ArgumentValueError, match="output must be a new folder"):
        ltc.select(run, k=5, output=f"{site.path}/coreset", client=client)
    assert site.keys() == ["coreset/precious.txt"]


@pytest.mark.parametrize("kind", ["503", "refuse", "lose"])
def test_an_object_store_that_stumbles(run, tmp_path, site, client, kind):
    alone = ltc.select(run, output=tmp_path / "alone", **ARGUMENTS)
    site.proxy.faults = [Fault(kind, "PUT", BLOCK, skip=1, times=2)]
    output = f"{site.path}/coreset"
    coreset = ltc.select(run, output=output, client=client, **ARGUMENTS)
    assert [status for *_, status in site.proxy.log].count(
        int(kind) if kind == "503" else kind
    ) == 2
    assert coreset.files == alone.files
    assert np.array_equal(ltc.CoresetBlocks.open(output).indices, alone.indices)


def test_an_object_store_that_fails_leaves_an_unfinished_coreset(run, tmp_path, site, client):
    output = f"{site.path}/coreset"
    ltc.select(run, output=output, k=7, client=client)
    site.proxy.faults = [Fault("503", "PUT", BLOCK, times=1_000)]
    with pytest.raises(StoreConnectionError, match="503"):
        ltc.select(run, output=output, client=client, **ARGUMENTS)
    site.proxy.reset()
    with pytest.raises(StoreNotFoundError, match="the coreset is unfinished; select it again"):
        ltc.CoresetBlocks.open(output)
    alone = ltc.select(run, output=tmp_path / "alone", **ARGUMENTS)
    assert ltc.select(run, output=output, client=client, **ARGUMENTS).files == alone.files
