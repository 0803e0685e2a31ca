"""What a plan for a cluster says: counts that can be checked, and limits by hand."""

from dataclasses import replace

import pytest

import ltc.rates
from ltc.cli import main
from ltc.distributed import planning
from ltc.distributed import steps as planned
from ltc.distributed.cluster import chunk_ranges
from ltc.distributed.planning import Conditions, cluster_table, plan_cluster
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.rates import Rates

CHUNK = 262_144
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


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    monkeypatch.setattr(planning, "thread_count", lambda: 2)


def steps(*sizes, **options):
    return {step.name: step for step in plan_cluster(*sizes, RATES, **options).steps}


def test_tasks_are_those_that_the_work_is_divided_into():
    size = 300 * CHUNK + 5
    found = steps(size, 1000, 10, workers=3)
    tasks = len(chunk_ranges([slice(0, size)], CHUNK, 6))
    assert found["score"].tasks == tasks + 1
    blocks = len(chunk_ranges([slice(0, size)], CHUNK, 1))
    assert found["select"].puts == blocks
    assert found["select"].tasks > 6 * blocks
    assert found["all commits"].tasks == 0


def test_requests_by_hand():
    found = steps(10 * CHUNK, 2 * CHUNK, 10, workers=1)
    # 12 chunks of losses for each checkpoint, 12 of labels, what opening a store takes, and 2 for
    # each of 10 tasks, to know that it is still the same
    assert found["score"].gets == 12 * 10 + 12 + planned.OPENING + 2 * 10
    assert found["all commits"].puts == 10 * (12 + planned.SMALL_OBJECTS)
    assert found["neighbors"].puts == 0
    assert plan_cluster(10 * CHUNK, 2 * CHUNK, 10, RATES, 1).objects == 12 * 11 + 29


def test_what_is_read_again_by_hand():
    # Tiles of neighbours have 100 MB for three buffers: of 90 checkpoints half a chunk each.
    few = steps(10 * CHUNK, 1000, 90, workers=1)["neighbors"]
    assert few.gets == 90 * (2 * 10 + 1) + planned.OPENING + 2 * 10
    assert few.moved == 2 * 90 * (2 * 10 * CHUNK + 1000)
    assert few.tasks == 2 + 10 + 3  # of 10, merged 4 at a time, 4 are left, and of these one
    # A search holds 64 MiB of what it finds, 240 bytes a query, so that a million take four passes.
    many = steps(10 * CHUNK, 10**6, 20, workers=1)["neighbors"]
    assert many.gets == 20 * (4 * 10 + 4) + 4 * (planned.OPENING + 2 * 10)
    assert many.tasks == 4 * (2 + 10 + 3)
    # Of 1,000 checkpoints a task scores a chunk in four tiles, each of which takes all of it.
    assert steps(CHUNK, CHUNK, 1000, workers=1)["score"].moved == (
        CHUNK * (2 * 1000 * (4 + 1) + 4 * 2 + 4)
    )


def test_small_runs_are_not_padded_to_whole_chunks():
    found = steps(1000, 10, 7, workers=1)
    assert found["all commits"].moved == 7 * 2 * 1010
    assert found["score"].moved == 2 * 7 * 1010 + 4 * 1010 + 4 * 1000


def test_limits_by_hand():
    assumed = Conditions(network=8, latency=0.2, reads=100, writes=50, scheduler=0.01)
    score = steps(100 * CHUNK, CHUNK, 10, workers=4, conditions=assumed)["score"]
    samples = 100 * CHUNK
    each = 1e-8 + 10e-9
    assert score.limits["computing"] == pytest.approx(0.02 + CHUNK * each + samples * each / 4)
    moved = 101 * CHUNK * (20 + 4) + 4 * samples
    assert score.moved == moved
    assert score.limits["network"] == pytest.approx(moved / 1e9 / 4)
    assert score.limits["reads"] == score.gets / 100
    assert score.limits["writes"] == score.puts / 50
    assert score.limits["answers"] == pytest.approx((score.gets + score.puts) / (8 * 32) * 0.2)
    assert score.limits["scheduler"] == pytest.approx(score.tasks * 0.01)
    assert score.seconds == max(score.limits.values())
    assert score.bound == "reads"


def test_what_bounds_a_step_follows_the_conditions():
    base = Conditions()
    for change, bound in (
        ({"network": 0.01}, "network"),
        ({"reads": 10}, "reads"),
        ({"latency": 100}, "answers"),
        ({"scheduler": 10}, "scheduler"),
    ):
        found = steps(10**9, 10**4, 50, workers=16, conditions=replace(base, **change))
        assert found["score"].bound == bound


def test_more_workers_compute_less_each_but_ask_the_store_as_often():
    one, many = (steps(10**9, 10**4, 50, workers=n) for n in (1, 100))
    name = "neighbors"
    assert many[name].limits["computing"] < 0.02 * one[name].limits["computing"]
    assert many[name].limits["reads"] == pytest.approx(one[name].limits["reads"], rel=0.02)
    assert many["all commits"] == one["all commits"]


def test_command_line(monkeypatch, capsys):
    monkeypatch.setattr(ltc.rates, "measure_rates", lambda _checkpoints, _folder: RATES)
    sizes = ["--train", "1e10", "--val", "1e6", "--checkpoints", "50", "--workers", "64"]
    assert main(["plan", *sizes]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == cluster_table(plan_cluster(10**10, 10**6, 50, RATES, 64))
    assert "10,000,000,000 train, 1,000,000 val, 50 checkpoints" in printed
    assert "1.04 TB, 1,945,730 objects" in printed
    assert "64 x 2 threads" in printed
    assert "5,500 reads" in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert main(["plan", *sizes, "--reads", "20000", "--latency", "0.02"]) == 0
    assert "20,000 reads" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--train", "1.5", "--val", "1", "--checkpoints", "4"], "got '1.5'"),
        (["--train", "many", "--val", "1", "--checkpoints", "4"], "whole number such as 50000"),
        (["--train", "inf", "--val", "1", "--checkpoints", "4"], "got 'inf'"),
        (["--train", "9", "--val", "0", "--checkpoints", "4"], "num_val must be at least 1"),
        (["--train", "9", "--val", "1", "--checkpoints", "4", "--workers", "0"], "--workers"),
    ],
)
def test_bad_numbers_are_one_line(arguments, text, capsys):
    assert main(["plan", *arguments]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Conditions(network=0), ArgumentValueError, "network must be positive"),
        (lambda: Conditions(reads=float("inf")), ArgumentValueError, "reads must be positive"),
        (lambda: Conditions(latency="1"), ArgumentTypeError, "latency must be a number"),
        (lambda: steps(9, 9, 9, workers=0), ArgumentValueError, "workers must be at least 1"),
        (lambda: steps(9, 9, 9, workers=1.0), ArgumentTypeError, "workers must be an integer"),
        (lambda: steps(0, 9, 9, workers=1), ArgumentValueError, "num_train must be at least 1"),
    ],
)
def test_bad_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()
