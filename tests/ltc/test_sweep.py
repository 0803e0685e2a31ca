"""A sweep reads what reading reads, in pieces, and finds every changed byte by its end."""

import contextlib
import os
import sys
import threading

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ltc
import ltc.store.sweep
from kernels import cases
from ltc import tiles
from ltc.errors import ArgumentValueError, StoreCorruptError, StoreError
from ltc.store.checksums import combine
from ltc.store.direct import aligned_rows
from ltc.store.sweep import DecodingSweep, DirectSweep
from ltc.store.writer import StoreWriter
from ltc.tiles import Tiling, plan_tiling, read_tiles, share_tiles

if not ltc.store.sweep.can_sweep_directly():
    pytest.skip("pieces of chunks are decoded on this processor", allow_module_level=True)

SAMPLES, CHUNK, CHECKPOINTS = 250, 100, 7
KEY = "train/losses/c/4/1"


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A store of three chunks a row, the last of them half empty, with losses missing."""
    monkeypatch.setattr("ltc.store.writer.CHUNK_SAMPLES", CHUNK)
    losses = cases.trajectories(CHECKPOINTS, SAMPLES)
    losses[np.random.default_rng(0).random(losses.shape) < 0.05] = np.nan
    ltc.write_store(tmp_path / "run.zarr", losses, cases.trajectories(CHECKPOINTS, 10))
    return tmp_path / "run.zarr"


@pytest.fixture(params=["kept open", "opened for every piece", "decoded"])
def way(request, monkeypatch):
    """The three ways to read tiles."""
    if request.param == "opened for every piece":
        monkeypatch.setattr(ltc.store.sweep, "MOST_FILES", 0)
    elif request.param == "decoded":
        monkeypatch.setitem(sys.modules, "ltc.store.checked_rows", None)
    return request.param


def read(store, rows, width, order=sorted, after=lambda _: None):
    """All tiles of a sweep, read in some order; the losses and how many are missing."""
    losses = np.full((len(rows), SAMPLES), -1, np.float16)
    missing = 0
    with store.sweep("train", rows, width) as sweep:
        for number in order(range(len(sweep.tiles))):
            missing += sweep.read(number, losses[:, sweep.tiles[number]])
            after(sweep.tiles[number])
    return losses, missing


def shuffled(numbers):
    return np.random.default_rng(1).permutation(numbers)


@pytest.mark.parametrize("width", [1, 32, 50, 1000])
@pytest.mark.parametrize("rows", [range(CHECKPOINTS), [1, 2, 5], [6]])
@pytest.mark.parametrize("order", [sorted, reversed, shuffled])
def test_a_sweep_reads_what_reading_reads(path, way, width, rows, order):
    store = ltc.open_store(path)
    expected = store.read("train", checkpoints=list(rows))
    losses, missing = read(store, rows, width, order)
    np.testing.assert_array_equal(losses, expected)
    assert missing == np.isnan(expected).sum() > 0
    with store.sweep("train", rows, width) as sweep:
        assert isinstance(sweep, DecodingSweep if way == "decoded" else DirectSweep)
        assert sweep.tiles[-1].stop == SAMPLES
        assert all(t.start // CHUNK == (t.stop - 1) // CHUNK for t in sweep.tiles)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("width", [30, 100])
def test_a_lost_chunk_is_missing(path, width):
    store = ltc.open_store(path)
    expected = store.read("train")
    for key in (KEY, "train/losses/c/6/2"):
        (path / key).unlink()
    expected[4, 100:200] = expected[6, 200:] = np.nan
    losses, missing = read(store, range(CHECKPOINTS), width)
    np.testing.assert_array_equal(losses, expected)
    assert missing == np.isnan(expected).sum()


def flip(place):
    def change(chunk):
        changed = bytearray(chunk)
        changed[place] ^= 1
        return bytes(changed)

    return change


CHANGES = [
    flip(0),
    flip(60),
    flip(61),
    flip(199),
    flip(-1),
    lambda c: c[:-1],
    lambda _: b"",
    lambda c: c + b"?",
]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("key", [KEY, "train/losses/c/0/0", "train/losses/c/6/2"])
def test_a_changed_chunk_is_named(path, change, key):
    (path / key).write_bytes(change((path / key).read_bytes()))
    with pytest.raises(StoreCorruptError, match=f"{key}: the chunk was changed after"):
        read(ltc.open_store(path), range(CHECKPOINTS), 30)


def test_what_lies_beyond_the_samples_belongs_to_the_checksum(path):
    key = path / "train/losses/c/3/2"
    for place in (2 * 50, 2 * 75 + 1, 2 * 99):
        before = key.read_bytes()
        key.write_bytes(flip(place)(before))
        with pytest.raises(StoreCorruptError, match="train/losses/c/3/2: the chunk was changed"):
            read(ltc.open_store(path), range(CHECKPOINTS), 20)
        key.write_bytes(before)
    read(ltc.open_store(path), range(CHECKPOINTS), 20)


@pytest.mark.usefixtures("way")
def test_a_chunk_that_is_cut_while_it_is_read_is_an_error(path):
    def cut(tile):
        if tile.start == 130:
            os.truncate(path / KEY, 150)

    store = ltc.open_store(path)
    with pytest.raises(StoreCorruptError, match=f"{KEY}: the chunk was changed"):
        read(store, range(CHECKPOINTS), 30, after=cut)


@pytest.mark.parametrize("before", ["there", "gone"])
def test_a_chunk_that_comes_or_goes_between_two_pieces_is_an_error(path, monkeypatch, before):
    monkeypatch.setattr(ltc.store.sweep, "MOST_FILES", 0)
    data = (path / KEY).read_bytes()
    store = ltc.open_store(path)
    if before == "gone":
        (path / KEY).unlink()
    out = aligned_rows(CHECKPOINTS, 50, np.float16)
    with store.sweep("train", range(CHECKPOINTS), 50) as sweep:
        for number in range(3):
            sweep.read(number, out)
        (path / KEY).unlink() if before == "there" else (path / KEY).write_bytes(data)
        with pytest.raises(StoreCorruptError, match=f"{KEY}: the chunk was changed"):
            sweep.read(3, out)


def test_the_systems_errors_pass_through(path):
    (path / KEY).unlink()
    (path / KEY).mkdir()
    with pytest.raises(IsADirectoryError):
        read(ltc.open_store(path), range(CHECKPOINTS), 50)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("last", [0, 200])
def test_a_rewind_meanwhile_is_an_error(path, last):
    def rewind(tile):
        if tile.start == last:
            with StoreWriter.resume(path, num_train=SAMPLES, num_val=10) as writer:
                writer.rewind(2)

    store = ltc.open_store(path)
    with pytest.raises(StoreError, match="was rewound or made anew"):
        read(store, range(CHECKPOINTS), CHUNK, after=rewind)


def at_work():
    """Threads of a sweep; kernels and zarr keep theirs."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("ltc-read", "ltc-tile", "ltc-chunk"))]


