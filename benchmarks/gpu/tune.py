"""Time other tiles than the rules choose: ``python -m benchmarks.gpu --tune``.

Rules are pure functions, and nobody who uses the kernels waits for measurements. This tells whoever
has a GPU whether a rule should say something else there, and which function that is.
"""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest import mock

from benchmarks.gpu.clock import Clock
from benchmarks.gpu.work import OURS, Work
from benchmarks.results import Table


@dataclass(frozen=True)
class Rule:
    """A function that chooses tiles, and what else it could choose.

    Attributes
    ----------
    module, function : str
        Where the kernel looks for it.
    changes : tuple of dict
        Fields of its choice, and by what each is multiplied.
    """

    module: str
    function: str
    changes: tuple[dict[str, float], ...]

    def instead(self, choice: Any) -> list[Any]:
        """Return the choices to compare with; none twice, and none with a field of zero."""
        found: list[Any] = []
        for change in self.changes:
            fields = {name: int(getattr(choice, name) * by) for name, by in change.items()}
            other = replace(choice, **fields)
            if all(fields.values()) and other != choice and other not in found:
                found.append(other)
        return found


PRODUCT_CHANGES: tuple[dict[str, float], ...] = (
    {"num_stages": 0.5},
    {"num_stages": 2},
    {"num_warps": 0.5},
    {"block_samples": 0.5},
    {"block_samples": 2},
)
# By the kernel that a work's name begins with.
RULES = {
    "pair_correlation": Rule("ltc_kernels.gpu.pairs_product", "plan_product", PRODUCT_CHANGES),
    "pair_topk": Rule("ltc_kernels.gpu.topk_running", "plan_product", PRODUCT_CHANGES),
    "group_correlation": Rule(
        "ltc_kernels.gpu.group",
        "tile",
        ({"vector": 0.5}, {"vector": 0.25}, {"lanes": 2}, {"lanes": 2, "vector": 0.5}),
    ),
}


def tune(made: Iterable[Work], clock: Clock, *, rounds: int) -> Table:
    """Time each rule's choice and the others, on every work that has a rule."""
    table = Table("Tiles", ["work", "choice", "time", "times the rule's"])
    for work in made:
        rule = RULES.get(work.name.partition(",")[0])
        if rule is not None:
            _compare(table, work, rule, clock, rounds)
    return table


def _compare(table: Table, work: Work, rule: Rule, clock: Clock, rounds: int) -> None:
    module = importlib.import_module(rule.module)
    chosen = choice_of(module, rule.function, work.calls[OURS])
    calls: dict[str, Callable[[], Any]] = {str(chosen): work.calls[OURS]}
    for other in rule.instead(chosen):
        call = partial(_with, module, rule.function, other, work.calls[OURS])
        try:
            work.check(str(other), call())
        except Exception as error:  # whatever a tile that doesn't fit leads to
            table.add(work.name, str(other), f"{type(error).__name__}", "")
        else:
            calls[str(other)] = call
    timings = clock.measure(calls, rounds=rounds)
    own = timings[str(chosen)].median
    for name, timing in timings.items():
        table.add(work.name, name, str(timing), f"{timing.median / own:.2f}")
    best = min(timings, key=lambda name: timings[name].median)
    where = f"{rule.module}.{rule.function}"
    if best == str(chosen):
        table.note(f"{work.name}: {where} chooses the fastest of these.")
    else:
        table.note(f"{work.name}: {best} is faster; to choose it, change {where}.")


def choice_of(module: Any, function: str, call: Callable[[], Any]) -> Any:
    """Return what a rule chooses for a call."""
    choices = []

    def remember(*arguments: Any, **named: Any) -> Any:
        choices.append(original(*arguments, **named))
        return choices[-1]

    original = getattr(module, function)
    with mock.patch.object(module, function, remember):
        call()
    return choices[0]


def _with(module: Any, function: str, choice: Any, call: Callable[[], Any]) -> Any:
    """Make a call for which a rule chooses this, whatever it would choose."""
    with mock.patch.object(module, function, return_value=choice):
        return call()
