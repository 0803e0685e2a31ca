"""Exact neighbours and the matrix of correlations, against their definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assertions import assert_scores_close
from kernels import cases
from ltc_kernels import (
    ArgumentTypeError,
    ArgumentValueError,
    BackendUnavailableError,
    PairSearch,
    pair_correlation,
    pair_topk,
)

TIE = 2e-5  # correlations nearer than this may be in any order


def assert_neighbours_agree(found, correlations, k, largest=True):
    """Fail unless values and indices are the best k of ``correlations`` [M, N]."""
    values, indices = found
    sign = 1 if largest else -1
    num_queries, num_samples = correlations.shape
    assert values.shape == indices.shape == (num_queries, k)
    assert values.dtype == np.float32
    assert indices.dtype == np.int64
    ordered = -np.sort(-sign * correlations, axis=1)  # NaN last
    best = np.full((num_queries, k), np.nan)
    best[:, : min(k, num_samples)] = sign * ordered[:, :k]
    assert_scores_close(values, best, what="values")
    np.testing.assert_array_equal(indices == -1, np.isnan(best))
    for m in range(num_queries):
        chosen = indices[m][indices[m] >= 0]
        assert len(set(chosen)) == len(chosen)
        assert_scores_close(values[m, : len(chosen)], correlations[m, chosen])
        if 0 < len(chosen) < num_samples:
            others = np.delete(correlations[m], chosen)
            assert not (sign * others > sign * best[m, len(chosen) - 1] + TIE).any()
        keys = list(zip(-sign * values[m, : len(chosen)], chosen, strict=True))
        assert keys == sorted(keys), f"query {m} is not sorted by value, then by index"


def check(train, val, signal, k):
    expected = pair_correlation(train, val, signal=signal, backend="reference")
    actual = pair_correlation(train, val, signal=signal)
    assert_scores_close(actual, expected, backend="cpu", what=signal)
    for largest in (True, False):
        found = pair_topk(train, val, k, signal=signal, largest=largest)
        assert_neighbours_agree(found, expected.astype(np.float64), k, largest)
        assert_same_bits(found, actual, largest)
    return actual


def assert_same_bits(found, matrix, largest):
    """Fail unless the search found exactly what sorting the computed matrix gives."""
    values, indices = found
    keys = np.where(np.isnan(matrix), np.inf, -matrix if largest else matrix)
    order = np.argsort(keys, axis=1, kind="stable")[:, : values.shape[1]]
    best = np.take_along_axis(matrix, order, axis=1)
    np.testing.assert_array_equal(values[:, : order.shape[1]], best)
    order[np.isnan(best)] = -1
    np.testing.assert_array_equal(indices[:, : order.shape[1]], order)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "change", cases.CHANGES, ids=lambda change: getattr(change, "__name__", "plain")
)
def test_awkward_values(signal, dtype, change):
    case = cases.case(41, 150, num_groups=20, dtype=dtype, change=change)
    check(case.losses, case.references.T.astype(dtype), signal, k=10)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_checkpoints", cases.CHECKPOINTS)
def test_number_of_checkpoints(signal, num_checkpoints):
    check(
        cases.trajectories(num_checkpoints, 70), cases.trajectories(num_checkpoints, 9), signal, 5
    )


@pytest.mark.parametrize("num_queries", [0, 1, 2, 5, 6, 7, 13])
@pytest.mark.parametrize("num_samples", [0, 1, 15, 63, 64, 65, 129])
def test_number_of_samples_and_queries(num_samples, num_queries):
    train, val = cases.trajectories(7, num_samples), cases.trajectories(7, num_queries, seed=3)
    check(train, val, "difference", k=4)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("change", [cases.offset, cases.outlier_first, cases.drift, cases.early])
def test_hostile_values_at_4096_checkpoints(signal, change):
    case = cases.case(4096, 66, num_groups=7, dtype=np.float32, change=change)
    check(case.losses, case.references.T.astype(np.float32), signal, k=3)


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_squares_beyond_float32_are_done_in_float64(signal):
    train, val = (cases.trajectories(20, n, dtype=np.float32) for n in (100, 10))
    for scale in (1e30, 1e-30):
        found = check(train * np.float32(scale), val, signal, k=5)
        assert not np.isnan(found).any()


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("k", [1, 99, 100, 101, 1024])
def test_k_up_to_more_than_there_are(signal, k):
    train, val = cases.trajectories(12, 100), cases.trajectories(12, 8, seed=3)
    train[:, 5] = 1.0
    train[4, 7] = np.nan
    val[:, 2] = 1.0
    val[3, 3] = np.nan
    check(train, val, signal, k)


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_a_query_that_does_not_vary_has_no_neighbours(signal):
    val = cases.trajectories(12, 3)
    val[:, 1] = np.arange(12) if signal == "difference" else 0.25
    values, indices = pair_topk(cases.trajectories(12, 50), val, 4, signal=signal)
    assert np.isnan(values[1]).all()
    assert (indices[1] == -1).all()
    assert (indices[[0, 2]] >= 0).all()


@pytest.mark.parametrize("largest", [True, False])
def test_identical_trajectories_come_by_index(largest):
    """One value has many samples."""
    train = np.repeat(cases.trajectories(12, 1), 20_000, axis=1)
    val = cases.trajectories(12, 7, seed=3)
    values, indices = pair_topk(train, val, 1000, signal="loss", largest=largest)
    np.testing.assert_array_equal(indices, np.tile(np.arange(1000), (7, 1)))
    assert (values == values[:, :1]).all()


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("k", [1, 10, 100])
def test_limits_from_a_part_of_the_samples_lose_none(signal, k):
    """Enough samples that some are looked at first; sorted, so that the best come last."""
    train, val = cases.trajectories(9, 60_000), cases.trajectories(9, 20, seed=3)
    train[5, ::997] = np.nan
    matrix = pair_correlation(train, val, signal=signal)
    order = np.argsort(matrix[0])
    train, matrix = np.ascontiguousarray(train[:, order]), matrix[:, order]
    for largest in (True, False):
        assert_same_bits(pair_topk(train, val, k, signal=signal, largest=largest), matrix, largest)


@pytest.mark.parametrize("ends", ["largest", "smallest", "both"])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_parts_give_the_same_bits_as_the_whole(ends, backend):
    num_samples = 9_000 if backend == "cpu" else 200
    train, val = cases.trajectories(20, num_samples), cases.trajectories(20, 9, seed=3)
    train[3, ::50] = np.nan
    val[3, 2] = np.nan
    search = PairSearch(val, 7, signal="loss", ends=ends, backend=backend)
    borders = [0, 0, 1, 65, num_samples // 2, num_samples]
    for begin, end in itertools.pairwise(borders):
        search.add(train[:, begin:end])
    wanted = {"largest": [True], "smallest": [False], "both": [True, False]}[ends]
    for (values, indices), largest in zip(search.results(), wanted, strict=True):
        expected = pair_topk(train, val, 7, signal="loss", largest=largest, backend=backend)
        np.testing.assert_array_equal(values, expected[0])
        np.testing.assert_array_equal(indices, expected[1])


def test_samples_may_have_any_ascending_index():
    train, val = cases.trajectories(10, 200), cases.trajectories(10, 4, seed=3)
    names = np.cumsum(np.arange(200) % 5 + 1) + 2**40
    search = PairSearch(val, 5, signal="loss", ends="largest")
    search.add(train[:, :90], names[:90])
    search.add(train[:, 90:], names[90:])
    values, indices = search.results()[0]
    expected = pair_topk(train, val, 5, signal="loss")
    np.testing.assert_array_equal(values, expected[0])
    np.testing.assert_array_equal(indices, names[expected[1]])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_small_shapes_with_many_exact_ties(data):
    """Losses of three values: many trajectories are equal, constant or mirrored."""
    num_checkpoints = data.draw(st.integers(1, 6), label="checkpoints")
    num_samples = data.draw(st.integers(0, 140), label="samples")
    num_queries = data.draw(st.integers(0, 8), label="queries")
    seed = data.draw(st.integers(0, 2**32 - 1), label="seed")
    missing = data.draw(st.sampled_from([0.0, 0.1]), label="missing")
    rng = np.random.default_rng(seed)

    def draw(size):
        losses = rng.integers(0, 3, (num_checkpoints, size)).astype(np.float16)
        losses[rng.random(losses.shape) < missing] = np.nan
        return losses

    k = data.draw(st.integers(1, 150), label="k")
    signal = data.draw(st.sampled_from(cases.SIGNALS), label="signal")
    check(draw(num_samples), draw(num_queries), signal, k)


def test_torch_tensors_give_tensors():
    torch = pytest.importorskip("torch")
    train, val = cases.trajectories(12, 70), cases.trajectories(12, 5)
    tensors = torch.from_numpy(train), torch.from_numpy(val)
    matrix = pair_correlation(*tensors, signal="loss")
    assert isinstance(matrix, torch.Tensor)
    np.testing.assert_array_equal(matrix.numpy(), pair_correlation(train, val, signal="loss"))
    values, indices = pair_topk(*tensors, 3, signal="loss")
    assert isinstance(values, torch.Tensor)
    np.testing.assert_array_equal(indices.numpy(), pair_topk(train, val, 3, signal="loss")[1])


LOSSES = np.zeros((4, 3), np.float16)
BAD = [
    ({"k": 0}, ArgumentValueError, r"k must lie in 1\.\.1024, got 0"),
    ({"k": 1025}, ArgumentValueError, r"k must lie in 1\.\.1024, got 1025"),
    ({"k": 2.0}, ArgumentTypeError, r"k must be an integer, got 2\.0"),
    ({"k": True}, ArgumentTypeError, "k must be an integer, got True"),
    ({"signal": "gain"}, ArgumentValueError, "signal must be one of loss, difference, got 'gain'"),
    ({"val": LOSSES[:3]}, ArgumentValueError, "as many checkpoints as val, 3, got 4"),
    ({"val": LOSSES[0]}, ArgumentValueError, r"val must have shape .* got shape \(3,\)"),
    ({"train": np.zeros((4, 3))}, ArgumentTypeError, "train must be float16 or float32"),
    ({"backend": "tpu"}, ArgumentValueError, "backend must be one of .* got 'tpu'"),
    ({"backend": "gpu"}, BackendUnavailableError, "'gpu' takes torch tensors .* a NumPy array"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(change, error, message):
    arguments = {"train": LOSSES, "val": LOSSES, "k": 2, "signal": "loss"} | change
    with pytest.raises(error, match=message):
        pair_topk(**arguments)
    if "k" not in change:
        del arguments["k"]
        with pytest.raises(error, match=message):
            pair_correlation(**arguments)


def test_bad_parts():
    search = PairSearch(LOSSES, 2, signal="loss")
    with pytest.raises(ArgumentValueError, match="as many checkpoints as val, 4, got 3"):
        search.add(LOSSES[:3])
    with pytest.raises(ArgumentValueError, match=r"samples must have shape \(3,\).* got \(2,\)"):
        search.add(LOSSES, np.arange(2))
    with pytest.raises(ArgumentTypeError, match="samples must be integers, got float64"):
        search.add(LOSSES, np.zeros(3))
    search.add(LOSSES, np.array([3, 4, 9]))
    with pytest.raises(ArgumentValueError, match=r"samples must ascend.* got 9 after 9"):
        search.add(LOSSES, np.array([9, 10, 11]))
    with pytest.raises(ArgumentValueError, match=r"ends must be one of .* got 'middle'"):
        PairSearch(LOSSES, 2, signal="loss", ends="middle")
