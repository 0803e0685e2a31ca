"""Pruning loses nothing: bounds hold, and results are the bits of the search that forms all."""

import numpy as np
import pytest

from benchmarks import recorded
from kernels import cases
from ltc_kernels.cpu import bounds, packing, pairs


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Every tile is sorted and bounded, however small and whatever it gains."""
    monkeypatch.setattr(pairs, "LEAST_BLOCKS", 1)
    monkeypatch.setattr(pairs, "WORTHWHILE", 100.0)


@pytest.fixture(scope="module")
def digits():
    return recorded.digits(60)


def found(train, val, signs, prune, *, k=10, signal="difference"):
    search = pairs.PairSearch(val, k, signal=signal, signs=signs, prune=prune)
    assert (search._bounds is not None) == prune
    half = train.shape[1] // 2
    search.add(train[:, :half], np.arange(half))
    search.add(train[:, half:], np.arange(half, train.shape[1]))
    return search.results()


def assert_pruning_shows_not(train, val, signs, **options):
    pruned, dense = (found(train, val, signs, prune, **options) for prune in (True, False))
    for (values, indices), (expected, samples) in zip(pruned, dense, strict=True):
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(indices, samples)


@pytest.mark.parametrize("signs", [(1,), (-1,), (1, -1)])
@pytest.mark.parametrize("signal", ["loss", "difference"])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_recorded_losses(digits, signal, signs, k):
    assert_pruning_shows_not(digits[:, :1500], digits[:, 1500:], signs, signal=signal, k=k)


@pytest.mark.parametrize("signs", [(1,), (1, -1)])
@pytest.mark.parametrize(
    "change", cases.CHANGES, ids=lambda change: getattr(change, "__name__", "plain")
)
def test_awkward_values(change, signs):
    case = cases.case(41, 700, num_groups=100, change=change)
    val = case.references.T.astype(np.float16)
    if change is cases.identical:
        val = cases.trajectories(41, 100, seed=5)
    assert_pruning_shows_not(case.losses, val, signs)


def test_exact_ties_come_by_index():
    train = np.tile(cases.trajectories(41, 30), (1, 40))
    assert_pruning_shows_not(train, cases.trajectories(41, 90, seed=3), (1, -1), k=100)


@pytest.mark.parametrize("signal", ["loss", "difference"])
def test_bounds_hold(digits, signal):
    """Of every pair, for the correlation as computed, on both sides."""
    train, val = digits[:, :1500], digits[:, 1500:]
    limits, order = bounds.query_bounds(packing.pack_queries(val, signal=signal))
    matrix = np.empty((val.shape[1], train.shape[1]), dtype=np.float32)
    pairs.pair_correlation(train, val, matrix, signal=signal)
    (tile,) = packing.pack_tiles(train, signal=signal)
    _, coordinates, rests, places = bounds.sorted_tile(tile.units, limits)
    assert sorted(places) == list(range(len(places)))
    a = coordinates.transpose(1, 0, 2).reshape(len(limits.axes), -1)  # [P, sample]
    b = limits.coordinates.transpose(0, 2, 1).reshape(-1, len(limits.axes))  # [query, P]
    inside = places < train.shape[1]
    correlations = matrix[order][:, places[inside]].astype(np.float64)
    products = b[: len(order)].astype(np.float64) @ a[:, inside].astype(np.float64)
    reach = limits.rests[: len(order), None].astype(np.float64) * rests.reshape(-1)[inside]
    excess = np.abs(correlations - products) - reach
    assert np.nanmax(excess) <= limits.margin
    assert np.nanmedian(reach) < 0.5
    assert limits.margin < 1e-5


@pytest.mark.parametrize(("num_points", "leaf"), [(0, 6), (1, 6), (6, 6), (7, 6), (1000, 64)])
def test_slabs_hold_every_point_once(num_points, leaf):
    points = np.random.default_rng(0).normal(size=(4, num_points))
    order = bounds.slab_order(points, leaf)
    assert sorted(order) == list(range(num_points))


def test_points_in_a_leaf_are_near_each_other():
    points = np.random.default_rng(0).normal(size=(2, 6400))
    arranged = points[:, bounds.slab_order(points, 64)].reshape(2, -1, 64)
    assert np.median(arranged.std(axis=2)) < 0.3


def test_bounds_that_exclude_nothing_are_given_up(monkeypatch):
    """Independent noise has no main axes."""
    monkeypatch.setattr(pairs, "WORTHWHILE", 0.9)
    rng = np.random.default_rng(0)
    train, val = (rng.normal(size=(60, size)).astype(np.float32) for size in (6000, 100))
    search = pairs.PairSearch(val, 10, signal="loss", signs=(1,))
    assert search._bounds is not None
    search.add(train, np.arange(6000))
    assert search._bounds is None
    expected = pairs.PairSearch(val, 10, signal="loss", signs=(1,), prune=False)
    expected.add(train, np.arange(6000))
    np.testing.assert_array_equal(search.results()[0][1], expected.results()[0][1])


@pytest.mark.parametrize("num_checkpoints", [10, 400])
def test_short_and_very_long_signals_have_no_bounds(num_checkpoints):
    queries = packing.pack_queries(cases.trajectories(num_checkpoints, 100), signal="loss")
    assert bounds.query_bounds(queries) is None
