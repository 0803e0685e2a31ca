import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_selection import naive_select

from ltc.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError
from ltc.scores import Scores
from ltc.selection.plan import BALANCES, STRATEGIES
from ltc.selection.ranking import best_first, stable_order
from ltc.selection.shares import (
    cluster_shares,
    equal_shares,
    largest_remainder,
    proportional_shares,
    strata_shares,
)

NAN = np.nan


def scores(values, labels=None):
    values = np.asarray(values, np.float32)
    return Scores(values, None if labels is None else np.asarray(labels, np.int32))


def selected(values, labels=None, **arguments):
    return scores(values, labels).select(**arguments).indices.tolist()


def long_tail(rng):
    """Classes of 5000, 500, 50 and 5 samples, shuffled."""
    labels = rng.permutation(np.repeat([0, 1, 2, 3], [5000, 500, 50, 5])).astype(np.int32)
    return Scores(rng.uniform(-1, 1, labels.size).astype(np.float32), labels)


def per_class(coreset, classes):
    return np.bincount(coreset.labels, minlength=classes).tolist()


# Against the plain definition


@st.composite
def cases(draw):
    size = draw(st.integers(1, 60))
    # Few different scores make ties; multiples of 1/64 fall on bounds between strata.
    grid = st.integers(-64, 64).map(lambda n: n / 64)
    values = draw(
        st.lists(
            st.one_of(grid, st.sampled_from([0.25, 0.5, -0.0, 0.0, NAN])),
            min_size=size,
            max_size=size,
        )
    )
    label = st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 4, 1_000_000])
    labels = draw(st.none() | st.lists(label, min_size=size, max_size=size))
    exclude = draw(st.lists(st.integers(0, size - 1), max_size=size // 2))
    strategy = draw(st.sampled_from(STRATEGIES))
    probability = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, NAN])
    needed = {
        "coverage": {
            "clusters": draw(st.lists(st.integers(-1, 5), min_size=size, max_size=size)),
        },
        "beta": {
            "confidence": np.array(draw(st.lists(probability, min_size=size, max_size=size))),
            "exponent": draw(st.sampled_from([1.0, 4.0, 11.0])),
            "fading": draw(st.sampled_from([0.0, 1.0, 10.0])),
            "times": draw(
                st.none()
                | st.lists(grid | st.just(NAN), min_size=size, max_size=size).map(
                    lambda factors: np.array(factors, np.float32)
                )
            ),
        },
    }
    return {
        "values": np.array(values, np.float32),
        "labels": None if labels is None else np.array(labels, np.int32),
        "k": draw(st.integers(0, size - len(set(exclude)))),
        "balance": None if labels is None else draw(st.sampled_from(BALANCES)),
        "strategy": strategy,
        "cutoff": draw(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.75, 1.0]) | st.floats(0, 1)),
        "seed": draw(st.integers(0, 3)),
        "exclude": exclude,
        **needed.get(strategy, {}),
    }


@given(cases())
def test_equals_the_plain_definition(case):
    expected = naive_select(**case)
    assert selected(case.pop("values"), case.pop("labels"), **case) == expected


@given(cases())
def test_has_exact_size_in_order_without_excluded_and_defined_first(case):
    values, labels = case.pop("values"), case.pop("labels")
    indices = scores(values, labels).select(**case).indices
    assert indices.dtype == np.int64
    assert indices.size == case["k"]
    assert (np.diff(indices) > 0).all()
    assert not set(indices.tolist()) & set(case["exclude"])
    left = np.setdiff1d(np.arange(values.size), [*indices, *case["exclude"]])
    undefined = np.isnan(values) | np.isnan(case.get("confidence", 0.0))
    if case.get("times") is not None:
        undefined |= np.isnan(case["times"])
    if undefined[indices].any():
        assert undefined[left].all()


# Shares of classes


