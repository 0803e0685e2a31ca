"""A clock that jumps while a run is recorded changes nothing but the times that are kept."""

from types import SimpleNamespace

import numpy as np
import pytest

import ltc
from ltc.cli import main
from ltc.store import open_store, writer

CLOCKS = {
    "goes back": [2e9, 1e9, 0.0, -1e9, 3e9],
    "jumps far ahead": [1.7e9, 1e12, 1e18, 1e300, 1.7e9],
    "stands still": [1.7e9] * 5,
    "was never set": [0.0, 1.0, 2.0, 3.0, 4.0],
}


@pytest.fixture(params=CLOCKS)
def clock(request, monkeypatch):
    times = iter(CLOCKS[request.param])
    monkeypatch.setattr(writer, "time", SimpleNamespace(time=lambda: next(times)))
    return CLOCKS[request.param]


def record(recorder, checkpoint):
    random = np.random.default_rng(checkpoint)
    recorder.update("train", range(6), losses=random.random(6))
    recorder.update("val", range(4), losses=random.random(4))


def test_a_run_whose_clock_jumps(clock, tmp_path, capsys):
    path = tmp_path / "run.zarr"
    arguments = {"train_labels": [0, 1] * 3, "val_labels": [0, 1] * 2, "resume": True}
    with ltc.Recorder(path, **arguments) as recorder:
        for checkpoint in range(4):
            record(recorder, checkpoint)
            recorder.commit(checkpoint)
        record(recorder, 4)
        state = recorder.state_dict()
        recorder.close()
    with ltc.Recorder(path, **arguments) as recorder:
        recorder.rewind(2)
        with pytest.raises(ltc.LtcError, match="it was made after 4 checkpoints"):
            recorder.load_state_dict(state)
        record(recorder, 3)
        recorder.commit(3)
    store = open_store(path)
    assert store.checkpoints.tolist() == [0, 1, 2, 3]
    assert [commit.time for commit in store.commits] == [*clock[:3], clock[4]]
    expected = [np.random.default_rng(checkpoint).random(6) for checkpoint in range(4)]
    np.testing.assert_array_equal(store.read("train"), np.float16(expected))
    assert store.verify().ok
    assert np.isfinite(ltc.score(path).values).all()
    assert main(["info", str(path)]) == 0
    assert "recorded" in capsys.readouterr().out
