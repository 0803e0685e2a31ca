"""Exact neighbours on a GPU, against the matrix and the float64 definition."""

import itertools

import numpy as np
import pytest
import torch

from kernels import cases
from kernels.test_neighbours import assert_neighbours_agree
from ltc_kernels import ArgumentValueError, PairSearch, pair_correlation, pair_topk
from ltc_kernels.gpu import topk, topk_best
from ltc_kernels.gpu.topk_keys import empty_keys, split_keys


def check(place, train, val, k, signal="difference"):
    """Both ends against the definition."""
    correlations = pair_correlation(train, val, signal=signal, backend="reference")
    correlations = correlations.astype(np.float64)
    for largest in (True, False):
        found = pair_topk(
            place(train), place(val), k, signal=signal, largest=largest, backend="gpu"
        )
        found = tuple(tensor.cpu().numpy() for tensor in found)
        assert_neighbours_agree(found, correlations, k, largest)


@pytest.mark.parametrize("k", [1, 3, 64, 65, 300])
@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_k_up_to_more_than_there_are(place, signal, k):
    train, val = cases.trajectories(12, 100), cases.trajectories(12, 5, seed=3)
    train[:, 5] = 1.0
    train[4, 7] = np.nan
    val[:, 2] = 1.0
    val[3, 3] = np.nan
    check(place, train[:, : max(k, 40)], val, k, signal)


@pytest.mark.parametrize(
    ("num_samples", "num_queries", "k"),
    [
        *(
            (*size, k)
            for size in [(0, 0), (0, 2), (1, 0), (1, 1), (65, 2), (130, 1)]
            for k in (2, 70)
        ),
        (1, 129, 2),
        (63, 17, 70),
    ],
)
def test_number_of_samples_and_queries(place, num_samples, num_queries, k):
    train, val = cases.trajectories(4, num_samples), cases.trajectories(4, num_queries, seed=3)
    check(place, train, val, k)


@pytest.mark.parametrize("k", [3, 70])
@pytest.mark.parametrize("change", [cases.missing_in_losses, cases.huge, cases.infinite])
def test_awkward_values(place, change, k):
    case = cases.case(18, 90, num_groups=6, change=change, dtype=np.float32)
    check(place, case.losses, case.references.T.astype(np.float32), k)


@pytest.mark.parametrize("k", [4, 80])
def test_more_checkpoints_than_a_span(place, k):
    check(place, cases.trajectories(300, 90), cases.trajectories(300, 3, seed=3), k, "loss")


@pytest.mark.parametrize("k", [10, 100])
@pytest.mark.parametrize("largest", [True, False])
def test_identical_trajectories_come_by_index(place, largest, k):
    """Many samples have one value, and every tile has as good ones."""
    train = np.repeat(cases.trajectories(6, 1), 500, axis=1)
    train[:, 7] = np.nan
    val = cases.trajectories(6, 3, seed=3)
    values, indices = pair_topk(
        place(train), place(val), k, signal="loss", largest=largest, backend="gpu"
    )
    expected = np.delete(np.arange(k + 1), 7)
    np.testing.assert_array_equal(indices.cpu().numpy(), np.tile(expected, (3, 1)))
    assert (values == values[:, :1]).all()


@pytest.mark.parametrize("k", [5, 90])
@pytest.mark.parametrize("order", [1, -1])
def test_samples_in_order_of_their_correlation_lose_none(place, monkeypatch, order, k):
    """Ascending, each is better than all before: every product exceeds the limit."""
    monkeypatch.setattr(topk_best, "FIRST_STEP", 64)
    monkeypatch.setattr(topk_best, "MOST_CANDIDATES", 64)
    train, val = cases.trajectories(9, 300), cases.trajectories(9, 2, seed=3)
    best = np.argsort(pair_correlation(train, val[:, :1], signal="loss")[0])[::order]
    check(place, np.ascontiguousarray(train[:, best]), val, k, "loss")