def test_shares_of_a_long_tail_are_proportional_by_largest_remainder():
    # A tenth is 555.5, so 556: exact shares 500.45, 50.045, 5.0045 and 0.50045.
    coreset = long_tail(np.random.default_rng(0)).select(fraction=0.1)
    assert per_class(coreset, 4) == [500, 50, 5, 1]


def test_equal_shares_of_a_long_tail_pass_the_surplus_on():
    # 556 / 4 = 139, but two classes give 50 and 5: 501 for the others.
    coreset = long_tail(np.random.default_rng(0)).select(fraction=0.1, balance="equal")
    assert per_class(coreset, 4) == [251, 250, 50, 5]


def needed(strategy, size):
    """What a strategy needs beside the scores."""
    rng = np.random.default_rng(2)
    if strategy == "coverage":
        return {"clusters": (20 * rng.beta(1, 3, size)).astype(int)}
    return {"confidence": rng.uniform(size=size)} if strategy == "beta" else {}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("cutoff", [0.0, 0.3])
@pytest.mark.parametrize("balance", BALANCES)
def test_a_long_tail_equals_the_plain_definition(balance, cutoff, strategy):
    made = long_tail(np.random.default_rng(1))
    options = {"balance": balance, "strategy": strategy, "cutoff": cutoff, "seed": 7}
    options |= needed(strategy, made.values.size)
    expected = naive_select(made.values, made.labels, k=1111, **options)
    assert made.select(k=1111, **options).indices.tolist() == expected


def test_one_ranking_ignores_classes():
    assert selected([0.1, 0.9, 0.8, 0.7], [0, 1, 1, 1], k=2, balance=None) == [1, 2]
    assert selected([0.1, 0.9, 0.8, 0.7], [0, 1, 1, 1], k=2, balance="equal") == [0, 1]
    assert selected([0.1, 0.9, 0.8, 0.7], [0, 1, 1, 1], k=1) == [1]  # exact shares 1/4 and 3/4


def test_equal_remainders_go_to_the_lower_class():
    assert largest_remainder(2, np.array([5, 5, 5])).tolist() == [1, 1, 0]
    assert selected([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0], k=1) == [3]


def test_balance_counts_every_class_not_the_last_one():
    """A published tool took the size of the last class for all of them."""
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    coreset = scores(np.linspace(1, -1, 100), labels).select(k=50)
    assert per_class(coreset, 3) == [30, 15, 5]


def test_remainders_are_exact_where_floats_would_round():
    sizes = np.array([3_000_000_001, 3_000_000_000, 2])
    shares = largest_remainder(3, sizes)
    assert shares.tolist() == [2, 1, 0]


def test_passing_on_never_takes_from_a_class():
    sizes = np.array([50, 25, 25, 1000])
    room = np.array([50, 25, 25, 3])
    plain = np.minimum(largest_remainder(60, sizes), room)
    assert (proportional_shares(60, sizes, room) >= plain).all()
    assert proportional_shares(60, sizes, room).sum() == 60


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.data())
def test_equal_shares_differ_by_one_at_most_where_there_is_room(room, data):
    k = data.draw(st.integers(0, sum(room)))
    shares = equal_shares(k, np.array(room))
    open_shares = shares[shares < room]
    assert shares.sum() == k
    assert (shares <= room).all()
    if open_shares.size:
        assert shares.max() - open_shares.min() <= 1
        assert (np.diff(open_shares) <= 0).all()  # one more for the lower classes


# What can't be filled


def test_a_class_without_scores_gives_its_share_to_the_others():
    # Class 1 is absent from the validation split.
    values = [0.9, 0.8, 0.7, 0.6, NAN, NAN, NAN, NAN]
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    assert selected(values, labels, k=4) == [0, 1, 2, 3]
    assert selected(values, labels, k=6) == [0, 1, 2, 3, 4, 5]
    assert selected(values, labels, k=6, strategy="random") == [0, 1, 2, 3, 4, 5]


