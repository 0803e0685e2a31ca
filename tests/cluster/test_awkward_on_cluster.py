"""The awkward cases of one machine, once through a client: the same bits, warnings and errors."""

import numpy as np
import pytest
from clusters import assert_same_neighbours, assert_same_scores
from pair_cases import write
from score_cases import make, scattered_gaps

import ltc
import ltc.store.writer
from kernels import cases
from ltc import score_pass
from ltc.errors import ArgumentValueError, StoreCorruptError

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 70)


@pytest.mark.filterwarnings("ignore:.* finite|.* float16|.*NaN|.*clipped:UserWarning")
@pytest.mark.parametrize("change", cases.CHANGES, ids=lambda c: getattr(c, "__name__", "plain"))
def test_trajectories(tmp_path, client, change):
    case = cases.case(12, 300, change=change, dtype=np.float32)
    labels = case.groups, np.repeat(np.arange(7), 3)
    val = np.repeat(case.references.T, 3, axis=1).astype(np.float32)
    val[:, ::3] *= 1.25
    path = tmp_path / "run.zarr"
    ltc.write_store(path, case.losses, val, train_labels=labels[0], val_labels=labels[1])
    store = ltc.open_store(path)
    assert_same_scores(store, client)
    assert_same_scores(store, client, signal="loss", reference="class-pairs")


@pytest.mark.parametrize(
    "checkpoints",
    [slice(None, 6), slice(None, None, 3), [0, 1, 2, 3], [1, 4, 5, 9, 11], slice(3, 99)],
)
def test_some_checkpoints(tmp_path, client, checkpoints):
    store, *_ = make(tmp_path / "run.zarr", change=scattered_gaps)
    scores = assert_same_scores(store, client, checkpoints=checkpoints)
    assert not scores.undefined.all()


def test_a_checkpoint_that_one_split_lacks_is_left_out(tmp_path, client):
    def change(x, y):
        x[4] = np.nan
        y[7] = np.nan

    store, *_ = make(tmp_path / "run.zarr", change=change)
    assert assert_same_scores(store, client).metadata["left_out"] == [4.0, 7.0]


@pytest.mark.parametrize("reference", ["class-mean", "class-pairs"])
def test_groups_take_the_place_of_labels(tmp_path, client, reference):
    store, *_ = make(tmp_path / "run.zarr")
    groups = np.arange(300) % 3, np.arange(60) % 2  # one of them without validation samples
    scores = assert_same_scores(store, client, groups=groups, reference=reference)
    np.testing.assert_array_equal(scores.undefined, groups[0] == 2)


@pytest.mark.parametrize("reference", ["mean", "pairs"])
def test_a_store_without_labels(tmp_path, client, reference):
    x, y = cases.trajectories(8, 150), cases.trajectories(8, 10, seed=4)
    ltc.write_store(tmp_path / "run.zarr", x, y, train_ids=[f"name {i}" for i in range(150)])
    scores = assert_same_scores(ltc.open_store(tmp_path / "run.zarr"), client, reference=reference)
    assert scores.ids[149] == "name 149"
    with pytest.raises(ArgumentValueError, match="reference 'class-mean' needs labels or groups="):
        ltc.score(tmp_path / "run.zarr", client=client)


@pytest.mark.parametrize("reference", ["class-mean", "class-pairs"])
def test_a_class_without_validation_samples_and_one_without_training_samples(
    tmp_path, client, reference
):
    x, y = cases.trajectories(8, 160), cases.trajectories(8, 12, seed=4)
    labels = np.arange(160) % 4, np.array([0, 1, 2, 5] * 3)
    ltc.write_store(tmp_path / "run.zarr", x, y, train_labels=labels[0], val_labels=labels[1])
    scores = assert_same_scores(ltc.open_store(tmp_path / "run.zarr"), client, reference=reference)
    np.testing.assert_array_equal(scores.undefined, labels[0] == 3)


@pytest.mark.parametrize("size", [1, 2, 69, 70, 71, 140])
def test_few_samples_and_remainders_of_chunks(tmp_path, client, size):
    store, *_ = make(tmp_path / "run.zarr", train=size)
    assert assert_same_scores(store, client).values.shape == (size,)


@pytest.mark.parametrize("length", [4, 64, 65, 700])
def test_few_checkpoints_and_many(tmp_path, client, length):
    store, *_ = make(tmp_path / "run.zarr", checkpoints=length, train=150)
    assert not assert_same_scores(store, client).undefined.any()


def test_losses_that_are_compressed(tmp_path, client):
    store, *_ = make(tmp_path / "run.zarr", change=scattered_gaps, compression="zstd")
    assert_same_scores(store, client)


@pytest.mark.parametrize("reference", ["class-mean", "class-pairs", "pairs"])
def test_little_memory(tmp_path, client, reference, monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 2_000)
    monkeypatch.setattr(score_pass, "WORKSPACE", 0)
    store, *_ = make(tmp_path / "run.zarr", train=5_000, val=900, change=scattered_gaps)
    assert_same_scores(store, client, reference=reference, memory_limit="600kB")


def test_memory_that_is_too_little(tmp_path, client):
    make(tmp_path / "run.zarr")
    with pytest.raises(ArgumentValueError, match=r"memory_limit must hold .* MB more than it does"):
        ltc.score(tmp_path / "run.zarr", memory_limit="1MB", client=client)


def test_a_lost_chunk_is_missing_data(tmp_path, client):
    make(tmp_path / "run.zarr")
    (tmp_path / "run.zarr/train/losses/c/3/1").unlink()
    text = "70 losses of train that were recorded are lost"
    with pytest.warns(UserWarning, match=text):
        alone = ltc.score(tmp_path / "run.zarr")
    with pytest.warns(UserWarning, match=text):
        scores = ltc.score(tmp_path / "run.zarr", client=client)
    np.testing.assert_array_equal(scores.values, alone.values)
    assert scores.metadata == alone.metadata


def test_a_changed_chunk_is_named(tmp_path, client):
    make(tmp_path / "run.zarr")
    chunk = tmp_path / "run.zarr/train/losses/c/3/1"
    chunk.write_bytes(b"\x00" + chunk.read_bytes()[1:])
    errors = []
    for options in ({}, {"client": client}):
        with pytest.raises(StoreCorruptError, match="train/losses/c/3/1") as caught:
            ltc.score(tmp_path / "run.zarr", **options)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("checkpoints", [None, slice(2, 8), [0, 1, 4, 8]])
def test_neighbours_of_few_samples(tmp_path, client, checkpoints):
    write(tmp_path / "all.zarr")
    store = ltc.open_store(tmp_path / "all.zarr")
    for size in (1, 71):
        path = tmp_path / f"{size}.zarr"
        labels = store.labels("train")[:size], store.labels("val")
        train, val = store.read("train")[:, :size], store.read("val")
        ltc.write_store(path, train, val, train_labels=labels[0], val_labels=labels[1])
        for within in ("all", "class"):
            options = {"k": 3, "within": within, "checkpoints": checkpoints}
            alone = ltc.neighbors(path, **options)
            assert_same_neighbours(ltc.neighbors(path, client=client, **options), alone)
