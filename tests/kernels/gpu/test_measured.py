"""What is timed on a GPU, at its smallest: works, their checks and their tables."""

import importlib
from dataclasses import replace

import pytest
import torch

from benchmarks.gpu import measure, tune, works
from benchmarks.gpu.__main__ import SIZES
from benchmarks.gpu.work import COMPILED, EAGER, OURS
from benchmarks.timing import Timing
from ltc_kernels.gpu import group

SMALLEST = SIZES["smallest"]
FAMILIES = {"group_correlation", "online_update", "pair_correlation", "pair_topk"}


class FakeClock:
    """Every call takes a second, and isn't called again."""

    def measure(self, calls, *, rounds):
        return {name: Timing((1.0,) * rounds) for name in calls}


def as_it_is(function):
    """Stand in for torch.compile, which would take minutes."""
    return function


def test_all_works_are_checked_and_stated(device):
    ceilings, kernels = measure.run(SMALLEST, device, FakeClock(), as_it_is, 2, side=64)
    assert len(ceilings.rows) == 2
    made = [work.name for work in works.works(SMALLEST, device, as_it_is)]
    assert [row[0] for row in kernels.rows[::3]] == made
    assert [row[2] for row in kernels.rows[:3]] == [OURS, EAGER, COMPILED]
    families = {name.partition(",")[0] for name in made}
    assert families == FAMILIES


def spoilt(result):
    """Scores that are off by a thousandth, or neighbours of the query before."""
    if torch.is_tensor(result):
        return result + 1e-3
    if isinstance(result, tuple):
        return result[0], result[1].roll(1, 0)
    again, scores = result()
    return lambda: (again, scores + 1e-3)


def test_each_check_fails_on_a_wrong_result(device):
    for work in works.works(SMALLEST, device, as_it_is):
        result = work.calls[EAGER]()
        wrong = spoilt(result)
        work.check("right", result)
        with pytest.raises(AssertionError, match="wrong"):
            work.check("wrong", wrong)


def test_other_tiles_than_the_rule_chooses_are_checked_and_timed(device):
    """All give the right results, and the table says which function to change."""
    first = next(works.works(SMALLEST, device, as_it_is))
    chosen = tune.choice_of(group, "tile", first.calls[OURS])
    others = tune.RULES["group_correlation"].instead(chosen)
    assert len(others) == 4
    fastest = str(others[1])

    class Clock:
        def measure(self, calls, *, rounds):
            for call in calls.values():
                first.check("timed", call())
            return {name: Timing((0.5 if name == fastest else 1.0,) * rounds) for name in calls}

    table = tune.tune([first], Clock(), rounds=2)
    assert [row[1] for row in table.rows] == [str(chosen), *map(str, others)]
    assert [row[3] for row in table.rows] == ["1.00", "1.00", "0.50", "1.00", "1.00"]
    assert table.notes == [
        f"{first.name}: {fastest} is faster; to choose it, change ltc_kernels.gpu.group.tile."
    ]
    assert "chooses the fastest" in tune.tune([first], FakeClock(), rounds=1).notes[0]


def test_every_rule_is_asked_by_its_kernel_and_has_others_to_compare(device):
    """`choice_of` fails where a kernel asks another function than the table says."""
    asked = set()
    for work in works.works(SMALLEST, device, as_it_is):
        name = work.name.partition(",")[0]
        if name in tune.RULES:
            rule = tune.RULES[name]
            module = importlib.import_module(rule.module)
            chosen = tune.choice_of(module, rule.function, work.calls[OURS])
            assert len(rule.instead(chosen)) >= 3, name
            asked.add(name)
    assert asked == set(tune.RULES)


def test_a_tile_that_gives_wrong_results_is_not_timed(device):
    first = next(works.works(SMALLEST, device, as_it_is))

    def check(name, _):
        raise AssertionError(name)

    table = tune.tune([replace(first, check=check)], FakeClock(), rounds=1)
    assert [row[2] for row in table.rows[:4]] == ["AssertionError"] * 4
    assert len(table.rows) == 5