def test_a_cutoff_that_leaves_too_few_gives_back_the_best_of_what_it_set_aside():
    values = [0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, 0.4, NAN, 0.5]
    # 9 are defined, floor(0.5 * 9) = 4 are set aside: 0.1, 0.2, 0.3 and 0.4.
    assert selected(values, k=5, balance=None, cutoff=0.5) == [0, 2, 4, 6, 9]
    assert selected(values, k=7, balance=None, cutoff=0.5) == [0, 2, 4, 5, 6, 7, 9]
    assert selected(values, k=10, balance=None, cutoff=0.5) == list(range(10))


def test_a_share_goes_to_another_class_before_a_sample_set_aside():
    # Of class 0 half is set aside and 2 remain, of class 1 too; 3 and 1 are asked for by size.
    values = [0.9, 0.8, 0.75, 0.7, 0.2, 0.1]
    labels = [0, 0, 0, 0, 1, 1]
    assert selected(values, labels, k=3, cutoff=0.5) == [0, 1, 4]
    assert selected(values, labels, k=4, cutoff=0.5) == [0, 1, 2, 4]


def test_cutoff_goes_by_class_even_for_one_ranking():
    values = [0.9, 0.8, 0.2, 0.1]
    assert selected(values, [0, 0, 1, 1], k=2, balance=None, cutoff=0.5) == [0, 2]
    assert selected(values, k=2, balance=None, cutoff=0.5) == [0, 1]


@pytest.mark.parametrize("cutoff", [0.0, 1.0])
def test_everything_can_be_selected(cutoff):
    values = [0.3, NAN, 0.1, 0.2]
    for strategy in STRATEGIES:
        options = {"strategy": strategy, "cutoff": cutoff, **needed(strategy, 4)}
        assert selected(values, [0, 0, 1, 1], k=4, **options) == [0, 1, 2, 3]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_sample_can_be_selected_from(strategy):
    for labels, options in ((None, {"balance": None, "k": 0}), ([], {"fraction": 1.0})):
        assert selected([], labels, strategy=strategy, **options, **needed(strategy, 0)) == []
    options = {"strategy": strategy, **needed(strategy, 1)}
    assert selected([0.5], [0], exclude=[0], fraction=1.0, **options) == []
    assert selected([NAN], [0], fraction=1.0, **options) == [0]


# Order


def test_an_undefined_score_never_comes_before_a_defined_one():
    """Under argsort(values)[::-1] NaN is first: a published tool selects it before all others."""
    assert selected([NAN, -0.9, NAN, -0.8], k=2, balance=None) == [1, 3]
    assert best_first(np.array([NAN, -0.9, -NAN, -0.8], np.float32)).tolist() == [3, 1, 0, 2]


def test_ties_go_to_the_lower_index():
    values = np.zeros(1000, np.float32)
    values[::2] = -0.0
    assert selected(values, k=10, balance=None) == list(range(10))
    assert selected(values, k=3, balance=None, cutoff=0.999) == [0, 1, 2]


HOSTILE = [NAN, -NAN, 0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 1e-38, 1 / 3, -1 / 3, 3e38, -3e38]


@given(st.lists(st.sampled_from(HOSTILE) | st.floats(width=32, allow_infinity=False), max_size=99))
def test_best_first_is_a_stable_sort(values):
    values = np.array(values, np.float32)
    assert best_first(values).tolist() == np.argsort(-values, kind="stable").tolist()


@given(st.lists(st.integers(0, 5) | st.integers(0, 2**32 - 1), max_size=99))
def test_stable_order_is_a_stable_sort(keys):
    keys = np.array(keys, np.uint32)
    assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()


# Strata


def test_strata_have_equal_width_and_share_the_budget():
    # 50 strata between 0 and 50; the score 1 is on a bound and belongs to stratum 1.
    values = [*[0.5] * 40, 0.0, 50.0, *[1.0] * 30, *[7.25] * 3]
    coreset = scores(values).select(k=23, balance=None, strategy="stratified")
    # Smallest first: 1 of 1 (the highest score), 3 of 3, then 19 for two strata: 9 and 10.
    counts = dict(zip(*np.unique(coreset.scores, return_counts=True), strict=True))
    lowest = counts.pop(np.float32(0.5)) + counts.pop(np.float32(0.0), 0)
    assert counts == {1.0: 9, 7.25: 3, 50.0: 1}
    assert lowest == 10


