"""Comparisons of coresets: what is trained on, for how long, and what becomes of the results."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import ltc
from ltc import evaluation
from ltc.errors import ArgumentTypeError, ArgumentValueError

N, CLASSES = 120, 3
LABELS = np.arange(N) % CLASSES
SCORES = np.random.default_rng(0).normal(size=N)
OPTIONS = {"sizes": [0.1, 30], "epochs": 4, "batch_size": 25, "labels": LABELS, "seeds": 3}


class Trainer:
    """Remembers what it was asked for; its accuracy is a number that tells the jobs apart."""

    def __init__(self):
        self.jobs = []

    def __call__(self, indices, *, iterations, seed):
        self.jobs.append((indices.tolist(), iterations, seed))
        return indices.sum() / 1e5 + iterations / 1e4 + seed / 1e3


def expected(indices, iterations, seed):
    return np.sum(indices) / 1e5 + iterations / 1e4 + seed / 1e3


@pytest.mark.parametrize(("match", "steps"), [("iterations", [20, 20]), ("epochs", [4, 8])])
def test_every_cell_is_trained_on_what_it_names(match, steps):
    ours = ltc.Scores(SCORES.astype(np.float32), LABELS.astype(np.int32))

    def stratified(k, seed):
        return ours.select(k=k, strategy="stratified", seed=seed).indices[::-1]

    trainer = Trainer()
    methods = {"top": SCORES, "stratified": stratified}
    curve = evaluation.accuracy_curve(trainer, methods, match=match, **OPTIONS)
    assert curve.methods == ("random", "top", "stratified")
    assert curve.sizes.tolist() == [12, 30]
    assert curve.iterations.tolist() == steps
    assert curve.accuracy.shape == (3, 2, 3)
    assert (curve.match, curve.num_samples, curve.worst_class) == (match, N, None)
    for column, (size, iterations) in enumerate(zip([12, 30], steps, strict=True)):
        for seed in range(3):
            chosen = [
                ours.select(k=size, strategy=name, seed=seed).indices
                for name in ("random", "top", "stratified")
            ]
            assert all(np.bincount(LABELS[each]).tolist() == [size // 3] * 3 for each in chosen)
            np.testing.assert_allclose(
                curve.accuracy[:, column, seed],
                [expected(each, iterations, seed) for each in chosen],
            )
    assert all(indices == sorted(indices) for indices, _, _ in trainer.jobs)


def test_random_is_there_without_any_method():
    curve = evaluation.accuracy_curve(
        Trainer(), {}, sizes=[7], epochs=1, batch_size=7, num_samples=30, seeds=2
    )
    assert curve.methods == ("random",)
    assert (curve.accuracy[0, 0, 0] - curve.accuracy[0, 0, 1]) != 0


def test_equal_jobs_are_trained_once():
    trainer = Trainer()
    methods = {"top": SCORES, "doubled": 2 * SCORES, "first": lambda k, _: np.arange(k)}
    curve = evaluation.accuracy_curve(trainer, methods, **{**OPTIONS, "sizes": [0.1, 1.0]})
    # Of 0.1: random, top and first; of all samples: one. Three seeds each.
    assert len(trainer.jobs) == len({str(job) for job in trainer.jobs}) == 12
    np.testing.assert_array_equal(curve.accuracy[1], curve.accuracy[2])
    assert (curve.accuracy[:, 1] == curve.accuracy[0, 1]).all()


def test_scores_keep_their_order_in_whatever_range():
    """Closer than float32 tells apart, beyond what it holds, undefined ones last."""
    scores = 1e300 * (1 + 1e-14 * np.arange(40))
    scores[30:] = np.nan
    trainer = Trainer()
    evaluation.accuracy_curve(
        trainer, {"it": scores}, sizes=[4, 32], epochs=1, batch_size=9, num_samples=40, seeds=1
    )
    chosen = [indices for indices, _, _ in trainer.jobs]
    assert list(range(26, 30)) in chosen
    assert list(range(32)) in chosen


def test_accuracy_and_worst_class_from_predictions():
    test_labels = np.array([0, 0, 1, 1, 1, 2])

    def train_and_test(indices, *, iterations, seed):
        assert iterations > 0
        predictions = test_labels.copy()
        predictions[: seed + 1] = 2
        predictions[5] = indices.size == 12  # class 2 is never found
        return predictions

    curve = evaluation.accuracy_curve(train_and_test, {}, test_labels=test_labels, **OPTIONS)
    np.testing.assert_allclose(curve.accuracy[0], [[4 / 6, 3 / 6, 2 / 6]] * 2)
    np.testing.assert_array_equal(curve.worst_class, np.zeros((1, 2, 3)))
    assert "worst class" in curve.summary()


def test_an_executor_trains_and_gives_the_same():
    with ThreadPoolExecutor(3) as executor:
        several = evaluation.accuracy_curve(
            Trainer(), {"top": SCORES}, executor=executor, **OPTIONS
        )
    alone = evaluation.accuracy_curve(Trainer(), {"top": SCORES}, **OPTIONS)
    np.testing.assert_array_equal(several.accuracy, alone.accuracy)


def test_a_training_may_do_with_its_indices_what_it_likes():
    """Equal jobs are one, and what one of them does to its array no other sees."""

    def train_and_test(indices, *, iterations, seed):
        torch.from_numpy(indices)  # warns of an array that is read-only
        indices.sort()
        indices[::-1].sort()
        return expected(indices, iterations, seed)

    found = evaluation.accuracy_curve(train_and_test, {"top": SCORES}, **OPTIONS)
    kept = evaluation.accuracy_curve(Trainer(), {"top": SCORES}, **OPTIONS)
    np.testing.assert_array_equal(found.accuracy, kept.accuracy)


def test_an_error_in_a_training_comes_through():
    def train_and_test(indices, *, iterations, seed):
        raise ZeroDivisionError(f"{indices.size} {iterations} {seed}")

    with pytest.raises(ZeroDivisionError, match="12 20 0"):
        evaluation.accuracy_curve(train_and_test, {}, **OPTIONS)
    with ThreadPoolExecutor(1) as executor, pytest.raises(ZeroDivisionError, match="12 20 0"):
        evaluation.accuracy_curve(train_and_test, {}, executor=executor, **OPTIONS)


def test_intervals_are_over_seeds_and_differences_are_paired():
    rng = np.random.default_rng(1)
    common, own = rng.random((1, 2, 5)), 0.01 * rng.random((3, 2, 5))
    curve = evaluation.AccuracyCurve(
        ("random", "a", "b"), np.array([1, 2]), 10, "epochs", np.array([5, 5]), common / 2 + own
    )
    found = curve.interval(level=0.9)
    one = evaluation.bootstrap_interval(curve.accuracy[2, 1], level=0.9)
    assert (found.estimate[2, 1], found.low[2, 1], found.high[2, 1]) == pytest.approx(
        (one.estimate, one.low, one.high)
    )
    differences = curve.difference(method="bca")
    paired = evaluation.paired_difference(curve.accuracy[1, 0], curve.accuracy[0, 0], method="bca")
    assert (differences.low[1, 0], differences.high[1, 0]) == pytest.approx(
        (paired.low, paired.high)
    )
    assert (differences.estimate[0] == 0).all()
    assert np.ptp([differences.low, differences.high]) < 0.02 < np.ptp([found.low, found.high])


def test_summary():
    accuracy = np.array([[[0.5, 0.6]], [[0.75, 0.8]], [[np.nan, 0.9]]])
    curve = evaluation.AccuracyCurve(
        ("random", "top", "broken"), np.array([50]), 1000, "iterations", np.array([1200]), accuracy
    )
    assert curve.summary().splitlines() == [
        "accuracy in %, mean of 2 seeds; iterations matched; intervals: 95 %, bootstrap",
        "50 samples (5 %), 1,200 iterations",
        "method   mean        interval  over random        interval",
        "random  55.00  50.00 to 60.00",
        "top     77.50  75.00 to 80.00       +22.50  20.00 to 25.00",
        "broken    nan                         +nan",
    ]


WRONG = [
    ({"labels": None}, "exactly one of labels and num_samples must be given, got neither"),
    ({"num_samples": 120}, "exactly one of labels and num_samples must be given, got both"),
    ({"match": "time"}, "match must be one of 'iterations', 'epochs', got 'time'"),
    ({"sizes": []}, "sizes must not be empty"),
    ({"sizes": [0.1, 12]}, "sizes must differ, got 12, 12 samples"),
    ({"sizes": [1.5]}, "sizes must, as fractions, lie above 0 and to 1, got 1.5"),
    ({"sizes": [0.001]}, r"sizes must come to 1..120 samples, got 0.001"),
    ({"sizes": [121]}, r"sizes must come to 1..120 samples, got 121"),
    ({"sizes": 0.1}, "sizes must be a sequence of numbers, got 0.1"),
    ({"sizes": "0.1"}, "sizes must be a sequence of numbers, got '0.1'"),
    ({"sizes": ["0.1"]}, "sizes must be integers or fractions, got '0.1'"),
    ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ({"batch_size": 2.5}, "batch_size must be an integer, got 2.5"),
    ({"seeds": 0}, "seeds must be at least 1, got 0"),
    ({"labels": LABELS - 1}, "labels must lie in 0..2147483647, got -1"),
    ({"train_and_test": 3}, "train_and_test must be callable, got 3"),
    ({"test_labels": []}, "test_labels must be integers, got float64"),
    ({"test_labels": LABELS[:0]}, "test_labels must be of at least one sample, got none"),
    ({"test_labels": [1, 0, -1]}, "test_labels must be at least 0, got -1"),
    ({"methods": ["a"]}, r"methods must be a mapping, .*, got \['a'\]"),
    ({"methods": {3: SCORES}}, "methods must have names that are strings, got 3"),
    ({"methods": {"random": SCORES}}, "methods must not have 'random'"),
    ({"methods": {"a": SCORES[:9]}}, "scores of method 'a' must be 120, one per sample, got 9"),
    ({"methods": {"a": np.r_[np.inf, SCORES[1:]]}}, "scores of method 'a' must be finite, or NaN"),
    ({"methods": {"a": lambda k, _: [0] * k}}, "method 'a' must select each sample once, got 1"),
    ({"methods": {"a": lambda k, _: np.arange(k + 1)}}, "method 'a' must select 12 samples"),
    ({"methods": {"a": lambda k, _: np.arange(k) - 1}}, r"must select indices in 0..119, got -1"),
    ({"methods": {"a": lambda k, _: np.arange(k) * 1.0}}, "must select integer indices, got flo"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_arguments_are_told_before_anything_is_trained(change, message):
    trainer = Trainer()
    with pytest.raises((ArgumentValueError, ArgumentTypeError), match=message):
        evaluation.accuracy_curve(**{"train_and_test": trainer, "methods": {}, **OPTIONS, **change})
    assert not trainer.jobs


@pytest.mark.parametrize(
    ("found", "test_labels", "message"),
    [
        (85.3, None, "train_and_test must return an accuracy in 0..1, got 85.3"),
        ([0.5, 0.6], None, r"train_and_test must return an accuracy, got \[0.5, 0.6\]"),
        (0.5, [0, 1], "train_and_test's predictions must be integers, got float64"),
        ([0, 1, 1], [0, 1], r"predictions must have the shape of test_labels, \(2,\), got \(3,\)"),
    ],
)
def test_results_that_are_no_accuracies(found, test_labels, message):
    with pytest.raises((ArgumentValueError, ArgumentTypeError), match=message):
        evaluation.accuracy_curve(
            lambda indices, iterations, seed: found,  # noqa: ARG005
            {},
            test_labels=test_labels,
            **OPTIONS,
        )
