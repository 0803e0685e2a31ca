"""The benchmark of pairs at its smallest size; it needs the packages that it compares with."""

import numpy as np
import pytest

pytest.importorskip("faiss")
pytest.importorskip("sklearn")

from benchmarks import pair_peers, pairs, works


def test_prints_its_tables():
    described, neighbours, matrix = pairs.run("smallest", rounds=2)
    assert len(described.rows) == 1
    assert [row[0] for row in neighbours.rows][:3] == [pairs.OURS, pairs.DENSE, pairs.STRONGEST]
    assert len(matrix.rows) == 3


@pytest.mark.parametrize("peer", ["faiss-cpu IndexFlatIP", "torch product and topk"])
def test_peers_give_the_same_neighbours(peer, monkeypatch):
    """Wherever correlations differ by more than rounding."""
    monkeypatch.setattr(pair_peers, "TILE", (16, 700))
    work = works.work("smallest")
    train, val = (pair_peers.units(x, signal="difference") for x in (work.train, work.val))
    values, indices = pair_peers.searches(train, val, 5)[peer]()
    expected, samples = pairs.pair_topk(work.train, work.val, 5, signal="difference")
    np.testing.assert_allclose(values, expected, atol=1e-5)
    clear = expected[:, 0] - expected[:, 1] > pairs.TIE
    assert clear.any()
    np.testing.assert_array_equal(indices[clear, 0], samples[clear, 0])


def test_a_wrong_result_is_not_timed():
    work = works.work("smallest")
    train, val = (pair_peers.units(x, signal="difference") for x in (work.train, work.val))
    expected = pairs.pair_topk(work.train, work.val, 5, signal="difference")
    wrong = expected[0], np.roll(expected[1], 7, axis=0)
    with pytest.raises(AssertionError, match="the wrong one"):
        pairs._check("the wrong one", wrong, expected, train, val)
