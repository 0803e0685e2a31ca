"""The kernels for a GPU as they are compiled for targets that are not at hand: every form."""

import pytest

pytest.importorskip("triton")

from benchmarks import roofline
from benchmarks.compilation import SHIPPED, compile_all
from benchmarks.compiled import by_target, describe, faults
from ltc_kernels.gpu.specialisations import specialisations
from ltc_kernels.gpu.targets import TARGETS


@pytest.fixture(scope="module")
def compiled():
    """All forms by target, compiled once."""
    return by_target(compile_all(SHIPPED))


@pytest.mark.parametrize("target", TARGETS)
def test_every_form_compiles(compiled, target):
    names = [form.name for form in specialisations(TARGETS[target])]
    assert list(compiled[target]) == names
    assert len(set(names)) == len(names) > 1


@pytest.mark.parametrize("target", TARGETS)
def test_no_form_spills_or_takes_more_than_there_is(compiled, target):
    assert [fault for one in compiled[target].values() for fault in faults(one)] == []


@pytest.mark.parametrize("target", TARGETS)
def test_losses_are_loaded_16_bytes_at_a_time(compiled, target):
    for name in ("count_missing, fp16", "count_missing, fp32"):
        assert set(compiled[target][name].code.widths("load")) == {16}, name


def test_the_table_has_a_row_for_each(compiled):
    forms = [one for target in compiled.values() for one in target.values()]
    rows = describe(forms).rows
    assert [(row[0], row[1]) for row in rows] == [(one.name, one.target.name) for one in forms]
    assert roofline.describe(compiled).rows
    assert all(row[3].isdigit() and " x " in row[6] for row in rows)
