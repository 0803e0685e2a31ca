"""Ways to select a coreset from the losses of one run, each tried against class-balanced random.

An idea is a function of a recorded run, a size and a seed that returns the positions of that many
training samples. All of them give a class its share. `IDEAS` holds every one that was tried.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import ltc
from benchmarks.paper.geometry import class_order
from benchmarks.paper.losses import Cutoff, Indices, Losses, Signal
from benchmarks.paper.methods import ORDERS
from ltc.selection.beta import ANCHORS, beta_parameters, log_weights
from ltc.selection.draws import waiting_times

Idea: TypeAlias = Callable[[Losses, int, int], Indices]
Weight: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
DRAWS = 3  # of the baseline, whose mean is compared with
SMALL = 0.05  # the fraction up to which a mixture takes easy or typical samples
UNLEARNED: dict[str, Cutoff] = {"": 0.0, ", without the unlearned": "unlearned"}


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
    high = values > (otsu(values) if threshold is None else threshold)
    chances = np.random.default_rng(seed).random(values.size)
    return run.select(chances + high, k)


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
    run: Losses,
    k: int,
    seed: int,
    *,
    per_class: int = 20,
    signal: str = "difference",
    cutoff: Cutoff = 0.0,
) -> Indices:
    """Select from every cluster of trajectories."""
    clusters = ltc.clusters(run.store, per_class=per_class, signal=signal, seed=seed)
    values = run.scores.values
    return run.select(values, k, cutoff, strategy="coverage", clusters=clusters, seed=seed)


def covering_by_beta(run: Losses, k: int, seed: int, *, exponent: float, cutoff: Cutoff) -> Indices:
    """Take as many from each cluster of losses as coverage does, those that DUAL would draw."""
    clusters = ltc.clusters(run.store, per_class=20, signal="loss", seed=seed)
    values = run.scores.values
    covered = run.select(values, k, cutoff, strategy="coverage", clusters=clusters, seed=seed)
    scores, confidence = run.difficulties["dual"].values, run.confidence.astype(np.float64)
    anchor = float(confidence[np.argsort(-scores, kind="stable")[:ANCHORS]].mean())
    weights = log_weights(
        scores, confidence, *beta_parameters(1 - k / scores.size, anchor, exponent)
    )
    aside = run.aside(cutoff)
    weights[() if aside is None else aside] = -np.inf
    waits = waiting_times(weights, np.random.PCG64(seed).random_raw(scores.size))
    pairs = np.stack([run.labels, clusters])
    cells = np.unique(pairs, axis=1, return_inverse=True)[1].ravel()  # NumPy 2.0 keeps two axes
    order = np.lexsort((waits, cells))
    wanted = np.bincount(cells[covered], minlength=cells.max() + 1)
    sizes = np.bincount(cells)
    places = np.arange(order.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[places < wanted[cells[order]]])


def one_of_each_cluster(run: Losses, k: int, seed: int, *, take: str) -> Indices:
    """Make as many clusters as samples are wanted; take the central or the highest one of each."""
    share = max(1, k // len(np.unique(run.labels)))
    clusters = ltc.clusters(run.store, per_class=share, seed=seed)
    values = run.scores.values.astype(np.float64)
    if take == "central":
        signals = run.signals("difference").astype(np.float64)
        sizes = np.bincount(clusters)
        means = np.stack([np.bincount(clusters, row) for row in signals]) / np.maximum(sizes, 1)
        values = -((signals - means[:, clusters]) ** 2).sum(axis=0)
    order = np.lexsort((-values, clusters))
    first = order[np.unique(clusters[order], return_index=True)[1]]
    values = (values - values.min()) / max(np.ptp(values), 1e-9)
    values[first] += 2  # before all others
    return run.select(values, k)


def greedy(
    run: Losses, k: int, seed: int, *, how: str, signal: Signal, cutoff: Cutoff = 0.0
) -> Indices:
    """Select one after the other in each class: herding, or the farthest from those there are."""
    del seed
    aside = run.aside(cutoff)
    left = np.setdiff1d(np.arange(run.labels.size), () if aside is None else aside)
    points, labels = run.signals(signal).T[left], run.labels[left].astype(np.int64)
    values = np.full(run.labels.size, np.nan, np.float32)
    values[left] = class_order(ORDERS[how], points, labels, min(1.0, 1.2 * k / left.size))
    return run.select(values, k, cutoff)


def one_of_each_range(run: Losses, k: int, seed: int, *, cutoff: Cutoff = 0.0) -> Indices:
    """Divide each class by confidence into as many equal parts as samples are wanted of it."""
    aside = run.aside(cutoff)
    left = np.setdiff1d(np.arange(run.labels.size), () if aside is None else aside)
    order = left[np.lexsort((run.confidence[left], run.labels[left]))]
    sizes = np.bincount(run.labels[order])
    counts = np.bincount(run.labels[run.select(run.scores.values, k, cutoff)])
    ranges = [np.arange(size) * count // size for size, count in zip(sizes, counts, strict=True)]
    clusters = np.full(run.labels.size, -1)
    clusters[order] = np.concatenate(ranges)
    values = run.scores.values
    return run.select(values, k, cutoff, strategy="coverage", clusters=clusters, seed=seed)


def near_the_median(run: Losses, k: int, seed: int, *, of: str) -> Indices:
    """Select the most ordinary samples of each class (Moderate coreset, ICLR 2023, by a score)."""
    del seed
    values = run.confidence if of == "confidence" else run.scores.values
    medians = np.array([np.nanmedian(values[run.labels == c]) for c in range(run.labels.max() + 1)])
    return run.select(-np.abs(values - medians[run.labels]), k)


def highest(
    run: Losses, k: int, seed: int, *, of: str, sign: int = 1, cutoff: Cutoff = 0.0
) -> Indices:
    """Select the highest of another paper's scores, or the lowest."""
    del seed
    return run.select(sign * run.difficulties[of].values, k, cutoff)


