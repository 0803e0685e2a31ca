"""Agreement of prefixes with the whole, against `ltc.score` and scipy."""

import numpy as np
import pytest
import scipy.stats

import ltc
from kernels import cases
from ltc.cli import main
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.evaluation.agreement import spearman
from ltc.stability import stability, stability_table

NUM_TRAIN, NUM_VAL, CLASSES, CHECKPOINTS = 400, 60, 4, 14


def write(path, *, gaps=False, labelled=True):
    train = cases.trajectories(CHECKPOINTS, NUM_TRAIN, dtype=np.float32)
    val = cases.trajectories(CHECKPOINTS, NUM_VAL, seed=1, dtype=np.float32)
    if gaps:
        train[np.random.default_rng(0).random(train.shape) < 0.05] = np.nan
        train[:, 7] = np.nan
        val[5] = np.nan
    labels = {}
    if labelled:
        labels = {
            "train_labels": np.arange(NUM_TRAIN) % CLASSES,
            "val_labels": np.arange(NUM_VAL) % CLASSES,
        }
    ltc.write_store(path, train, val, checkpoints=np.arange(CHECKPOINTS) * 10, **labels)
    return path


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(("signal", "reference"), [("difference", "class-mean"), ("loss", "mean")])
def test_prefixes_are_those_of_score(tmp_path, gaps, signal, reference):
    run = write(tmp_path / "run.zarr", gaps=gaps)
    found = stability(run, signal=signal, reference=reference, fraction=0.2)
    final = ltc.score(run, signal=signal, reference=reference)
    used = np.array(final.metadata["checkpoints"])
    np.testing.assert_array_equal(found.checkpoints, used)
    assert used.size == CHECKPOINTS - gaps
    assert found.num_samples == found.num_train == NUM_TRAIN
    best = final.select(fraction=0.2).indices
    least = 3 if signal == "loss" else 4
    assert np.isnan(found.correlation[: least - 1]).all()
    assert np.isnan(found.overlap[: least - 1]).all()
    for t in range(least - 1, used.size):
        rows = (used[: t + 1] / 10).astype(int)
        values = ltc.score(run, signal=signal, reference=reference, checkpoints=rows)
        both = ~(values.undefined | final.undefined)
        expected = scipy.stats.spearmanr(values.values[both], final.values[both]).statistic
        # scores that agree to 1e-6 may swap their places
        assert found.correlation[t] == pytest.approx(expected, abs=1e-3)
        overlap = np.intersect1d(best, values.select(fraction=0.2).indices).size / best.size
        assert found.overlap[t] == pytest.approx(overlap, abs=1.5 / best.size)
    assert found.correlation[-1] == pytest.approx(1)
    assert found.overlap[-1] == 1


def test_a_sample_tells_nearly_the_same(tmp_path):
    run = write(tmp_path / "run.zarr")
    whole, part = stability(run), stability(run, samples=200)
    assert part.num_samples == 200
    assert part.num_train == NUM_TRAIN
    np.testing.assert_allclose(part.correlation, whole.correlation, atol=0.15)
    np.testing.assert_array_equal(stability(run, samples=200).correlation, part.correlation)
    assert not np.array_equal(stability(run, samples=200, seed=1).correlation, part.correlation)


def test_memory_limits_the_number_of_samples(tmp_path):
    run = write(tmp_path / "run.zarr")
    found = stability(run, memory_limit="120kB")
    assert 0 < found.num_samples < NUM_TRAIN


def test_without_labels(tmp_path):
    run = write(tmp_path / "run.zarr", labelled=False)
    assert stability(run, reference="mean").overlap[-1] == 1
    with pytest.raises(ArgumentValueError, match="needs labels"):
        stability(run)


def test_stable_from(tmp_path):
    found = stability(write(tmp_path / "run.zarr"))
    first = found.stable_from(0.9)
    after = found.checkpoints >= first
    assert (found.correlation[after] >= 0.9).all()
    assert found.correlation[~after][-1] < 0.9


@pytest.mark.parametrize("size", [2, 5, 1000])
def test_spearman_with_ties(size):
    rng = np.random.default_rng(size)
    a, b = rng.integers(0, max(size // 3, 3), (2, size)).astype(np.float32)
    a[0], b[0], a[1], b[1] = 0, 1, 1, 0
    assert spearman(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    assert np.isnan(spearman(a, np.zeros_like(a)))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"reference": "pairs"}, ArgumentValueError, "reference must be class-mean or mean"),
        ({"fraction": 0}, ArgumentValueError, "fraction must lie in 0..1"),
        ({"samples": 0}, ArgumentValueError, "samples must be at least 1, got 0"),
        ({"samples": 0.5}, ArgumentTypeError, "samples must be an integer, got 0.5"),
        ({"checkpoints": slice(2)}, ArgumentValueError, "checkpoints must leave at least 4"),
    ],
)
def test_bad_arguments(tmp_path, settings, error, message):
    run = write(tmp_path / "run.zarr")
    with pytest.raises(error, match=message):
        stability(run, **settings)


def test_command_line(tmp_path, capsys):
    run = str(write(tmp_path / "run.zarr"))
    assert main(["info", run, "--stability"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == stability_table(stability(run))
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    assert "400 samples" in lines[0]
    assert [line.split()[0] for line in lines[5:19]] == [f"{10 * t}" for t in range(14)]
    assert lines[5].split() == ["0", "-", "-"]
    assert lines[18].split() == ["130", "1.000", "1.000"]
    assert lines[-1].startswith("correlation at least 0.99 from checkpoint ")


def test_some_rows_of_a_long_table(tmp_path):
    found = stability(write(tmp_path / "run.zarr"), samples=300)
    assert "300 of 400 samples, at random" in stability_table(found)
    long = ltc.Stability(np.arange(90.0), *np.full((2, 90), 0.5), 0.1, 10, 10, "loss", "mean")
    assert len(stability_table(long).splitlines()) == 16 + 7
    assert len(stability_table(long, every=True).splitlines()) == 90 + 7


@pytest.mark.parametrize("correlation", [2, -1.5, float("nan")])
def test_stable_from_takes_a_correlation(tmp_path, correlation):
    write(tmp_path / "run.zarr")
    found = stability(tmp_path / "run.zarr")
    with pytest.raises(ArgumentValueError, match=r"correlation must lie in -1\.\.1, got"):
        found.stable_from(correlation)