def test_strata_divide_the_range_that_the_cutoff_leaves_by_class():
    # Without class 0's outlier, which is set aside, its strata are 1 wide; those of class 1, 1/2.
    values = [-1000.0, *np.arange(51), *(100 + np.arange(51) / 2)]
    labels = [0] * 52 + [1] * 51
    coreset = scores(values, labels).select(
        k=100, balance="equal", strategy="stratified", cutoff=0.0195
    )
    assert 0 not in coreset.indices
    for lowest, width, c in ((0, 1, 0), (100, 0.5, 1)):
        strata = np.minimum((coreset.scores[coreset.labels == c] - lowest) / width, 49)
        assert strata.tolist() == list(range(50))  # one from each; two scores fall into the last


def test_one_score_is_one_stratum():
    assert len(selected([0.5] * 20, k=7, balance=None, strategy="stratified")) == 7


@given(st.integers(1, 400), st.integers(0, 2**32), st.data())
def test_strata_give_exactly_the_budget(size, seed, data):
    """Quotas rounded up without redistribution gave a published tool's result the wrong size."""
    values = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    k = data.draw(st.integers(0, size))
    assert len(selected(values, k=k, balance=None, strategy="stratified")) == k


def test_strata_shares_by_hand():
    sizes = np.array([[40, 0, 2, 30], [5, 5, 5, 5]])
    shares = strata_shares(np.array([10, 6]), sizes)
    assert shares.tolist() == [[4, 0, 2, 4], [1, 1, 2, 2]]


# Coverage


def test_every_cluster_contributes_and_small_ones_pass_on_what_they_lack():
    # Clusters of 1, 3 and 6: of 8, the first gives 1, the others 7 // 2 = 3 and the rest.
    clusters = [7, 2, 2, 2, 5, 5, 5, 5, 5, 5]
    coreset = scores(np.zeros(10)).select(k=8, balance=None, strategy="coverage", clusters=clusters)
    assert np.bincount(np.array(clusters)[coreset.indices]).tolist() == [0, 0, 3, 0, 0, 4, 0, 1]


def test_fewer_samples_than_clusters_come_from_the_largest():
    clusters = np.repeat([0, 1, 2, 3], [2, 9, 4, 9])
    coreset = scores(np.zeros(24)).select(k=2, balance=None, strategy="coverage", clusters=clusters)
    assert clusters[coreset.indices].tolist() == [1, 3]


def test_a_cluster_counts_in_each_class_by_itself():
    # Cluster 0 is all of class 0 and a fourth of class 1.
    labels, clusters = np.repeat([0, 1], [8, 8]), np.repeat([0, 0, 1], [8, 2, 6])
    coreset = scores(np.zeros(16), labels).select(k=8, strategy="coverage", clusters=clusters)
    pairs = list(zip(labels[coreset.indices], clusters[coreset.indices], strict=True))
    assert sorted(pairs) == [(0, 0)] * 4 + [(1, 0)] * 2 + [(1, 1)] * 2


