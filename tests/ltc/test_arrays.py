"""A store from arrays: the same rules as for recording, and all of it or nothing."""

import errno

import numpy as np
import pytest
import stores
import torch
import zarr

from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    StoreExistsError,
    StoreLockedError,
    StoreNotFoundError,
)
from ltc.store import open_store
from ltc.store.arrays import write_store
from ltc.store.files import LocalFiles
from ltc.store.writer import StoreWriter

RANDOM = np.random.default_rng(0)
TRAIN = RANDOM.exponential(size=(6, 9)).astype(np.float32)
VAL = RANDOM.exponential(size=(6, 4)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_values_are_rounded_to_float16(path, dtype):
    write_store(path, TRAIN.astype(dtype), VAL.astype(dtype))
    store = open_store(path)
    np.testing.assert_array_equal(store.read("train"), TRAIN.astype(dtype).astype(np.float16))
    np.testing.assert_array_equal(store.read("val"), VAL.astype(dtype).astype(np.float16))
    assert store.checkpoints.tolist() == [0, 1, 2, 3, 4, 5]
    assert store.commits[5].train.mode == "array"


def test_everything_that_can_be_given(path):
    write_store(
        path,
        TRAIN,
        VAL,
        train_labels=np.arange(9) // 3,
        val_labels=[0, 1, 2, 0],
        train_ids=[f"t{i}" for i in range(9)],
        val_ids=np.array(["v", "w", "x", "yy"], object),
        checkpoints=np.linspace(0.5, 3, 6),
        compression="zstd",
        fsync=True,
    )
    store = open_store(path)
    assert store.labels("train").tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert store.ids("val").tolist() == ["v", "w", "x", "yy"]
    assert store.checkpoints.tolist() == np.linspace(0.5, 3, 6).tolist()
    assert (store.compression, store.num_groups) == ("zstd", 3)


def as_tensor(array):
    return torch.from_numpy(array)


def as_zarr(array):
    return zarr.create_array(zarr.storage.MemoryStore(), data=array)


def as_fortran(array):
    return np.asfortranarray(array)


def as_list(array):
    return array.astype(float).tolist()


@pytest.mark.parametrize("convert", [as_tensor, as_zarr, as_fortran, as_list])
def test_any_array(path, convert):
    write_store(
        path, convert(TRAIN), convert(VAL), train_labels=torch.arange(9), val_labels=range(4)
    )
    np.testing.assert_array_equal(open_store(path).read("train"), TRAIN.astype(np.float16))


def test_a_mapped_file_is_read_row_by_row(path, tmp_path):
    np.save(tmp_path / "train.npy", TRAIN)
    write_store(path, np.load(tmp_path / "train.npy", mmap_mode="r"), VAL)
    np.testing.assert_array_equal(open_store(path).read("train"), TRAIN.astype(np.float16))


def test_bfloat16_tensors(path):
    train = torch.from_numpy(TRAIN).bfloat16()
    write_store(path, train, torch.from_numpy(VAL).bfloat16())
    np.testing.assert_array_equal(
        open_store(path).read("train"), train.float().numpy().astype(np.float16)
    )


def test_what_float16_can_not_hold_is_counted(path):
    train = TRAIN.copy()
    train[2, :4] = [np.nan, np.inf, 1e6, -1e30]
    val = VAL.copy()
    val[4] = np.nan
    write_store(path, train, val)
    store = open_store(path)
    np.testing.assert_array_equal(store.read("train")[2, :4], [np.nan, np.nan, 65504, -65504])
    commit = store.commits[2].train
    assert (commit.observed, commit.nonfinite, commit.clipped) == (8, 1, 2)
    assert (store.commits[4].val.observed, store.commits[4].val.mode) == (0, "none")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"train": TRAIN[0]},
            ArgumentValueError,
            r"train must have shape \[checkpoint, sample\], .* \(9,\)",
        ),
        ({"val": VAL[:, :0]}, ArgumentValueError, r"at least one of each, got \(6, 0\)"),
        ({"train": TRAIN[:0], "val": VAL[:0]}, ArgumentValueError, r"got \(0, 9\)"),
        (
            {"val": VAL[:5]},
            ArgumentValueError,
            r"as many checkpoints as train, 6, got shape \(5, 4\)",
        ),
        (
            {"train": TRAIN.astype(int)},
            ArgumentTypeError,
            "train must be float16, float32 or float64, got int64",
        ),
        ({"val": VAL.astype(complex)}, ArgumentTypeError, "val must be float16, .* got complex128"),
        ({"train": TRAIN.astype(str)}, ArgumentTypeError, "train must be float16, .* got <U"),
        (
            {"checkpoints": [1, 2, 3]},
            ArgumentValueError,
            r"one entry per row of train, shape \(6,\)",
        ),
        ({"checkpoints": [0, 1, 2, 2, 3, 4]}, ArgumentValueError, "strictly increasing, got"),
        ({"checkpoints": [0, 1, 2, 3, 4, np.nan]}, ArgumentValueError, "must be finite"),
        (
            {"checkpoints": list("abcdef")},
            ArgumentTypeError,
            "checkpoints must be numbers, got <U1",
        ),
        ({"train_labels": np.zeros(9, int)}, ArgumentValueError, "must be given together"),
        ({"compression": "lz4"}, ArgumentValueError, "compression must be None or 'zstd'"),
    ],
)
def test_bad_arguments_leave_nothing_behind(path, change, error, message):
    with pytest.raises(error, match=message):
        write_store(path, **{"train": TRAIN, "val": VAL, **change})
    assert not path.exists()


def test_a_store_is_never_replaced(path):
    stores.write(path)
    with pytest.raises(StoreExistsError, match="there is a store with commits already"):
        write_store(path, TRAIN, VAL)
    stores.assert_holds(path, [0, 1, 2])


def test_a_store_that_is_being_recorded_is_left_alone(path):
    with StoreWriter.create(path, **stores.arguments()), pytest.raises(StoreLockedError):
        write_store(path, TRAIN, VAL)


def test_all_of_it_or_nothing(path, monkeypatch):
    """The disk is full at the fourth of six checkpoints: there is no store, not a shorter one."""
    replace = LocalFiles.replace

    def replace_or_fail(files, key, data):
        if key.startswith("train/losses/c/3"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(files, key, data)

    monkeypatch.setattr(LocalFiles, "replace", replace_or_fail)
    with pytest.raises(OSError, match="No space left"):
        write_store(path, TRAIN, VAL)
    with pytest.raises(StoreNotFoundError):
        open_store(path)
    monkeypatch.undo()
    write_store(path, TRAIN, VAL)
    assert open_store(path).committed == 6


def test_masked_and_byte_swapped_losses(tmp_path):
    losses = np.random.default_rng(0).random((4, 6)).astype(">f4")
    hidden = np.ma.masked_array(losses, losses > 0.7)
    assert hidden.mask.any()
    write_store(tmp_path / "run.zarr", hidden, losses)
    store = open_store(tmp_path / "run.zarr")
    np.testing.assert_array_equal(np.isnan(store.read("train")), hidden.mask)
    np.testing.assert_array_equal(store.read("val"), losses.astype(np.float16))
    assert store.commits[0].train.observed == 6 - hidden.mask[0].sum()
