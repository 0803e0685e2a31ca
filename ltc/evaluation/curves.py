"""How accurate models of coresets are, beside those of random subsets of the same size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from tqdm.auto import tqdm

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.evaluation.accuracies import AccuracyCurve
from ltc.evaluation.arrays import check_same_shape, classes
from ltc.evaluation.comparison import BASELINE, Comparison, Match, Method, plan_comparison
from ltc.evaluation.labels import worst_class_accuracy
from ltc.scores import Scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from numpy.typing import ArrayLike, NDArray

    # Samples, iterations and seed: equal jobs have equal results.
    Job = tuple[bytes, int, int]


class TrainAndTest(Protocol):
    """What trains and tests a model; see :func:`accuracy_curve`."""

    def __call__(self, indices: NDArray[np.int64], /, *, iterations: int, seed: int) -> ArrayLike:
        """Return the accuracy, or the predictions, of a model trained from scratch."""


def accuracy_curve(
    train_and_test: TrainAndTest,
    methods: Mapping[str, Method],
    *,
    sizes: Sequence[float],
    epochs: int,
    batch_size: int,
    labels: ArrayLike | None = None,
    num_samples: int | None = None,
    seeds: int = 5,
    match: Match = "iterations",
    test_labels: ArrayLike | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> AccuracyCurve:
    """Train on coresets of several sizes and on random subsets, and compare the accuracies.

    Random subsets are there always and first: a coreset that isn't better than these is no use.

    Parameters
    ----------
    train_and_test : callable
        Called as ``train_and_test(indices, iterations=..., seed=...)``: trains a new model on these
        samples, int64 [k] and ascending, for so many optimiser steps, with initial weights and the
        order of the samples from the seed, and returns its accuracy on the test split, in 0..1 (NaN
        for a training that failed). Where `test_labels` are given, it returns the predicted classes
        instead, int [M].
    methods : mapping of str to scores or callable
        By name: scores, numbers [N], whose highest are taken, in each class as many as its share;
        undefined ones, NaN, last. Or ``select(k, seed) -> indices``, int [k], for any other choice,
        such as ``lambda k, seed: scores.select(k=k, strategy="stratified", seed=seed).indices``.
        The baseline's name, ``"random"``, is taken.
    sizes : sequence of numbers
        Sizes of the coresets: integers in samples, floats as a fraction of all, in 0..1.
    epochs : int
        Length of a training on all samples.
    batch_size : int
        Samples in a step.
    labels : int [N], optional
        Classes of the training samples. Either these or `num_samples` are given; without labels,
        no choice is balanced by class.
    num_samples : int, optional
        How many training samples there are.
    seeds : int
        Repetitions: each size, of each method, is trained on with seeds 0..seeds-1.
    match : {"iterations", "epochs"}
        What trainings have in common. ``"iterations"``: as many steps as a training on all samples
        has, ``epochs * ceil(N / batch_size)``, so that small coresets are seen more often and cost
        the same. ``"epochs"``: each sample is seen `epochs` times, in
        ``epochs * ceil(k / batch_size)`` steps, so that time is saved in proportion.
    test_labels : int [M], optional
        Classes of the test samples, for the accuracy in the worst class too.
    executor : concurrent.futures.Executor, optional
        Trains several models at a time; for processes, `train_and_test` must be picklable.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    AccuracyCurve
        Accuracies ``[method, size, seed]``, their intervals, and a table.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        A value that its rule forbids, a selection that is not of the size asked for, or a result
        that is no accuracy. Selections are made and checked before anything is trained.

    Examples
    --------
    Samples of which the first five, and only these, tell anything:

    >>> from ltc import evaluation
    >>> def train_and_test(indices, *, iterations, seed):
    ...     return 0.5 + 0.1 * np.sum(indices < 5)
    >>> curve = evaluation.accuracy_curve(
    ...     train_and_test,
    ...     {"first": -np.arange(100)},
    ...     num_samples=100,
    ...     sizes=[0.02, 0.05],
    ...     epochs=30,
    ...     batch_size=10,
    ...     seeds=3,
    ... )
    >>> curve.methods, curve.sizes, curve.iterations
    (('random', 'first'), array([2, 5]), array([300, 300]))
    >>> curve.accuracy[1]
    array([[0.7, 0.7, 0.7],
           [1. , 1. , 1. ]])
    >>> print(curve.summary())  # doctest: +ELLIPSIS
    accuracy in %, mean of 3 seeds; iterations matched; intervals: 95 %, bootstrap
    2 samples (2 %), 300 iterations
    method   mean        interval  over random        interval
    random  50.00  50.00 to 50.00
    first   70.00  70.00 to 70.00       +20.00  20.00 to 20.00
    ...
    """
    plan = plan_comparison(
        methods,
        sizes=sizes,
        epochs=epochs,
        batch_size=batch_size,
        labels=labels,
        num_samples=num_samples,
        seeds=seeds,
        match=match,
    )
    if not callable(train_and_test):
        raise ArgumentTypeError(f"train_and_test must be callable, got {train_and_test!r}")
    right = None if test_labels is None else _right(test_labels)
    jobs = list(_jobs(plan))
    different = dict.fromkeys(jobs)
    results = _results(train_and_test, list(different), executor)
    done = tqdm(results, "train", total=len(different), disable=not progress)
    measured = dict(zip(different, (_measure(found, right) for found in done), strict=True))
    shape = (1 + len(plan.methods), len(plan.sizes), plan.seeds)
    table = np.array([measured[job] for job in jobs], np.float64).reshape(*shape, 2)
    return AccuracyCurve(
        methods=(BASELINE, *plan.methods),
        sizes=np.array(plan.sizes, np.int64),
        num_samples=plan.num_samples,
        match=plan.match,
        iterations=np.array([plan.iterations(size) for size in plan.sizes], np.int64),
        accuracy=table[..., 0],
        worst_class=None if right is None else table[..., 1],
    )


def _right(test_labels: ArrayLike) -> NDArray[np.int64]:
    right = classes("test_labels", test_labels)
    if not right.size:
        raise ArgumentValueError("test_labels must be of at least one sample, got none")
    if right.min() < 0:
        raise ArgumentValueError(f"test_labels must be at least 0, got {right.min()}")
    return right


def _jobs(plan: Comparison) -> Iterator[Job]:
    """Select every coreset, in the order of the result's axes."""
    for name in (BASELINE, *plan.methods):
        for size in plan.sizes:
            for seed in range(plan.seeds):
                indices = _select(plan, name, size, seed)
                yield indices.tobytes(), plan.iterations(size), seed


