"""Neighbours and correlations from a store, against the definition on the losses it holds."""

import numpy as np
import pytest
from pair_cases import BAD_ARGUMENTS, CHECKPOINTS, CLASSES, TRAIN, VAL, trajectories, write

import ltc
from assertions import assert_scores_close
from ltc import tiles
from ltc.errors import ArgumentValueError
from ltc_kernels import pair_correlation, pair_topk


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A store with gaps in both splits, a class without training and one without val samples."""
    path = tmp_path_factory.mktemp("neighbors") / "run.zarr"
    write(path)
    return path


@pytest.fixture
def small_tiles(monkeypatch):
    """Many tiles, and queries in several passes."""
    monkeypatch.setattr("ltc.class_search.tile_width", lambda *_, **__: 37)
    monkeypatch.setattr("ltc_kernels.pairs.QUERY_BYTES", 4 * CHECKPOINTS * 7)


def expected(path, k, queries, *, signal="difference", checkpoints=slice(None), members=None):
    store = ltc.open_store(path)
    train, val = store.read("train")[checkpoints], store.read("val")[checkpoints]
    columns = np.arange(TRAIN) if members is None else np.flatnonzero(members)
    found = []
    for largest in (True, False):
        values, indices = pair_topk(
            train[:, columns], val[:, queries], k, signal=signal, largest=largest
        )
        found.append((values, np.append(columns, -1)[indices]))
    return found


def assert_same(found, rankings, rows=slice(None)):
    for ranking, (values, indices) in zip(
        (found.aligned, found.conflicting), rankings, strict=True
    ):
        np.testing.assert_array_equal(ranking.values[rows], values)
        np.testing.assert_array_equal(ranking.indices[rows], indices)


@pytest.mark.parametrize("signal", ["difference", "loss"])
@pytest.mark.parametrize("k", [1, 5, TRAIN + 3])
def test_among_all(path, signal, k):
    found = ltc.neighbors(path, k=k, signal=signal)
    np.testing.assert_array_equal(found.queries, np.arange(VAL))
    assert_same(found, expected(path, k, np.arange(VAL), signal=signal))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("queries", [[17, 3, 3, 0], slice(2, 20, 3), np.array([23]), []])
def test_some_queries_in_their_order_however_the_work_is_divided(path, queries):
    found = ltc.neighbors(path, queries, k=5)
    np.testing.assert_array_equal(found.queries, np.arange(VAL)[queries])
    assert_same(found, expected(path, 5, found.queries))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("k", [3, 100])
def test_within_the_class(path, k):
    store = ltc.open_store(path)
    found = ltc.neighbors(store, k=k, within="class")
    labels = store.labels("val")
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        members = store.labels("train") == label
        assert_same(found, expected(path, k, rows, members=members), rows)
    alone = labels >= CLASSES
    assert alone.any()
    assert (found.aligned.indices[alone] == -1).all()
    assert np.isnan(found.conflicting.values[alone]).all()


def test_a_query_without_variance_or_without_losses_has_none(path):
    found = ltc.neighbors(path, [2, 4], k=3)
    for ranking in (found.aligned, found.conflicting):
        assert (ranking.indices == -1).all()
        assert np.isnan(ranking.values).all()


def test_checkpoints_are_selected_first(path):
    found = ltc.neighbors(path, k=4, checkpoints=[0, 2, 3, 5, 8])
    assert_same(found, expected(path, 4, np.arange(VAL), checkpoints=[0, 2, 3, 5, 8]))
    assert found.metadata["checkpoints"] == [0, 2, 3, 5, 8]


def test_a_checkpoint_unobserved_in_one_split_is_left_out(tmp_path):
    train, val = trajectories(20, 0), trajectories(5, 1)
    train[6] = np.nan
    ltc.write_store(tmp_path / "run.zarr", train, val)
    found = ltc.neighbors(tmp_path / "run.zarr", k=4)
    assert found.metadata["left_out"] == [6]
    whole = ltc.neighbors(tmp_path / "run.zarr", k=4, checkpoints=[0, 1, 2, 3, 4, 5, 7, 8])
    assert_same(found, [(r.values, r.indices) for r in (whole.aligned, whole.conflicting)])


@pytest.mark.parametrize("signal", ["difference", "loss"])
def test_correlation(path, signal, monkeypatch):
    monkeypatch.setattr("ltc.pairs.TILE_MEMORY", 2 * CHECKPOINTS * 7)
    store = ltc.open_store(path)
    queries, samples = [5, 0, 23], np.array([200, 3, 3, 17, 18, 19, 20, 2, 40])
    matrix = ltc.correlation(store, queries, samples, signal=signal)
    losses = store.read("train"), store.read("val")
    whole = pair_correlation(*losses, signal=signal, backend="reference")
    assert_scores_close(matrix, whole[np.ix_(queries, samples)], what=signal)
    np.testing.assert_array_equal(
        ltc.correlation(path, slice(0, 6), slice(10, 30), signal=signal),
        pair_correlation(losses[0][:, 10:30], losses[1][:, :6], signal=signal),
    )


@pytest.mark.parametrize("signal", ["difference", "loss"])
@pytest.mark.parametrize("reference", ["pairs", "class-pairs"])
def test_scores_of_pairs_are_means_of_the_matrix(path, signal, reference):
    """With missing values on both sides."""
    store = ltc.open_store(path)
    matrix = ltc.correlation(path, slice(None), slice(None), signal=signal).astype(np.float64)
    if reference == "class-pairs":
        same = store.labels("val")[:, None] == store.labels("train")
        matrix[~same] = np.nan
    defined = ~np.isnan(matrix)
    with np.errstate(invalid="ignore"):
        mean = np.where(defined, matrix, 0).sum(axis=0) / defined.sum(axis=0)
    assert np.isnan(mean).any()
    assert not np.isnan(mean).all()
    scores = ltc.score(path, signal=signal, reference=reference)
    assert_scores_close(scores.values, mean, what=reference)


def test_memory_for_tiles_is_bounded(path, monkeypatch):
    asked = {}

    def spy(*sizes, memory, per_sample):
        asked["memory"] = memory
        return tiles.tile_width(*sizes, memory=memory, per_sample=per_sample)

    monkeypatch.setattr("ltc.class_search.tile_width", spy)
    ltc.neighbors(path, [0])
    assert asked["memory"] <= 100e6


@pytest.mark.parametrize(("change", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments(path, change, error, message):
    with pytest.raises(error, match=message):
        ltc.neighbors(path, **change)


def test_classes_need_labels(tmp_path):
    ltc.write_store(tmp_path / "run.zarr", trajectories(20, 0), trajectories(5, 1))
    with pytest.raises(ArgumentValueError, match='within "class" needs labels'):
        ltc.neighbors(tmp_path / "run.zarr", within="class")