def open_files(path):
    """Those files of a store that this process has open; others, of other threads, come and go."""
    names = {(file.stat().st_dev, file.stat().st_ino): file for file in path.rglob("*")}
    found = []
    for number in range(2048):
        with contextlib.suppress(OSError):
            status = os.fstat(number)
            found += [name for key, name in names.items() if key == (status.st_dev, status.st_ino)]
    return found


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("numbers", [[], [0], [0, 4], range(9)])
def test_no_file_stays_open(path, numbers):
    store = ltc.open_store(path)
    with (path / KEY).open("rb"):
        assert open_files(path) == [path / KEY]
    with store.sweep("train", range(CHECKPOINTS), 30) as sweep:
        for number in numbers:
            tile = sweep.tiles[number]
            sweep.read(number, np.empty((CHECKPOINTS, tile.stop - tile.start), np.float16))
    assert not open_files(path)
    (path / KEY).write_bytes(b"")
    with contextlib.suppress(StoreCorruptError):
        read(store, range(CHECKPOINTS), 30)
    assert not open_files(path)


def test_a_process_is_left_half_of_its_files(monkeypatch):
    monkeypatch.setattr(ltc.store.sweep.resource, "getrlimit", lambda _: (256, 4096))
    assert ltc.store.sweep.most_files() == 128
    unlimited = ltc.store.sweep.resource.RLIM_INFINITY
    monkeypatch.setattr(ltc.store.sweep.resource, "getrlimit", lambda _: (unlimited, unlimited))
    assert ltc.store.sweep.most_files() == ltc.store.sweep.MOST_FILES


# Rows and checksums


@pytest.mark.parametrize("num_rows", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 7, 8, 100, 40_000])
def test_rows_with_their_checksums(tmp_path, num_rows, size):
    from ltc.store.checked_rows import FAILED, read_rows

    rng = np.random.default_rng(size)
    losses = rng.random((num_rows, size + 2)).astype(np.float16)
    losses[rng.random(losses.shape) < 0.1] = np.nan
    losses[rng.random(losses.shape) < 0.05] = -np.inf
    for row, values in enumerate(losses):
        values.tofile(tmp_path / str(row))
    piece = losses[:, 2:]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context((tmp_path / str(row)).open("rb")) for row in range(num_rows)]
        numbers = np.array([file.fileno() for file in files], np.int32)
        out, found = aligned_rows(num_rows, size, np.float16), np.zeros(num_rows, np.uint32)
        result = read_rows(numbers, 4, out.view(np.uint16), found)
        np.testing.assert_array_equal(out.view(np.uint16), piece.view(np.uint16))
        assert result == (np.count_nonzero(~np.isfinite(piece)), num_rows)
        assert found.tolist() == [google_crc32c.value(row.tobytes()) for row in piece]
        # Beyond the end there is nothing.
        result = read_rows(numbers, 6, out.view(np.uint16), found)
        assert result == (FAILED, 0)


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=6))
def test_checksums_of_pieces_combine(pieces):
    parts = np.array([[google_crc32c.value(piece)] for piece in pieces], np.uint32)
    whole = combine(parts, [len(piece) for piece in pieces])
    assert whole.tolist() == [google_crc32c.value(b"".join(pieces))]


