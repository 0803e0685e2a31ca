"""`score` and `neighbors` through a conveyor and the kernels, on what stands in for a GPU."""

from types import SimpleNamespace

import numpy as np
import pytest
from places import HostPlace

import ltc
from assertions import assert_scores_close
from kernels import cases
from ltc import score_pass
from ltc.class_search import ClassSearch
from ltc.score_plan import plan_score

BAR = SimpleNamespace(update=lambda _count: None)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("device") / "run.zarr"
    train, val = cases.trajectories(7, 300), cases.trajectories(7, 40, seed=1)
    train[2, ::17] = np.nan
    train[:, 5] = 1.5
    rng = np.random.default_rng(2)
    ltc.write_store(
        path,
        train,
        val,
        train_labels=rng.integers(0, 3, 300),
        val_labels=np.arange(40) % 3,
    )
    return ltc.open_store(path)


@pytest.mark.parametrize("reference", ["class-mean", "mean", "class-pairs"])
@pytest.mark.parametrize("signal", ["difference", "loss"])
def test_scores_are_those_of_the_cpu(store, monkeypatch, signal, reference):
    expected = ltc.score(store, signal=signal, reference=reference)
    monkeypatch.setattr(score_pass, "group_correlation", on_gpu(score_pass.group_correlation))
    monkeypatch.setattr(score_pass, "pair_sums", on_gpu(score_pass.pair_sums))
    plan = plan_score(store, signal, reference, None, None, 2**28)
    kernel = score_pass.tile_kernel(plan, score_pass.prepare_scoring(plan))
    every = slice(0, store.num_train)
    values, missing = score_pass.score_on_device(plan, kernel, HostPlace(), 128, BAR, every)
    assert_scores_close(values, expected.values)
    assert missing == expected.metadata["missing"]["train"]


def on_gpu(kernel):
    return lambda *arrays, **options: kernel(*arrays, **options, backend="gpu")


@pytest.mark.parametrize("within", ["all", "class"])
def test_neighbours_are_those_of_the_cpu(store, within):
    queries = np.array([3, 17, 4, 39])
    expected = ltc.neighbors(store, queries=queries, k=5, within=within, device="cpu")
    val = store.read("val", samples=queries)
    classes = store.labels("train"), store.labels("val")[queries]
    search = ClassSearch(
        val,
        5,
        signal="difference",
        device="cpu",
        classes=classes if within == "class" else None,
        place=HostPlace(),
    )
    assert sum(tile.shape[1] for tile in search.run(store, range(7), memory=10**7)) == 300
    for places, results in search.results():
        for ranking, (values, indices) in zip(
            (expected.aligned, expected.conflicting), results, strict=True
        ):
            np.testing.assert_array_equal(indices, ranking.indices[places])
            assert_scores_close(values, ranking.values[places])