@pytest.mark.parametrize(("ends", "k"), [("largest", 7), ("smallest", 7), ("both", 70)])
def test_parts_give_the_same_as_the_whole(place, monkeypatch, ends, k):
    monkeypatch.setattr(topk_best, "FIRST_STEP", 64)
    monkeypatch.setattr(topk, "COLUMNS", 128)
    train, val = cases.trajectories(8, 260), cases.trajectories(8, 3, seed=3)
    train[3, ::90] = np.nan
    train[:, ::80] *= 1e-7
    val[3, 2] = np.nan
    search = PairSearch(place(val), k, signal="loss", ends=ends, backend="gpu")
    names = np.arange(260)
    names[150:] = np.cumsum(np.arange(110) % 5 + 1) + 2**40  # some follow one another, some don't
    for begin, end in itertools.pairwise([0, 0, 1, 150, 200, 260]):
        some = names[begin:end] if begin < 200 else torch.from_numpy(names[begin:end])
        search.add(place(train[:, begin:end]), some)
    wanted = {"largest": [True], "smallest": [False], "both": [True, False]}[ends]
    found = search.results()
    assert len(found) == len(wanted)
    correlations = pair_correlation(train, val, signal="loss", backend="reference")
    for (values, indices), largest in zip(found, wanted, strict=True):
        places = np.searchsorted(names, indices.cpu().numpy())
        np.testing.assert_array_equal(names[places], indices.cpu().numpy())
        assert_neighbours_agree(
            (values.cpu().numpy(), places), correlations.astype(np.float64), k, largest
        )


@pytest.mark.parametrize("k", [7, 70])
def test_a_part_that_failed_may_come_again(place, monkeypatch, k):
    """A device out of memory: half of the samples have been offered, and all are once more."""
    train, val = cases.trajectories(8, 130), cases.trajectories(8, 3, seed=3)
    search = PairSearch(place(val), k, signal="loss", ends="largest", backend="gpu")
    monkeypatch.setattr(topk, "COLUMNS", 64)
    compare, calls = topk.compare, []

    def failing(*arguments):
        calls.append(arguments)
        compare(*arguments)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("no more")

    monkeypatch.setattr(topk, "compare", failing)
    with pytest.raises(torch.OutOfMemoryError):
        search.add(place(train))
    for half in (slice(0, 64), slice(64, 130)):
        search.add(place(train[:, half]))
    found = tuple(tensor.cpu().numpy() for tensor in search.results()[0])
    correlations = pair_correlation(train, val, signal="loss", backend="reference")
    assert_neighbours_agree(found, correlations.astype(np.float64), k)


def test_samples_follow_one_another_by_default(place):
    train, val = cases.trajectories(7, 130), cases.trajectories(7, 2, seed=3)
    search = PairSearch(place(val), 3, signal="loss", ends="largest", backend="gpu")
    search.add(place(train[:, :65]))
    search.add(train[:, 65:])  # from the host
    expected = pair_topk(train, val, 3, signal="loss")[1]
    np.testing.assert_array_equal(search.results()[0][1].cpu().numpy(), expected)


def test_a_search_of_nothing_finds_nothing(place):
    search = PairSearch(place(cases.trajectories(7, 2)), 3, signal="loss", backend="gpu")
    for values, indices in search.results():
        assert torch.isnan(values).all()
        assert (indices == -1).all()


def test_a_search_takes_only_as_many_samples_as_keys_tell_apart(place, monkeypatch):
    monkeypatch.setattr(topk, "MOST_SAMPLES", 5)
    search = PairSearch(place(cases.trajectories(7, 2)), 3, signal="loss", backend="gpu")
    with pytest.raises(ArgumentValueError, match="a search takes at most 5 samples, got 6"):
        search.add(place(cases.trajectories(7, 6)))


def test_keys_hold_values_and_places(device):
    keys = empty_keys(2, 4, device)
    assert len(set(keys[:2].tolist())) == 2
    values, places = split_keys(keys[:2])
    assert torch.isnan(values).all()
    assert places.tolist() == [-1, -1]