def _select(plan: Comparison, name: str, size: int, seed: int) -> NDArray[np.int64]:
    balance: Literal["class"] | None = None if plan.labels is None else "class"
    if name == BASELINE:
        alike = Scores(np.zeros(plan.num_samples, np.float32), plan.labels)
        return alike.select(k=size, balance=balance, strategy="random", seed=seed).indices
    method = plan.methods[name]
    if not callable(method):
        return Scores(method, plan.labels).select(k=size, balance=balance).indices
    indices = np.asarray(method(size, seed))
    if indices.dtype.kind not in "iu":
        raise ArgumentTypeError(f"method {name!r} must select integer indices, got {indices.dtype}")
    if indices.shape != (size,):
        raise ArgumentValueError(
            f"method {name!r} must select {size:,} samples, got an array of shape {indices.shape}"
        )
    indices = np.unique(indices).astype(np.int64)
    if indices.size < size:
        raise ArgumentValueError(
            f"method {name!r} must select each sample once, got {indices.size:,} different ones "
            f"of {size:,}"
        )
    if indices[0] < 0 or indices[-1] >= plan.num_samples:
        wrong = indices[0] if indices[0] < 0 else indices[-1]
        raise ArgumentValueError(
            f"method {name!r} must select indices in 0..{plan.num_samples - 1}, got {wrong}"
        )
    return indices


def _results(
    train_and_test: TrainAndTest, jobs: Sequence[Job], executor: Executor | None
) -> Iterator[ArrayLike]:
    if executor is None:
        for samples, iterations, seed in jobs:
            yield train_and_test(_indices(samples), iterations=iterations, seed=seed)
        return
    futures = [
        executor.submit(train_and_test, _indices(samples), iterations=iterations, seed=seed)
        for samples, iterations, seed in jobs
    ]
    try:
        for future in futures:
            yield future.result()
    finally:  # after an error the rest would be in vain
        for future in futures:
            future.cancel()


def _indices(samples: bytes) -> NDArray[np.int64]:
    """Return what was selected, as an array of the caller's own, to shuffle or to give to torch."""
    return np.frombuffer(samples, np.int64).copy()


def _measure(found: ArrayLike, right: NDArray[np.int64] | None) -> tuple[float, float]:
    """Return accuracy and accuracy in the worst class, NaN where no labels are known."""
    if right is not None:
        said = classes("train_and_test's predictions", found)
        check_same_shape("train_and_test's predictions", said, "test_labels", right)
        return float(np.mean(said == right)), worst_class_accuracy(said, right)
    number = np.asarray(found)
    if number.shape or number.dtype.kind not in "iuf":
        raise ArgumentTypeError(f"train_and_test must return an accuracy, got {found!r}")
    accuracy = float(number)
    if accuracy < 0 or accuracy > 1:
        raise ArgumentValueError(f"train_and_test must return an accuracy in 0..1, got {accuracy}")
    return accuracy, float("nan")