def by_chance(run: Losses, k: int, seed: int, *, weight: Weight, cutoff: Cutoff = 0.0) -> Indices:
    """Draw with chances that are a function of the confidence."""
    weights = np.log(np.maximum(weight(run.confidence.astype(np.float64)), 1e-30))
    waits = waiting_times(weights, np.random.PCG64(seed).random_raw(weights.size))
    return run.select(-waits, k, cutoff)


def beta(
    run: Losses,
    k: int,
    seed: int,
    *,
    of: str = "dual",
    ltc_as: str = "",
    exponent: float = 4.0,
    fading: float | None = None,
    half: float | None = None,
    cutoff: Cutoff = 0.0,
) -> Indices:
    """Sample as DUAL does, with its own score or another, and LTC as a factor or as a filter.

    With `fading`, the score to the power of 1 - r^fading, where r is the share that is left out:
    the smaller the coreset, the less the score counts beside the confidence. With `half`, to the
    power of n / (n + half) for n samples of each class.
    """
    correlation = run.scores.values
    ones = np.ones_like(correlation)
    values = {"dual": run.difficulties["dual"].values, "ltc": correlation, "none": ones}[of]
    if ltc_as == "factor":
        values = values * np.maximum(correlation, 0)
    elif ltc_as == "filter":
        values = np.where(correlation > 0, values, correlation)  # those come last, best first
    if fading is not None:
        values = np.maximum(values, 0) ** (1 - (1 - k / values.size) ** fading)
    if half is not None:
        n = k / np.unique(run.labels).size
        values = np.maximum(values, 0) ** (n / (n + half))
    how = {"confidence": run.confidence, "exponent": exponent, "seed": seed}
    return run.select(values, k, cutoff, strategy="beta", **how)


def mixture(run: Losses, k: int, seed: int, *, small: Idea, large: Idea) -> Indices:
    """Select in one way up to `SMALL`, in another beyond."""
    return (small if k <= SMALL * run.labels.size else large)(run, k, seed)


