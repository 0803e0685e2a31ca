"""Ways to select a coreset from the losses of one run, each tried against class-balanced random.

An idea is a function of a recorded run, a size and a seed that returns the positions of that many
training samples. All of them give a class its share. `IDEAS` holds every one that was tried.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

import ltc
from ltc.selection.draws import waiting_times

Indices: TypeAlias = NDArray[np.int64]
Idea: TypeAlias = Callable[["Losses", int, int], Indices]
Signal: TypeAlias = Literal["loss", "difference", "unit"]
DRAWS = 3  # of the baseline, whose mean is compared with
EASY_BELOW = 0.05  # the fraction up to which a mixture takes easy samples


@dataclass(frozen=True, eq=False)
class Losses:
    """What an idea may look at: never which labels were flipped, nor the test split."""

    run: Path

    @cached_property
    def store(self) -> ltc.Store:
        """What was recorded."""
        return ltc.open_store(self.run)

    @cached_property
    def scores(self) -> ltc.Scores:
        """Correlations of differences with those of the class's mean (CLD)."""
        return ltc.score(self.store)

    @cached_property
    def on_losses(self) -> ltc.Scores:
        """The same of the losses themselves."""
        return ltc.score(self.store, signal="loss")

    @cached_property
    def difficulties(self) -> dict[str, ltc.Scores]:
        """Mean and spread of the probability of the label, and DUAL's score."""
        window = min(10, self.store.committed // 2)
        kinds = ["confidence", "variability", "dual"]
        return ltc.difficulty(self.store, kinds, window=window)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Mean probability of the label over the checkpoints."""
        return self.difficulties["confidence"].values

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """Of the training split."""
        labels = self.store.labels("train")
        assert labels is not None
        return labels

    def scored(self, values: NDArray[Any]) -> ltc.Scores:
        """Return other values as scores."""
        return ltc.Scores(values.astype(np.float32), self.labels)

    def signals(self, kind: Signal) -> NDArray[np.float32]:
        """Return trajectories to measure distances between, [T', N]."""
        values = self.store.read("train").astype(np.float32)
        if kind == "loss":
            return values
        values = np.diff(values, axis=0)
        if kind == "unit":  # distances are then those of correlations
            values = values - values.mean(axis=0)
            values /= np.maximum(np.linalg.norm(values, axis=0), 1e-9)
        return values

    def beyond(self, cutoff: float) -> Indices:
        """Return the lowest scores of each class, that share of it."""
        kept = self.scores.select(fraction=1.0 - cutoff).indices
        return np.setdiff1d(np.arange(self.labels.size), kept)


def plain(run: Losses, k: int, seed: int, *, of: str = "scores", **how: Any) -> Indices:
    """Select as `Scores.select` does."""
    scores: ltc.Scores = getattr(run, of)
    return scores.select(k=k, seed=seed, **how).indices


def drawn(run: Losses, k: int, seed: int, *, draw: int) -> Indices:
    """Select at random, again: another draw for the same training."""
    return plain(run, k, seed + 1000 * draw, strategy="random")


def of_the_best(run: Losses, k: int, seed: int, *, times: int) -> Indices:
    """Select at random from the best `times` k: the cutoff depends on the fraction."""
    cutoff = max(0.0, 1 - times * k / run.labels.size)
    return plain(run, k, seed, strategy="random", cutoff=cutoff)


def above(run: Losses, k: int, seed: int, *, threshold: float | None) -> Indices:
    """Select at random from scores above a threshold; None: where Otsu divides them."""
    values = run.scores.values
    low = ~(values > (otsu(values) if threshold is None else threshold))
    return run.scores.select(
        k=k, strategy="random", seed=seed, exclude=_spared(np.flatnonzero(low), k, values.size)
    ).indices


def otsu(values: NDArray[np.float32]) -> float:
    """Return the threshold that separates two groups best (Otsu 1979).

    Examples
    --------
    >>> otsu(np.array([0.1, 0.2, 0.8, 0.9, 1.0], np.float32))
    0.5
    """
    ascending = np.sort(values[~np.isnan(values)].astype(np.float64))
    below = np.arange(1, ascending.size)
    sums = np.cumsum(ascending)
    low, high = sums[:-1] / below, (sums[-1] - sums[:-1]) / (ascending.size - below)
    place = int((below * (ascending.size - below) * (high - low) ** 2).argmax())
    return round(float(ascending[place] + ascending[place + 1]) / 2, 6)


def covering(
    run: Losses, k: int, seed: int, *, per_class: int, signal: str = "difference", **how: Any
) -> Indices:
    """Select from every cluster of trajectories."""
    clusters = ltc.clusters(run.store, per_class=per_class, signal=signal, seed=seed)
    return run.scores.select(k=k, strategy="coverage", clusters=clusters, seed=seed, **how).indices


def one_of_each_cluster(run: Losses, k: int, seed: int, *, take: str) -> Indices:
    """Make as many clusters as samples are wanted; take the central or the highest one of each."""
    share = max(1, k // len(np.unique(run.labels)))
    clusters = ltc.clusters(run.store, per_class=share, seed=seed)
    if take == "central":
        signals = run.signals("difference").astype(np.float64)
        sizes = np.bincount(clusters)
        means = np.stack([np.bincount(clusters, row) for row in signals]) / np.maximum(sizes, 1)
        values = -((signals - means[:, clusters]) ** 2).sum(axis=0)
    else:
        values = run.scores.values.astype(np.float64)
    order = np.lexsort((-values, clusters))
    first = order[np.unique(clusters[order], return_index=True)[1]]
    values = (values - values.min()) / max(np.ptp(values), 1e-9)
    values[first] += 2  # before all others
    return run.scored(values).select(k=k).indices


def greedy(run: Losses, k: int, seed: int, *, how: str, signal: Signal) -> Indices:
    """Select one after the other in each class: herding, or the farthest from those there are."""
    del seed
    signals = run.signals(signal).astype(np.float64)
    values = np.zeros(run.labels.size)
    counts = np.bincount(run.scores.select(k=k).labels, minlength=run.labels.max() + 1)
    for c, count in enumerate(counts):
        own = np.flatnonzero(run.labels == c)
        points = signals[:, own]
        mean = points.mean(axis=1)
        squares = (points**2).sum(axis=0)
        apart, total = np.full(own.size, np.inf), np.zeros(len(points))
        for number in range(count):
            target = (number + 1) * mean - total  # what would make the mean that of the class
            cost = squares - 2 * target @ points
            if how == "k-centre" and number:
                cost = -apart
            cost[values[own] > 0] = np.inf
            place = int(cost.argmin())
            values[own[place]] = count - number
            total += points[:, place]
            apart = np.minimum(apart, ((points - points[:, place : place + 1]) ** 2).sum(axis=0))
    return run.scored(values).select(k=k).indices


def one_of_each_range(run: Losses, k: int, seed: int, *, cutoff: float = 0.0) -> Indices:
    """Divide each class by confidence into as many equal parts as samples are wanted of it."""
    confidence = run.confidence.astype(np.float64)
    confidence[run.beyond(cutoff)] = np.nan
    order = np.lexsort((confidence, run.labels))
    order = order[~np.isnan(confidence[order])]
    sizes = np.bincount(run.labels[order])
    counts = np.bincount(run.scores.select(k=k).labels, minlength=sizes.size)
    ranges = np.concatenate(
        [np.arange(size) * count // size for size, count in zip(sizes, counts, strict=True)]
    )
    clusters = np.full(run.labels.size, -1)
    clusters[order] = ranges
    return run.scores.select(
        k=k,
        strategy="coverage",
        clusters=clusters,
        seed=seed,
        exclude=_spared(run.beyond(cutoff), k, run.labels.size),
    ).indices


def near_the_median(run: Losses, k: int, seed: int, *, of: str) -> Indices:
    """Select the most ordinary samples of each class (Moderate coreset, ICLR 2023, by a score)."""
    del seed
    values = (run.confidence if of == "confidence" else run.scores.values).astype(np.float64)
    medians = np.array([np.nanmedian(values[run.labels == c]) for c in range(run.labels.max() + 1)])
    return run.scored(-np.abs(values - medians[run.labels])).select(k=k).indices


def highest(
    run: Losses, k: int, seed: int, *, of: str, sign: int = 1, cutoff: float = 0.0
) -> Indices:
    """Select the highest of another paper's scores, or the lowest."""
    del seed
    values = sign * run.difficulties[of].values
    exclude = _spared(run.beyond(cutoff), k, values.size) if cutoff else None
    return run.scored(values).select(k=k, exclude=exclude).indices


def by_chance(
    run: Losses,
    k: int,
    seed: int,
    *,
    weight: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    cutoff: float = 0.0,
) -> Indices:
    """Draw with chances that are a function of the confidence."""
    weights = np.log(np.maximum(weight(run.confidence.astype(np.float64)), 1e-30))
    waits = waiting_times(weights, np.random.PCG64(seed).random_raw(weights.size))
    exclude = _spared(run.beyond(cutoff), k, waits.size) if cutoff else None
    return run.scored(-waits).select(k=k, exclude=exclude).indices


def beta(
    run: Losses, k: int, seed: int, *, of: str = "dual", ltc_as: str = "", exponent: float = 4.0
) -> Indices:
    """Sample as DUAL does, with its own score or another, and LTC as a factor or as a filter."""
    correlation = run.scores.values
    ones = np.ones_like(correlation)
    values = {"dual": run.difficulties["dual"].values, "ltc": correlation, "none": ones}[of]
    if ltc_as == "factor":
        values = values * np.maximum(correlation, 0)
    elif ltc_as == "filter":
        values = np.where(correlation > 0, values, correlation)  # those come last, best first
    return (
        run.scored(values)
        .select(k=k, strategy="beta", confidence=run.confidence, exponent=exponent, seed=seed)
        .indices
    )


def mixture(run: Losses, k: int, seed: int) -> Indices:
    """Select the easiest at small sizes, at random above a low cutoff at large ones."""
    if k <= EASY_BELOW * run.labels.size:
        return highest(run, k, seed, of="confidence")
    return plain(run, k, seed, strategy="random", cutoff=0.1)


def _spared(exclude: Indices, k: int, size: int) -> Indices | None:
    """Return what to exclude, or None if then there weren't enough."""
    return exclude if size - exclude.size >= k else None


IDEAS: dict[str, Idea] = {
    "random": partial(drawn, draw=0),
    **{f"random, draw {n + 1}": partial(drawn, draw=n) for n in range(1, DRAWS)},
    **{
        f"random, cutoff {share:g}": partial(plain, strategy="random", cutoff=share)
        for share in (0.1, 0.2, 0.3, 0.5)
    },
    **{f"random of the best {n} k": partial(of_the_best, times=n) for n in (2, 4, 8)},
    "random above 0": partial(above, threshold=0.0),
    "random above Otsu's threshold": partial(above, threshold=None),
    "top": plain,
    "top, on losses": partial(plain, of="on_losses"),
    "stratified": partial(plain, strategy="stratified"),
    "stratified, cutoff 0.2": partial(plain, strategy="stratified", cutoff=0.2),
    "coverage, 5 clusters": partial(covering, per_class=5),
    "coverage, 20 clusters": partial(covering, per_class=20),
    "coverage, 20 clusters, on losses": partial(covering, per_class=20, signal="loss"),
    "coverage, 20 clusters, cutoff 0.2": partial(covering, per_class=20, cutoff=0.2),
    "a cluster each, the central one": partial(one_of_each_cluster, take="central"),
    "a cluster each, the highest score": partial(one_of_each_cluster, take="highest"),
    "herding, on losses": partial(greedy, how="herding", signal="loss"),
    "herding, unit differences": partial(greedy, how="herding", signal="unit"),
    "k-centre, on losses": partial(greedy, how="k-centre", signal="loss"),
    "one of each range of confidence": one_of_each_range,
    "one of each range of confidence, cutoff 0.2": partial(one_of_each_range, cutoff=0.2),
    "nearest to the median confidence": partial(near_the_median, of="confidence"),
    "nearest to the median score": partial(near_the_median, of="score"),
    "easiest (confidence)": partial(highest, of="confidence"),
    "hardest, cutoff 0.2": partial(highest, of="confidence", sign=-1, cutoff=0.2),
    "variability": partial(highest, of="variability"),
    "DUAL": partial(highest, of="dual"),
    "DUAL, cutoff 0.2": partial(highest, of="dual", cutoff=0.2),
    "easiest up to 5 %, then random, cutoff 0.1": mixture,
    "chance p": partial(by_chance, weight=lambda p: p),
    "chance 1 - p": partial(by_chance, weight=lambda p: 1 - p),
    "chance 1 - p, cutoff 0.2": partial(by_chance, weight=lambda p: 1 - p, cutoff=0.2),
    "chance p (1 - p)": partial(by_chance, weight=lambda p: p * (1 - p)),
    "beta, no score, exponent 11": partial(beta, of="none", exponent=11.0),
    "beta, LTC's score, exponent 4": partial(beta, of="ltc"),
    **{
        f"beta, DUAL's score, exponent {exponent}": partial(beta, exponent=float(exponent))
        for exponent in (4, 8, 16, 32)
    },
    **{
        f"beta, DUAL's score {words}, exponent {exponent}": partial(
            beta, ltc_as=how, exponent=float(exponent)
        )
        for how, words in (("factor", "times LTC's"), ("filter", "where LTC's is above 0"))
        for exponent in (8, 16)
    },
}
