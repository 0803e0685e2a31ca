"""A store in the hands of plain zarr, xarray and TensorStore."""

import warnings

import numpy as np
import pytest
import stores
import tensorstore
import xarray
import zarr

import ltc.store.writer
from ltc.store import open_store

CHECKPOINTS = (0, 1.5, 3)
IDS = {"train_ids": np.arange(11) * 7, "val_ids": ["a", "b", "cc", "d", ""]}


@pytest.fixture(params=[None, "zstd"])
def path(tmp_path, request, monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 4)
    return stores.write(tmp_path / "run.zarr", CHECKPOINTS, compression=request.param, **IDS)


@pytest.mark.parametrize("split", ["train", "val"])
def test_plain_zarr(path, split):
    store = open_store(path)
    root = zarr.open_group(path, mode="r")
    committed = root.attrs["ltc"]["committed"]
    losses = root[f"{split}/losses"]
    np.testing.assert_array_equal(losses[:committed], store.read(split))
    assert losses.dtype == np.float16
    assert np.isnan(losses.fill_value)
    assert losses.metadata.dimension_names == ("checkpoint", "sample")
    np.testing.assert_array_equal(root[f"{split}/checkpoint"][:committed], store.checkpoints)
    np.testing.assert_array_equal(root[f"{split}/labels"][:], store.labels(split))
    assert root[f"{split}/ids"][:].tolist() == store.ids(split).tolist()
    observed = [getattr(commit, split).observed for commit in store.commits]
    assert root[f"commits/{split}_observed"][:committed].tolist() == observed


def test_plain_zarr_sees_nothing_but_groups_and_arrays(path):
    """Zarr warns of members that are none; here that would be an error."""
    members = dict(zarr.open_group(path, mode="r").members(max_depth=None))
    assert {name for name in members if "/" not in name} == {"train", "val", "commits", "scores"}
    arrays = {name for name, member in members.items() if isinstance(member, zarr.Array)}
    for split in ("train", "val"):
        assert {f"{split}/{name}" for name in ("losses", "checkpoint", "labels", "ids")} <= arrays
    assert len([name for name in arrays if name.startswith("commits/")]) == 11


@pytest.mark.parametrize("split", ["train", "val"])
def test_xarray(path, split):
    store = open_store(path)
    dataset = xarray.open_zarr(path, group=split, consolidated=False)
    committed = dataset.isel(checkpoint=slice(store.committed))
    assert committed.losses.dims == ("checkpoint", "sample")
    assert committed.losses.dtype == np.float16
    np.testing.assert_array_equal(committed.losses.values, store.read(split))
    np.testing.assert_array_equal(committed.labels.values, store.labels(split))
    assert committed.ids.values.tolist() == store.ids(split).tolist()
    np.testing.assert_array_equal(committed.losses.sel(checkpoint=1.5), store.read(split)[1])


def test_xarray_reads_the_records(path):
    store = open_store(path)
    records = xarray.open_zarr(path, group="commits", consolidated=False)
    assert records.train_observed.values.tolist() == [11, 11, 11]
    seconds = records.time.values.astype("datetime64[us]").astype(np.int64) / 1e6
    np.testing.assert_allclose(seconds, [c.time for c in store.commits], atol=1e-3)
    meanings = records.val_mode.attrs["flag_meanings"].split()
    assert [meanings[code] for code in records.val_mode.values] == ["training"] * 3


def open_with_tensorstore(path, key):
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path / key}/"}}
    return tensorstore.open(spec, open=True, read=True).result()


@pytest.mark.parametrize("split", ["train", "val"])
def test_tensorstore(path, split):
    store = open_store(path)
    losses = open_with_tensorstore(path, f"{split}/losses")
    assert losses.domain.labels == ("checkpoint", "sample")
    np.testing.assert_array_equal(losses[: store.committed].read().result(), store.read(split))
    for key, expected in (
        ("checkpoint", store.checkpoints),
        ("labels", store.labels(split)),
    ):
        array = open_with_tensorstore(path, f"{split}/{key}")
        np.testing.assert_array_equal(array.read().result(), expected)
    np.testing.assert_array_equal(
        open_with_tensorstore(path, "train/ids").read().result(), IDS["train_ids"]
    )


def test_tensorstore_has_no_strings(path):
    with pytest.raises(ValueError, match="string"):
        open_with_tensorstore(path, "val/ids")


def test_a_lost_chunk_is_missing_for_all_of_them(path):
    (path / "train/losses/c/1/2").unlink()
    expected = np.stack([stores.losses("train", checkpoint) for checkpoint in CHECKPOINTS])
    expected[1, 8:] = np.nan
    np.testing.assert_array_equal(open_store(path).read("train"), expected)
    np.testing.assert_array_equal(zarr.open_array(path / "train/losses", mode="r")[:], expected)
    dataset = xarray.open_zarr(path, group="train", consolidated=False)
    np.testing.assert_array_equal(dataset.losses.values, expected)
    array = open_with_tensorstore(path, "train/losses")
    np.testing.assert_array_equal(array.read().result(), expected)


def test_consolidated_metadata_that_a_user_adds_is_not_left_to_go_stale(path, request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr: not part of the v3 specification
        zarr.consolidate_metadata(path)
    compression = request.node.callspec.params["path"]
    arguments = stores.arguments(compression=compression, **IDS)
    with ltc.store.writer.StoreWriter.resume(path, **arguments) as writer:
        writer.append(4, *stores.records(4))
    assert zarr.open_group(path, mode="r")["train/losses"].shape == (4, 11)
