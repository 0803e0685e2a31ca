"""Reading chunks into place gives what decoding them gives."""

import numpy as np
import pytest
from zarr.storage import LocalStore

import ltc
from kernels import cases
from ltc.errors import StoreCorruptError
from ltc.store.direct import DirectReader


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A store of three chunks a row, the last of them short."""
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", 100)
    losses = cases.trajectories(6, 250)
    losses[2, 7] = np.nan
    ltc.write_store(tmp_path / "run.zarr", losses, cases.trajectories(6, 10))
    return tmp_path / "run.zarr"


def without_direct(path, monkeypatch):
    """Open a store that decodes."""
    with monkeypatch.context() as patch:
        patch.setattr(DirectReader, "of", lambda *_: None)
        store = ltc.open_store(path)
        store.read("train")  # the reader is made at the first read
    return store


@pytest.mark.parametrize(
    "samples",
    [slice(None), slice(0, 100), slice(100, 200), slice(30, 170), slice(199, 250), [3, 240]],
)
@pytest.mark.parametrize("checkpoints", [None, [1, 2, 5]])
def test_both_ways_read_the_same(path, samples, checkpoints, monkeypatch):
    store = ltc.open_store(path)
    assert store.chunk_samples == 100
    decoded = without_direct(path, monkeypatch).read("train", samples, checkpoints)
    np.testing.assert_array_equal(store.read("train", samples, checkpoints), decoded)
    assert store._reader("train/losses")._direct is not None


def test_compressed_losses_are_decoded(tmp_path):
    losses = cases.trajectories(6, 50)
    ltc.write_store(tmp_path / "run.zarr", losses, losses, compression="zstd")
    store = ltc.open_store(tmp_path / "run.zarr")
    np.testing.assert_array_equal(store.read("train"), losses)
    assert store._reader("train/losses")._direct is None


def test_a_local_store_of_another_kind_is_asked_for_its_objects(path):
    class Counting(LocalStore):
        gets = 0

        async def get(self, *arguments, **options):
            type(self).gets += 1
            return await super().get(*arguments, **options)

    store = ltc.open_store(Counting(path, read_only=True))
    np.testing.assert_array_equal(store.checkpoints, np.arange(6))
    assert Counting.gets == 3  # the root, the metadata of the checkpoints, their only chunk
    assert store._reader("train/losses")._direct is None


def cut(chunk):
    return chunk[:-1]


def emptied(_):
    return b""


def extended(chunk):
    return chunk + b"?"


def flipped(chunk):
    return chunk[:50] + bytes([chunk[50] ^ 1]) + chunk[51:]


def flipped_checksum(chunk):
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


@pytest.mark.parametrize("damage", [cut, emptied, extended, flipped, flipped_checksum])
@pytest.mark.parametrize("samples", [slice(None), slice(120, 130)])
def test_a_changed_chunk_is_named(path, samples, damage):
    chunk = path / "train/losses/c/4/1"
    chunk.write_bytes(damage(chunk.read_bytes()))
    with pytest.raises(StoreCorruptError, match=r"train/losses/c/4/1: the chunk was changed"):
        ltc.open_store(path).read("train", samples)


def test_a_lost_chunk_is_missing(path):
    whole = ltc.open_store(path).read("train")
    (path / "train/losses/c/4/1").unlink()
    whole[4, 100:200] = np.nan
    np.testing.assert_array_equal(ltc.open_store(path).read("train"), whole)