# Tiles


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("width", [7, 64, 100])
def test_tiles_in_order(path, width):
    store = ltc.open_store(path)
    rows = [0, 2, 3, 6]
    seen = [(begin, losses.copy()) for begin, losses in read_tiles(store, rows, width)]
    begins = [begin for begin, _ in seen]
    assert begins == sorted(begins)
    found = np.concatenate([losses for _, losses in seen], axis=1)
    np.testing.assert_array_equal(found, store.read("train", checkpoints=rows))


@pytest.mark.usefixtures("way")
def test_a_reader_of_tiles_may_stop_early(path):
    for begin, _ in read_tiles(ltc.open_store(path), range(CHECKPOINTS), 10):
        if begin == 120:
            break
    assert not at_work()
    assert not open_files(path)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("tiling", [Tiling(100, 1), Tiling(100, 2), Tiling(9, 2), Tiling(1, 5)])
def test_shared_tiles_are_every_tile_once(path, tiling):
    store = ltc.open_store(path)
    expected = store.read("train")
    losses, counts, threads = np.full_like(expected, -1), [], set()

    def work(begin, tile, missing):
        assert missing == np.isnan(tile).sum()
        losses[:, begin : begin + tile.shape[1]] = tile
        counts.append(tile.shape[1])
        threads.add(threading.get_ident())

    share_tiles(store, range(CHECKPOINTS), tiling, work)
    np.testing.assert_array_equal(losses, expected)
    assert sum(counts) == SAMPLES
    assert len(threads) <= tiling.threads


def test_an_error_in_one_thread_ends_the_others(path):
    seen = []

    def work(begin, _losses, _missing):
        seen.append(begin)
        if begin == 3:
            raise RuntimeError("three")

    with pytest.raises(RuntimeError, match="three"):
        share_tiles(ltc.open_store(path), range(CHECKPOINTS), Tiling(1, 2), work)
    assert len(seen) < SAMPLES
    assert not at_work()


def test_tilings_by_hand():
    sizes = {"memory": 400_000_000, "per_sample": 160}
    # A row of 32,768 is an eighth of a chunk, and 90 of them are six megabytes.
    assert plan_tiling(1_281_167, 262_144, 90, threads=2, **sizes) == Tiling(32_768, 2)
    assert plan_tiling(1_281_167, 262_144, 20, threads=2, **sizes) == Tiling(131_072, 2)
    # Several tiles for each thread, but none too narrow for system calls
    assert plan_tiling(400_000, 262_144, 20, threads=4, **sizes) == Tiling(23_832, 4)
    assert plan_tiling(400_000, 262_144, 20, threads=30, **sizes) == Tiling(8_192, 30)
    assert plan_tiling(20_000, 20_000, 20, threads=30, **sizes) == Tiling(6_667, 3)
    assert plan_tiling(5_000, 5_000, 20, threads=30, **sizes) == Tiling(5_000, 1)
    assert plan_tiling(1_281_167, 262_144, 4096, threads=2, **sizes) == Tiling(8_192, 2)


@pytest.mark.parametrize("num_checkpoints", [4, 20, 90, 1000, 4096])
@pytest.mark.parametrize("threads", [1, 2, 64])
@pytest.mark.parametrize("memory", [20_000_000, 100_000_000, 500_000_000])
def test_a_tiling_stays_within_its_memory(num_checkpoints, threads, memory):
    arguments = {"threads": threads, "memory": memory, "per_sample": 160}
    try:
        tiling = plan_tiling(10**7, 262_144, num_checkpoints, **arguments)
    except ArgumentValueError:
        smallest = 2 * tiles.BUFFERS * num_checkpoints * (tiles.SMALLEST_TILE + tiles.ROW_PADDING)
        assert smallest + 160 * tiles.SMALLEST_TILE > memory
        return
    assert tiles.SMALLEST_TILE / 2 <= tiling.width <= 262_144
    assert 1 <= tiling.threads <= threads
    buffers = tiling.threads if tiling.threads > 1 else tiles.BUFFERS
    row = 2 * num_checkpoints * (tiling.width + tiles.ROW_PADDING)
    assert buffers * row + tiling.threads * 160 * tiling.width <= memory
