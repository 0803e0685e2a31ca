"""Clusters of trajectories: found where they are plain, the same for a seed, in bounded memory."""

import tracemalloc

import numpy as np
import pytest

import ltc
from ltc import clustering
from ltc.errors import ArgumentTypeError, ArgumentValueError

CHECKPOINTS, CLASSES, KINDS = 12, 3, 4


def kinds_of_course(rng):
    """For each class and kind, a loss that falls at a pace of its own from a level of its own."""
    time = np.arange(CHECKPOINTS)[:, None]
    steps = rng.permutation(CLASSES * KINDS) % (CHECKPOINTS - 1) + 1
    return np.where(time < steps, 3.0, 0.2) + 0.5 * (np.arange(CLASSES * KINDS) // 6)


def write(path, *, samples=600, gaps=0.0, labelled=True, chunk=None):
    """A run, and the kind of each sample."""
    rng = np.random.default_rng(0)
    labels, kinds = rng.integers(CLASSES, size=samples), rng.integers(KINDS, size=samples)
    train = kinds_of_course(rng)[:, labels * KINDS + kinds]
    train = train + rng.normal(0, 0.02, train.shape)
    train[rng.random(train.shape) < gaps] = np.nan
    val = train[:, :20]
    options = {"train_labels": labels, "val_labels": labels[:20]} if labelled else {}
    if chunk is not None:
        options["chunk_samples"] = chunk
    ltc.write_store(path, train, val, **options)
    return path, labels, kinds


def same_partition(a, b):
    pairs = np.unique(np.stack((a, b)), axis=1).shape[1]
    return pairs == np.unique(a).size == np.unique(b).size


@pytest.mark.parametrize("gaps", [0.0, 0.1])
@pytest.mark.parametrize("signal", ["difference", "loss"])
def test_kinds_of_course_are_found(tmp_path, signal, gaps):
    run, labels, kinds = write(tmp_path / "run.zarr", gaps=gaps)
    found = ltc.clusters(run, per_class=KINDS, signal=signal)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found // KINDS, labels)
    if gaps:  # some lack what tells them from another kind
        for c in range(CLASSES):
            table = np.zeros((KINDS, KINDS), int)
            np.add.at(table, (found[labels == c] % KINDS, kinds[labels == c]), 1)
            assert table.max(axis=1).sum() > 0.9 * table.sum()
    else:
        assert same_partition(found, labels * KINDS + kinds)


def test_every_kind_is_covered_by_a_few_samples(tmp_path):
    run, _, kinds = write(tmp_path / "run.zarr")
    options = {"strategy": "coverage", "clusters": ltc.clusters(run, per_class=KINDS)}
    coreset = ltc.score(run).select(k=CLASSES * KINDS, balance="equal", **options)
    for c in range(CLASSES):
        assert sorted(kinds[coreset.indices[coreset.labels == c]]) == list(range(KINDS))


def test_lloyd_ends_where_centres_are_the_means_of_those_nearest_to_them(tmp_path):
    run, labels, _ = write(tmp_path / "run.zarr", samples=300)
    found = ltc.clusters(run, per_class=3, signal="loss")  # fewer than there are kinds
    losses = ltc.open_store(run).read("train").astype(np.float64)
    for c in range(CLASSES):
        own = np.flatnonzero(labels == c)
        centres = np.stack([losses[:, found == 3 * c + k].mean(axis=1) for k in range(3)])
        squares = ((losses[:, own, None] - centres.T[:, None]) ** 2).sum(axis=0)
        np.testing.assert_array_equal(squares.argmin(axis=1), found[own] - 3 * c)


def test_a_seed_decides(tmp_path):
    run, labels, _ = write(tmp_path / "run.zarr")
    first = ltc.clusters(run, per_class=7, seed=1)
    np.testing.assert_array_equal(first, ltc.clusters(run, per_class=7, seed=1))
    second = ltc.clusters(run, per_class=7, seed=2)
    assert not same_partition(first, second)
    np.testing.assert_array_equal(second // 7, labels)


def test_tiles_and_threads_change_nothing(tmp_path, monkeypatch):
    run, _, _ = write(tmp_path / "run.zarr", samples=5000, gaps=0.05)
    expected = ltc.clusters(run, per_class=5)
    monkeypatch.setattr(clustering, "tile_width", lambda *_, **__: 1024)
    monkeypatch.setattr("ltc_kernels.cpu.threads.thread_count", lambda: 1)
    np.testing.assert_array_equal(ltc.clusters(run, per_class=5), expected)


def test_centres_fitted_to_some_find_the_kinds_of_all(tmp_path, monkeypatch):
    run, labels, kinds = write(tmp_path / "run.zarr")
    monkeypatch.setattr(clustering, "FITTED", 6)  # 24 of the 200 samples of a class
    found = ltc.clusters(run, per_class=KINDS)
    assert same_partition(found, labels * KINDS + kinds)


def test_memory_stays_within_its_limit(tmp_path):
    run, labels, _ = write(tmp_path / "run.zarr", samples=100_000)
    ltc.clusters(run, per_class=2)  # compiled
    tracemalloc.start()
    try:
        found = ltc.clusters(run, per_class=50, memory_limit="3MB")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Results, the labels, and a random key and a place for each sample come on top.
    assert most - found.nbytes - labels.nbytes < 3e6 + 24 * labels.size
    assert np.unique(found).size > 40 * CLASSES


def test_a_class_has_no_more_clusters_than_different_trajectories(tmp_path):
    early, late = [3, 1, 1, 1, 1], [3, 3, 3, 3, 1]
    train = np.array([early, late, early, late, [np.nan] * 5, late], np.float32).T
    run = tmp_path / "run.zarr"
    ltc.write_store(run, train, train[:, :1], train_labels=[0, 0, 0, 0, 2, 3], val_labels=[0])
    found = ltc.clusters(run, per_class=3)
    assert found[[4, 5]].tolist() == [6, 9]  # of class 2 nothing was observed, of class 3 one
    assert found[0] == found[2] != found[1] == found[3]
    assert (found[:4] < 3).all()


def test_without_labels_all_samples_are_one_class(tmp_path):
    run, labels, kinds = write(tmp_path / "run.zarr", labelled=False)
    found = ltc.clusters(run, per_class=CLASSES * KINDS, signal="loss", seed=3)
    assert found.max() < CLASSES * KINDS
    # k-means may join two kinds and divide another one, but not many of twelve.
    pairs = np.unique(np.stack((found, labels * KINDS + kinds)), axis=1).shape[1]
    assert pairs <= CLASSES * KINDS + 3


def test_checkpoints_are_selected_first(tmp_path):
    rng = np.random.default_rng(0)
    train = rng.normal(size=(12, 40)).astype(np.float32)
    train[:6] += 10 * (np.arange(40) % 2)
    run = tmp_path / "run.zarr"
    ltc.write_store(run, train, train)
    found = ltc.clusters(run, per_class=2, signal="loss", checkpoints=slice(6))
    assert same_partition(found, np.arange(40) % 2)
    later = ltc.clusters(run, per_class=2, signal="loss", checkpoints=slice(6, None))
    assert not same_partition(later, np.arange(40) % 2)


def test_lost_losses_are_told_of(tmp_path):
    run, _, _ = write(tmp_path / "run.zarr")
    (run / "train/losses/c/5/0").unlink()
    with pytest.warns(UserWarning, match="600 losses of train that were recorded are lost"):
        ltc.clusters(run, per_class=2)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"per_class": 0}, ArgumentValueError, "per_class must be at least 1, got 0"),
        ({"per_class": 2.0}, ArgumentTypeError, "per_class must be an integer, got 2.0"),
        ({"per_class": True}, ArgumentTypeError, "per_class must be an integer, got True"),
        ({"seed": -1}, ArgumentValueError, "seed must be at least 0, got -1"),
        ({"signal": "sign"}, ArgumentValueError, "signal must be one of loss, difference"),
        ({"checkpoints": slice(2)}, ArgumentValueError, "checkpoints must leave at least 4"),
        ({"memory_limit": "10kB"}, ArgumentValueError, "memory_limit must hold the centres of 3"),
        ({"per_class": 2**30}, ArgumentValueError, "memory_limit must hold the centres of 3 cl"),
    ],
)
def test_bad_arguments(tmp_path, settings, error, message):
    run, _, _ = write(tmp_path / "run.zarr", samples=30)
    with pytest.raises(error, match=message):
        ltc.clusters(run, **settings)
