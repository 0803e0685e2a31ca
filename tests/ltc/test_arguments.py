"""Arguments of a wrong type are errors of ours, which name the argument."""

import numpy as np
import pytest

import ltc
from ltc.errors import ArgumentTypeError

SCORES = ltc.Scores(np.zeros(3, np.float32))
CURVE = np.ones(4)
CALLS = {
    "path of saved scores": (SCORES.save, "path"),
    "path of scores": (ltc.load_scores, "path"),
    "path of a coreset": (SCORES.select(k=1, balance=None).save, "path"),
    "state": (ltc.OnlineScorer([0], [0]).load_state_dict, "state"),
    "correlation": (
        ltc.Stability(CURVE, CURVE, CURVE, 0.1, 3, 3, "loss", "mean").stable_from,
        "correlation",
    ),
}


@pytest.mark.parametrize("value", [None, 10**30 + 0j, [1], object(), b"bytes", len])
@pytest.mark.parametrize("name", CALLS)
def test_wrong_types(name, value):
    call, argument = CALLS[name]
    with pytest.raises(ArgumentTypeError, match=f"{argument} must be"):
        call(value)


@pytest.mark.parametrize("value", [None, "x", [0.1], True])
def test_the_fraction_of_stability(tmp_path, value):
    losses = np.random.default_rng(0).random((5, 4))
    ltc.write_store(tmp_path / "run.zarr", losses, losses)
    with pytest.raises(ArgumentTypeError, match="fraction must be a number, got"):
        ltc.stability(tmp_path / "run.zarr", reference="mean", fraction=value)