def test_clusters_have_what_the_cutoff_leaves():
    values = np.linspace(1, 0, 10)
    options = {"balance": None, "strategy": "coverage", "clusters": np.arange(10) % 2}
    assert selected(values, k=5, cutoff=0.5, **options) == [0, 1, 2, 3, 4]
    assert selected(values, k=6, cutoff=0.5, **options) == [0, 1, 2, 3, 4, 5]


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 3), st.data())
def test_cluster_shares_are_those_of_strata(sizes, groups, data):
    sizes = np.array(sizes[: len(sizes) // groups * groups], int).reshape(groups, -1)
    budgets = np.array([data.draw(st.integers(0, int(row.sum()))) for row in sizes])
    owners, places = np.nonzero(sizes)
    order = np.array(data.draw(st.permutations(range(owners.size))), int)
    order = order[np.argsort(places[order], kind="stable")]  # ties: the lower first
    found = cluster_shares(budgets, owners[order], sizes[owners, places][order])
    expected = strata_shares(budgets, sizes)[owners, places][order]
    assert found.tolist() == expected.tolist()


# Beta


def test_small_coresets_are_drawn_from_easy_samples_and_larger_ones_from_harder():
    confidence = np.random.default_rng(3).uniform(size=100_000)
    values = (1 - confidence) * confidence  # highest at 0.5, which is the anchor
    options = {"balance": None, "strategy": "beta", "confidence": confidence}
    for fraction in (0.002, 0.02, 0.05):
        found = confidence[selected(values, fraction=fraction, **options)].mean()
        # While few are drawn: the mean of p (1 - p) Beta(p; a, b) is (a + 1) / (a + b + 2).
        b = 15 * (1 - 0.5) * (1 - (1 - fraction) ** 4)
        assert found == pytest.approx((16 - b) / 17, abs=0.02)
    means = [confidence[selected(values, fraction=f, **options)].mean() for f in (0.1, 0.3, 0.6)]
    assert means == sorted(means, reverse=True)


def test_chances_are_proportional_to_scores():
    chosen = np.zeros(4)
    values, confidence = np.array([1.0, 2.0, 5.0, -1.0]), np.full(4, 0.5)
    for seed in range(800):
        options = {"strategy": "beta", "confidence": confidence, "seed": seed}
        chosen[selected(values, k=1, balance=None, **options)] += 1
    # 800 draws with probabilities 1/8, 2/8 and 5/8; standard deviations of at most 14.
    assert (np.abs(chosen - [100, 200, 500, 0]) < 5 * 14).all()
    assert chosen[3] == 0


def test_scores_fade_where_few_of_a_class_are_selected():
    values, labels = np.tile([1.0, 16.0], 20_000), np.arange(40_000) % 4000 // 2
    options = {"strategy": "beta", "confidence": np.full(values.size, 0.5)}
    for fading in (0.0, 1.0, 3.0):
        chosen = selected(values, labels, k=2000, fading=fading, **options)
        # One of each class, in proportion to 1 and to 16 to that power.
        odds = 16 ** (1 / (1 + fading))
        assert np.mean(values[chosen] > 1) == pytest.approx(odds / (1 + odds), abs=0.05)


def test_scores_of_at_most_zero_come_when_the_others_are_used_up_best_first():
    options = {"balance": None, "strategy": "beta", "confidence": np.full(5, 0.5)}
    values = [-0.5, 0.3, 0.0, -0.1, 0.2]
    chosen = [selected(values, k=k, **options) for k in (2, 3, 4)]
    assert chosen == [[1, 4], [1, 2, 4], [1, 2, 3, 4]]


def test_scores_are_multiplied_where_both_are_above_zero():
    options = {"balance": None, "strategy": "beta", "confidence": np.full(5, 0.5)}
    values, times = [0.5, 0.5, -1.0, 2.0, NAN], np.array([0.5, -0.5, -9.0, 1.0, 1.0], np.float32)
    one = selected(values, k=2, times=times, **options)
    assert one == selected(values, k=2, times=Scores(times), **options) == [0, 3]
    assert selected(values, k=4, times=times, **options) == [0, 1, 2, 3]
    chosen = scores(values).select(k=2, times=times, **options)
    np.testing.assert_array_equal(chosen.scores, np.float32([0.5, 2.0]))  # as they were given


def test_confidence_comes_from_scores_too():
    confidence = np.array([0.25, NAN, 0.75, 0.5], np.float32)
    by_array = selected(np.ones(4), k=2, balance=None, strategy="beta", confidence=confidence)
    by_scores = selected(
        np.ones(4), k=2, balance=None, strategy="beta", confidence=Scores(confidence)
    )
    assert by_array == by_scores
    assert 1 not in by_array


# Chance


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "top"])
def test_a_seed_decides(strategy):
    made = long_tail(np.random.default_rng(0))
    options = {"k": 500, "strategy": strategy, **needed(strategy, made.values.size)}
    first = made.select(seed=1, **options).indices
    assert np.array_equal(first, made.select(seed=1, **options).indices)
    assert not np.array_equal(first, made.select(seed=2, **options).indices)


