"""Estimates: exact where they can be, and sane where they are measured."""

import os
from pathlib import Path

import numpy as np
import pytest

import ltc
import ltc.rates
from ltc import planning
from ltc.cli import main
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.planning import plan_run, plan_table
from ltc.rates import Rates, measure_rates

RATES = Rates(
    commit=0.01,
    commit_sample=1e-8,
    score=0.02,
    score_sample=1e-8,
    score_loss=1e-9,
    search=0.03,
    search_sample=1e-7,
    search_query=5e-5,
    search_pair=2e-9,
    selection_sample=1e-8,
)


@pytest.mark.parametrize(("train", "val", "checkpoints"), [(30_000, 2_000, 12), (300_000, 9, 3)])
def test_bytes_of_the_store(tmp_path, train, val, checkpoints):
    rng = np.random.default_rng(0)
    ltc.write_store(
        tmp_path / "run.zarr",
        rng.random((checkpoints, train), np.float32),
        rng.random((checkpoints, val), np.float32),
        train_labels=np.zeros(train, int),
        val_labels=np.zeros(val, int),
    )
    files = [Path(folder, name) for folder, _, names in os.walk(tmp_path) for name in names]
    actual = sum(file.stat().st_size for file in files)
    expected = plan_run(train, val, checkpoints, RATES).store
    assert abs(actual - expected) <= planning.METADATA


def test_by_hand(monkeypatch):
    monkeypatch.setattr(planning, "thread_count", lambda: 2)
    plan = plan_run(1_000_000, 10_000, 90, RATES)
    assert plan.commit == pytest.approx(0.01 + 0.0101)
    assert plan.commits == pytest.approx(90 * 0.0201)
    assert plan.score == pytest.approx(0.02 + 0.01 + 0.09)
    assert plan.all_neighbors == pytest.approx(plan.score + 0.03 + 0.1 + 0.5 + 20)
    assert plan.recording == 8 * 1_010_000
    assert (plan.online, plan.online_with_gaps) == (20_000_000, 36_000_000)
    # two tiles of an eighth of a chunk, and what the kernel takes; 12 bytes a sample
    assert plan.scoring == 2 * (2 * 90 * (32_768 + 64) + 160 * 32_768) + 12_000_000
    monkeypatch.setattr(planning, "thread_count", lambda: 1)
    alone = plan_run(1_000_000, 10_000, 90, RATES).scoring
    assert 512e6 > alone > 2 * 2 * 90 * 262_144 + 12_000_000


def test_rates_are_positive_and_finite():
    rates = measure_rates(10)
    assert all(0 <= rate < 10 for rate in vars(rates).values())
    assert min(rates.commit_sample, rates.score, rates.score_loss, rates.search_pair) > 0


def test_measurements_leave_nothing_behind(tmp_path, capsys):
    measure_rates(5, tmp_path)
    assert list(tmp_path.iterdir()) == []
    sizes = ["--train", "10", "--val", "10", "--checkpoints", "5"]
    assert main(["plan", *sizes, "--folder", str(tmp_path / "none")]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_long_trajectories_take_longer():
    assert measure_rates(4096).search_pair > 8 * measure_rates(20).search_pair


def test_command_line(monkeypatch, capsys):
    monkeypatch.setattr(ltc.rates, "measure_rates", lambda _checkpoints, _folder: RATES)
    assert main(["plan", "--train", "1281167", "--val", "12800", "--checkpoints", "90"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == plan_table(plan_run(1_281_167, 12_800, 90, RATES))
    assert "1,281,167 train, 12,800 val, 90 checkpoints" in printed
    assert "244 MB" in printed
    assert "Estimates." in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert main(["plan", "--train", "0", "--val", "12800", "--checkpoints", "90"]) == 2
    assert "train" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((0, 1, 4), ArgumentValueError, "num_train must be at least 1, got 0"),
        ((1, 0.5, 4), ArgumentTypeError, "num_val must be an integer, got 0.5"),
        ((1, 1, True), ArgumentTypeError, "num_checkpoints must be an integer, got True"),
    ],
)
def test_bad_sizes(sizes, error, message):
    with pytest.raises(error, match=message):
        plan_run(*sizes, RATES)
