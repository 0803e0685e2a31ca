"""`ltc.neighbors` on a cluster: the bits, the order and the errors of one machine."""

import numpy as np
import pytest
from clusters import assert_same_neighbours
from pair_cases import BAD_ARGUMENTS, CHECKPOINTS, TRAIN, VAL, trajectories, write

import ltc
import ltc.store.writer
from ltc.queries import Found, merge

CHUNK = 17  # so that ranges are merged in three levels


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("neighbors") / "run.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ltc.store.writer, "CHUNK_SAMPLES", CHUNK)
        write(path)
    return path


@pytest.mark.parametrize("within", ["all", "class"])
@pytest.mark.parametrize("k", [1, 5, TRAIN + 3])
def test_neighbours_are_those_of_one_machine(path, client, within, k):
    alone = ltc.neighbors(path, k=k, within=within)
    assert (alone.aligned.indices >= 0).any()
    assert_same_neighbours(ltc.neighbors(path, k=k, within=within, client=client), alone)


@pytest.mark.parametrize("queries", [[17, 3, 3, 0], slice(2, 20, 3), np.array([23]), [2, 4], []])
def test_some_queries_in_several_passes(path, client, queries, monkeypatch):
    monkeypatch.setattr("ltc_kernels.pairs.QUERY_BYTES", 4 * CHECKPOINTS * 3)
    alone = ltc.neighbors(path, queries, k=4, signal="loss", checkpoints=slice(1, 8))
    found = ltc.neighbors(path, queries, k=4, signal="loss", checkpoints=slice(1, 8), client=client)
    assert_same_neighbours(found, alone)


def test_ties_are_in_the_order_of_the_samples(tmp_path, client, monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 6)
    losses = np.tile(trajectories(7, 0)[:, 3:], (1, 20))
    ltc.write_store(tmp_path / "run.zarr", losses, losses[:, :4])
    alone = ltc.neighbors(tmp_path / "run.zarr", k=9)
    assert (np.diff(alone.aligned.indices[0, :9]) > 0).all()
    assert_same_neighbours(ltc.neighbors(tmp_path / "run.zarr", k=9, client=client), alone)


def test_merging_takes_the_best_of_all_in_any_order():
    random = np.random.default_rng(0)
    values = random.integers(-3, 4, (2, 30)).astype(np.float32)
    values[1, 11:] = np.nan
    indices = np.tile(np.arange(30), (2, 1))
    indices[np.isnan(values)] = -1
    parts = [np.array(part) for part in np.array_split(random.permutation(30), 5)]

    def found(columns):
        ends = [
            (values[:, chosen], indices[:, chosen])
            for chosen in (
                sorted(columns, key=lambda c: (-values[0, c], c)),
                sorted(columns, key=lambda c: (values[0, c], c)),
            )
        ]
        return Found(*ends, 1)

    best = merge([found(part) for part in parts])
    assert best.missing == 5
    for end, sign in ((best.aligned, -1), (best.conflicting, 1)):
        for row in range(2):
            order = sorted(
                np.flatnonzero(~np.isnan(values[row])), key=lambda c: (sign * values[row, c], c)
            )
            size = end[0].shape[1]
            expected = [*order, *[-1] * size][:size]
            assert end[1][row].tolist() == expected


@pytest.mark.parametrize(("change", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments(path, client, change, error, message):
    with pytest.raises(error, match=message):
        ltc.neighbors(path, client=client, **change)


def test_lost_losses_are_told_of(tmp_path, client):
    write(tmp_path / "run.zarr")
    (tmp_path / "run.zarr/train/losses/c/5/0").unlink()
    with pytest.warns(UserWarning, match="losses of train that were recorded are lost"):
        ltc.neighbors(tmp_path / "run.zarr", range(VAL), client=client)