def test_a_seed_means_the_same_samples_in_every_version():
    # From the raw stream of PCG64(0), which NumPy promises not to change.
    assert selected(np.zeros(20), k=5, balance=None, strategy="random") == [2, 3, 11, 13, 15]


def test_random_does_not_depend_on_the_scores():
    labels = np.arange(200) % 3
    rising, falling = np.linspace(-1, 1, 200), np.linspace(1, -1, 200)
    options = {"k": 50, "strategy": "random", "seed": 3}
    assert selected(rising, labels, **options) == selected(falling, labels, **options)


def test_random_is_uniform():
    chosen = np.zeros(12)
    for seed in range(600):
        chosen[selected(np.arange(12.0), k=3, balance=None, strategy="random", seed=seed)] += 1
    # 600 draws with probability 1/4: mean 150, standard deviation 10.6.
    assert (np.abs(chosen - 150) < 5 * 10.6).all()


# Sizes and arguments


@pytest.mark.parametrize(
    ("fraction", "size", "expected"),
    [(0.0, 7, 0), (1.0, 7, 7), (0.5, 5, 3), (0.1, 4, 0), (0.125, 4, 1), (0.1, 1797, 180)],
)
def test_a_fraction_is_rounded_from_a_half_up(fraction, size, expected):
    assert len(selected(np.zeros(size), fraction=fraction, balance=None)) == expected


def test_a_fraction_is_one_of_the_samples_not_excluded():
    assert len(selected(np.zeros(100), fraction=0.1, balance=None, exclude=range(40))) == 6


def test_excluded_samples_count_in_no_share():
    values, labels = np.linspace(1, 0, 20), np.repeat([0, 1], 10)
    coreset = scores(values, labels).select(k=6, exclude=np.arange(8))
    assert per_class(coreset, 2) == [1, 5]


def test_exclude_takes_any_order_and_repetitions():
    for exclude in ([3, 1, 3], np.array([1, 3], np.uint8), (1, 3)):
        assert selected([0.5, 0.9, 0.4, 0.8], k=2, balance=None, exclude=exclude) == [0, 2]
    assert selected([0.5, 0.9], k=2, balance=None, exclude=[]) == [0, 1]