def doubt(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of a coin that falls on the label with probability p."""
    return np.sqrt(p * (1 - p))


IDEAS: dict[str, Idea] = {
    "random": partial(drawn, draw=0),
    **{f"random, draw {n + 1}": partial(drawn, draw=n) for n in range(1, DRAWS)},
    **{
        f"random, cutoff {share:g}": partial(plain, strategy="random", cutoff=share)
        for share in (0.1, 0.2, 0.3, 0.5)
    },
    **{f"random of the best {n} k": partial(of_the_best, times=n) for n in (2, 4, 8)},
    "random, without the unlearned": lambda run, k, seed: run.select(
        run.scores.values, k, "unlearned", strategy="random", seed=seed
    ),
    "random above 0": partial(above, threshold=0.0),
    "random above Otsu's threshold": partial(above, threshold=None),
    "top": plain,
    "top, on losses": partial(plain, of="on_losses"),
    "stratified": partial(plain, strategy="stratified"),
    "stratified, cutoff 0.2": partial(plain, strategy="stratified", cutoff=0.2),
    "coverage, 5 clusters": partial(covering, per_class=5),
    "coverage, 20 clusters, on losses": partial(covering, signal="loss"),
    "coverage, 20 clusters, cutoff 0.2": partial(covering, cutoff=0.2),
    **{
        f"coverage, 20 clusters{words}": partial(covering, cutoff=c)
        for words, c in UNLEARNED.items()
    },
    "a cluster each, the central one": partial(one_of_each_cluster, take="central"),
    "a cluster each, the highest score": partial(one_of_each_cluster, take="highest"),
    "herding, on losses": partial(greedy, how="herding", signal="loss"),
    **{
        f"herding, unit differences{words}": partial(
            greedy, how="herding", signal="unit", cutoff=cutoff
        )
        for words, cutoff in UNLEARNED.items()
    },
    "k-centre, on losses": partial(greedy, how="k-centre", signal="loss"),
    **{
        f"one of each range of confidence{words}": partial(one_of_each_range, cutoff=cutoff)
        for words, cutoff in UNLEARNED.items()
    },
    "one of each range of confidence, cutoff 0.2": partial(one_of_each_range, cutoff=0.2),
    "nearest to the median confidence": partial(near_the_median, of="confidence"),
    "nearest to the median score": partial(near_the_median, of="score"),
    "easiest (confidence)": partial(highest, of="confidence"),
    "hardest, cutoff 0.2": partial(highest, of="confidence", sign=-1, cutoff=0.2),
    "variability": partial(highest, of="variability"),
    "DUAL": partial(highest, of="dual"),
    "DUAL, cutoff 0.2": partial(highest, of="dual", cutoff=0.2),
    "easiest up to 5 %, then random, cutoff 0.1": partial(
        mixture,
        small=partial(highest, of="confidence"),
        large=partial(plain, strategy="random", cutoff=0.1),
    ),
    "herding up to 5 %, then by doubt, both without the unlearned": partial(
        mixture,
        small=partial(greedy, how="herding", signal="unit", cutoff="unlearned"),
        large=partial(by_chance, weight=doubt, cutoff="unlearned"),
    ),
    **{
        f"chance by doubt{words}": partial(by_chance, weight=doubt, cutoff=cutoff)
        for words, cutoff in UNLEARNED.items()
    },
    "chance p": partial(by_chance, weight=lambda p: p),
    "chance 1 - p": partial(by_chance, weight=lambda p: 1 - p),
    "chance 1 - p, cutoff 0.2": partial(by_chance, weight=lambda p: 1 - p, cutoff=0.2),
    "chance p (1 - p)": partial(by_chance, weight=lambda p: p * (1 - p)),
    "beta, no score, exponent 11": partial(beta, of="none", exponent=11.0),
    "beta, LTC's score, exponent 4": partial(beta, of="ltc"),
    **{
        f"beta, DUAL's score, exponent {exponent}": partial(beta, exponent=float(exponent))
        for exponent in (4, 8, 11, 16, 32)
    },
    **{
        f"beta, DUAL's score {words}, exponent {exponent}": partial(
            beta, ltc_as=how, exponent=float(exponent)
        )
        for how, words in (("factor", "times LTC's"), ("filter", "where LTC's is above 0"))
        for exponent in (8, 16)
    },
    "beta, DUAL's score, exponent 11, without the unlearned": partial(
        beta, exponent=11.0, cutoff="unlearned"
    ),
    # Made after three seeds of the others were known.
    "coverage, 20 clusters, on losses, without the unlearned": partial(
        covering, signal="loss", cutoff="unlearned"
    ),
    "coverage, 20 clusters, on losses, drawn by beta, without the unlearned": partial(
        covering_by_beta, exponent=4.0, cutoff="unlearned"
    ),
    "beta, DUAL's score times LTC's, exponent 4": partial(beta, ltc_as="factor"),
    **{
        f"beta, DUAL's score fading by {fading}, exponent 4": partial(beta, fading=float(fading))
        for fading in (4, 11)
    },
    "coverage on losses up to 5 %, then beta, both without the unlearned": partial(
        mixture,
        small=partial(covering, signal="loss", cutoff="unlearned"),
        large=partial(beta, cutoff="unlearned"),
    ),
    # Made after one seed of Fashion-MNIST was known.
    "beta, DUAL's score times LTC's, fading by 11, exponent 4": partial(
        beta, ltc_as="factor", fading=11.0
    ),
    # Made after five more seeds of digits and four of Fashion-MNIST were known.
    "beta, DUAL's score times LTC's, by half at 10 a class, exponent 4": partial(
        beta, ltc_as="factor", half=10.0
    ),
}
