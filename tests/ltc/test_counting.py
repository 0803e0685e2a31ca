"""Selection by counts, in blocks of any width: sample by sample what sorting everything selects."""

import pickle
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltc.errors import ArgumentValueError
from ltc.selection.counting import COUNTED, choose, cut, fold_over
from ltc.selection.picks import random_keys, select
from ltc.selection.plan import BALANCES, plan_selection
from ltc.selection.search import Limits

NAN = np.nan
TIGHT = [Limits(table=1, fetched=0), Limits(table=64, fetched=3), Limits()]


def counted(values, labels, plan, *, width, limits=TIGHT[1], fold=None):
    blocks = list(cut(values, labels, plan.excluded, width=width))
    fold = fold or fold_over(blocks)
    choice = choose(plan, labelled=labels is not None, fold=fold, limits=limits)
    found = [choice.indices(block) for block in blocks]
    for block, indices in zip(blocks, found, strict=True):
        inside = (indices >= block.begin) & (indices < block.begin + block.values.size)
        assert inside.all()
    return np.concatenate([np.empty(0, np.int64), *found])


@st.composite
def cases(draw):
    size = draw(st.integers(1, 80))
    few = st.sampled_from([0.25, 0.5, 0.515625, -0.0, 0.0, NAN])
    values = draw(
        st.lists(few | st.floats(-2, 2, width=32), min_size=size, max_size=size)
        | st.lists(st.floats(width=32, allow_infinity=False), min_size=size, max_size=size)
    )
    label = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 4, 1_000_000])
    labels = draw(st.none() | st.lists(label, min_size=size, max_size=size))
    exclude = draw(st.lists(st.integers(0, size - 1), max_size=size // 2))
    plan = plan_selection(
        size,
        labelled=labels is not None,
        k=draw(st.integers(0, size - len(set(exclude)))),
        balance=None if labels is None else draw(st.sampled_from(BALANCES)),
        strategy=draw(st.sampled_from(COUNTED)),
        cutoff=draw(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.75, 1.0]) | st.floats(0, 1)),
        seed=draw(st.integers(0, 3)),
        exclude=exclude,
    )
    labels = None if labels is None else np.array(labels, np.int32)
    return np.array(values, np.float32), labels, plan


@given(cases(), st.integers(1, 90), st.sampled_from(TIGHT))
def test_equals_sorting_everything(case, width, limits):
    values, labels, plan = case
    expected = select(values, labels, plan)
    found = counted(values, labels, plan, width=width, limits=limits)
    assert found.tolist() == expected.tolist()


def long_tail(size=20_000):
    rng = np.random.default_rng(0)
    labels = rng.choice(7, size, p=[0.5, 0.3, 0.1, 0.05, 0.03, 0.015, 0.005]).astype(np.int32)
    values = (rng.normal(size=size) / 8 + labels / 10).clip(-1, 1).astype(np.float32)
    values[rng.random(size) < 0.02] = NAN
    values[labels == 5] = NAN
    return values, labels


@pytest.mark.parametrize("strategy", COUNTED)
@pytest.mark.parametrize("cutoff", [0.0, 0.3])
@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("share", [0.1, 0.9, 0.99])
def test_equals_sorting_a_long_tail(balance, cutoff, strategy, share):
    values, labels = long_tail()
    plan = plan_selection(
        values.size,
        labelled=True,
        fraction=share,
        balance=balance,
        strategy=strategy,
        cutoff=cutoff,
        seed=5,
        exclude=np.arange(100, 900),
    )
    expected = select(values, labels, plan)
    found = counted(values, labels, plan, width=3_000, limits=Limits(table=1024, fetched=50))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("strategy", COUNTED)
def test_ties_of_everything_go_to_lower_indices(strategy):
    """Integers, such as counts of forgetting, tie by the thousand: then indices are counted."""
    values = np.repeat(np.array([3, 0, 1], np.float32), 5_000)
    labels = np.zeros(values.size, np.int32)
    plan = plan_selection(values.size, labelled=True, k=7_001, strategy=strategy, cutoff=0.1)
    found = counted(values, labels, plan, width=999, limits=Limits(table=4, fetched=0))
    assert np.array_equal(found, select(values, labels, plan))


def test_merging_in_any_order_gives_the_same():
    values, labels = long_tail()
    plan = plan_selection(values.size, labelled=True, fraction=0.2, strategy="stratified")
    blocks = list(cut(values, labels, plan.excluded, width=777))
    passes = []

    def shuffled(function, merge):
        order = np.random.default_rng(len(passes)).permutation(len(blocks))
        passes.append(function)
        parts = [pickle.loads(pickle.dumps(function))(blocks[k]) for k in order]
        while len(parts) > 1:  # a tree
            parts = [reduce(merge, parts[k : k + 3]) for k in range(0, len(parts), 3)]
        return parts[0]

    found = counted(values, labels, plan, width=777, limits=TIGHT[2], fold=shuffled)
    assert np.array_equal(found, select(values, labels, plan))
    assert len(passes) == 4  # sizes, ends, strata, and the keys of all samples, which are few


def test_a_pass_brings_back_no_more_than_the_limits():
    values, labels = long_tail(100_000)
    limits = Limits(table=512, fetched=40)
    plan = plan_selection(values.size, labelled=True, fraction=0.3, cutoff=0.1, balance=None)
    blocks = list(cut(values, labels, plan.excluded, width=10_000))
    lengths = []

    def watched(function, merge):
        whole = fold_over(blocks)(function, merge)
        lengths.extend(map(len, whole) if isinstance(whole, tuple) else [len(whole)])
        return whole

    found = counted(values, labels, plan, width=10_000, limits=limits, fold=watched)
    assert np.array_equal(found, select(values, labels, plan))
    assert max(lengths) <= 8 * limits.table
    assert 4 < len(lengths) < 30


def test_any_part_of_the_random_keys_can_be_had_alone():
    whole = random_keys(3, 0, 1000)
    assert np.array_equal(random_keys(3, 700, 1000), whole[700:])
    raw = np.random.PCG64(3).random_raw(1000) >> np.uint64(32)
    assert np.array_equal(whole, raw)


def test_other_strategies_are_refused():
    plan = plan_selection(4, labelled=False, balance=None, k=2)
    object.__setattr__(plan, "strategy", "facility")
    with pytest.raises(ArgumentValueError, match="strategy must be one of 'top', 'stratified'"):
        counted(np.zeros(4, np.float32), None, plan, width=2)


def test_too_many_classes_are_refused(monkeypatch):
    monkeypatch.setattr("ltc.selection.counting.MOST_CLASSES", 3)
    plan = plan_selection(4, labelled=True, k=2)
    with pytest.raises(ArgumentValueError, match="at most 3 classes to select in blocks, got 4"):
        counted(np.zeros(4, np.float32), np.arange(4, dtype=np.int32), plan, width=2)