COVERED = {"k": 1, "strategy": "coverage", "clusters": [0, 1, 0, 1]}
BETA = {"k": 1, "strategy": "beta", "confidence": [0.5, 0.5, 0.5, 0.5]}
WRONG = [
    ({}, ArgumentValueError, "exactly one of fraction and k must be given, got neither"),
    ({"k": 1, "fraction": 0.1}, ArgumentValueError, "got both"),
    ({"fraction": 1.5}, ArgumentValueError, "fraction must lie in 0..1, got 1.5"),
    ({"fraction": -0.1}, ArgumentValueError, "fraction must lie in 0..1"),
    ({"fraction": NAN}, ArgumentValueError, "fraction must lie in 0..1, got nan"),
    ({"fraction": "0.1"}, ArgumentTypeError, "fraction must be a number"),
    ({"fraction": True}, ArgumentTypeError, "fraction must be a number"),
    ({"k": 5}, ArgumentValueError, "k must be at most the 4 samples, got 5"),
    ({"k": 4, "exclude": [0]}, ArgumentValueError, "the 3 samples that exclude leaves of 4, got 4"),
    ({"k": -1}, ArgumentValueError, "k must be at least 0, got -1"),
    ({"k": 2.0}, ArgumentTypeError, "k must be an integer, got 2.0"),
    ({"k": 1, "balance": "classes"}, ArgumentValueError, "balance must be one of 'class', 'equal'"),
    ({"k": 1, "balance": ["class"]}, ArgumentValueError, "balance must be one of"),
    ({"k": 1, "strategy": "best"}, ArgumentValueError, "strategy must be one of 'top'"),
    ({"k": 1, "strategy": None}, ArgumentValueError, "strategy must be one of 'top'"),
    ({"k": 1, "cutoff": 1.01}, ArgumentValueError, "cutoff must lie in 0..1, got 1.01"),
    ({"k": 1, "seed": -1}, ArgumentValueError, "seed must be at least 0"),
    ({"k": 1, "seed": 0.5}, ArgumentTypeError, "seed must be an integer"),
    ({"k": 1, "exclude": [4]}, ArgumentIndexError, "in 0..3, got 4 at position 0"),
    ({"k": 1, "exclude": [1, -1]}, ArgumentIndexError, "got -1 at position 1"),
    ({"k": 1, "exclude": [1.0]}, ArgumentTypeError, "exclude must hold integer indices, got float"),
    ({"k": 1, "exclude": [True, False]}, ArgumentTypeError, "flatnonzero"),
    ({"k": 1, "exclude": [[1]]}, ArgumentValueError, "exclude must be one-dimensional"),
    (COVERED | {"clusters": None}, ArgumentValueError, r"clusters must be given .* ltc.clusters"),
    (COVERED | {"strategy": "top"}, ArgumentValueError, "clusters must be None for strategy 'top'"),
    (
        COVERED | {"clusters": [0, 1]},
        ArgumentValueError,
        r"clusters must .* \(4,\), got shape \(2,",
    ),
    (COVERED | {"clusters": np.zeros(4)}, ArgumentTypeError, "clusters must hold integers, got fl"),
    (
        BETA | {"confidence": None},
        ArgumentValueError,
        r"confidence must be given .* ltc.difficulty",
    ),
    (BETA | {"strategy": "random"}, ArgumentValueError, "confidence must be None for strategy 'ra"),
    (
        BETA | {"confidence": [0.5]},
        ArgumentValueError,
        r"confidence must .* \(4,\), got shape \(1,",
    ),
    (
        BETA | {"confidence": [0, 1, 0, 1]},
        ArgumentTypeError,
        "confidence must hold floats, got int",
    ),
    (
        BETA | {"confidence": [0.5, NAN, 1.5, -1.0]},
        ArgumentValueError,
        r"confidence must lie in 0\.\.1, or be NaN, got 1.5 at position 2",
    ),
    (BETA | {"exponent": 0.5}, ArgumentValueError, "exponent must be at least 1 and finite, got 0"),
    (BETA | {"exponent": np.inf}, ArgumentValueError, "exponent must be at least 1 and finite"),
    (BETA | {"exponent": "4"}, ArgumentTypeError, "exponent must be a number, got '4'"),
    (BETA | {"fading": -1}, ArgumentValueError, "fading must be at least 0 and finite, got -1"),
    (BETA | {"fading": "4"}, ArgumentTypeError, "fading must be a number, got '4'"),
    (
        BETA | {"times": [1.0]},
        ArgumentValueError,
        r"times must have one entry per sample, shape \(4,\), got shape \(1,\)",
    ),
    (BETA | {"times": [0, 1, 0, 1]}, ArgumentTypeError, "times must hold floats, got int64"),
    ({"k": 1, "times": [0.5] * 4}, ArgumentValueError, "times must be None for strategy 'top'"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), WRONG, ids=lambda value: str(value)[:40])
def test_arguments_are_checked(arguments, error, text):
    with pytest.raises(error, match=text):
        selected(np.zeros(4), [0, 0, 1, 1], **arguments)


@pytest.mark.parametrize("balance", ["class", "equal"])
def test_balance_needs_labels(balance):
    with pytest.raises(ArgumentValueError, match="balance must be None for scores without labels"):
        selected([0.5], k=1, balance=balance)
