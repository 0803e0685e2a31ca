"""Every way to choose a coreset that figure 3 compares, random first.

All are balanced: a class gets its share of the coreset. All start from the same recorded run, from
the losses of passes after each epoch; the scores of other papers leave out the checkpoint before
training, which theirs don't have. Coverage and Beta sampling draw from the seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ltc
from benchmarks.paper.geometry import class_order, herding, k_centre
from benchmarks.paper.recording import Recorded

LARGEST = 0.2  # the share of a class for which greedy orders are computed, if more is not needed
WINDOW = 10  # checkpoints in the windows of Dyn-Unc and DUAL, in runs of twice as many or more
# All that are asked for of a run are made in one pass.
KINDS = (
    "cumulative-loss",
    "confidence",
    "variability",
    "dyn-unc",
    "dual",
    "forgetting-least",
    "forgetting-most",
)
ORDERS = {"herding": herding, "k-centre": k_centre}
FOUND = "DUAL times LTC, Beta sampling"  # by the search, when the others had been compared


@dataclass(frozen=True)
class Method:
    """A way to choose.

    Attributes
    ----------
    name : str
        In names of jobs.
    label : str
        In tables and plots.
    group : str
        Which methods it is drawn with.
    choose : function
        Called with a recorded run, a fraction and a seed; returns positions in the training split.
    """

    name: str
    label: str
    group: str
    choose: Callable[[Recorded, float, int], NDArray[np.int64]]


def _ltc(signal: str, reference: str, **how: Any) -> Callable[..., NDArray[np.int64]]:
    def choose(run: Recorded, fraction: float, seed: int) -> NDArray[np.int64]:
        scores = correlation_scores(run.passes, signal, reference)
        return scores.select(fraction=fraction, seed=seed, **how).indices

    return choose


def _hardest(of: Callable[[Recorded], NDArray[np.float32]]) -> Callable[..., NDArray[np.int64]]:
    """Take the highest values of each class."""

    def choose(run: Recorded, fraction: float, seed: int) -> NDArray[np.int64]:
        del seed
        return _scores(of(run), run).select(fraction=fraction).indices

    return choose


def _difficulty(
    kind: str, confidence: str | None = None, **how: Any
) -> Callable[..., NDArray[np.int64]]:
    """Select by one kind of `ltc.difficulty`; `confidence` names another for Beta sampling."""

    def choose(run: Recorded, fraction: float, seed: int) -> NDArray[np.int64]:
        scores = difficulties(run.passes)
        beside = {} if confidence is None else {"confidence": scores[confidence]}
        return scores[kind].select(fraction=fraction, seed=seed, **how, **beside).indices

    return choose


def _dual_times_ltc(**how: Any) -> Callable[..., NDArray[np.int64]]:
    def choose(run: Recorded, fraction: float, seed: int) -> NDArray[np.int64]:
        scores = difficulties(run.passes)
        chosen = scores["dual"].select(
            fraction=fraction,
            seed=seed,
            strategy="beta",
            confidence=scores["confidence"],
            times=correlation_scores(run.passes, "difference", "class-mean"),
            **how,
        )
        return chosen.indices

    return choose


def _coverage(**how: Any) -> Callable[..., NDArray[np.int64]]:
    def choose(run: Recorded, fraction: float, seed: int) -> NDArray[np.int64]:
        scores = correlation_scores(run.passes, "difference", "class-mean")
        clusters = _clusters(run.passes)
        chosen = scores.select(
            fraction=fraction, seed=seed, strategy="coverage", clusters=clusters, **how
        )
        return chosen.indices

    return choose


def _greedy(name: str) -> Callable[..., NDArray[np.int64]]:
    def choose(run: Recorded, fraction: float, seed: int) -> NDArray[np.int64]:
        del seed
        values = _order_values(name, run, max(fraction, LARGEST))
        return _scores(values, run).select(fraction=fraction).indices

    return choose


METHODS = (
    Method("random", "random", "baseline", _ltc("difference", "class-mean", strategy="random")),
    Method("cld-top", "differences, class mean", "LTC, top", _ltc("difference", "class-mean")),
    Method("cld-pairs", "differences, pairs", "LTC, top", _ltc("difference", "class-pairs")),
    Method("ltc-top", "losses, class mean", "LTC, top", _ltc("loss", "class-mean")),
    Method("ltc-pairs", "losses, pairs", "LTC, top", _ltc("loss", "class-pairs")),
    Method(
        "cld-stratified",
        "stratified",
        "LTC, other strategies",
        _ltc("difference", "class-mean", strategy="stratified"),
    ),
    Method(
        "cld-stratified-cutoff",
        "stratified, cutoff 0.2",
        "LTC, other strategies",
        _ltc("difference", "class-mean", strategy="stratified", cutoff=0.2),
    ),
    Method(
        "cld-random-cutoff",
        "random, cutoff 0.2",
        "LTC, other strategies",
        _ltc("difference", "class-mean", strategy="random", cutoff=0.2),
    ),
    Method("coverage", "coverage", "coverage of trajectories", _coverage()),
    Method(
        "coverage-cutoff",
        "coverage, cutoff 0.2",
        "coverage of trajectories",
        _coverage(cutoff=0.2),
    ),
    Method("el2n", "EL2N", "hard samples", _hardest(lambda run: run.el2n)),
    Method("cumulative-loss", "cumulative loss", "hard samples", _difficulty("cumulative-loss")),
    Method("forgetting", "forgetting", "forgotten samples", _hardest(lambda run: run.forgetting)),
    Method(
        "forgetting-least",
        "at least, by losses",
        "forgotten samples",
        _difficulty("forgetting-least"),
    ),
    Method(
        "forgetting-most", "at most, by losses", "forgotten samples", _difficulty("forgetting-most")
    ),
    Method("variability", "variability", "uncertain samples", _difficulty("variability")),
    Method("dyn-unc", "Dyn-Unc", "uncertain samples", _difficulty("dyn-unc")),
    Method("dual", "DUAL, top", "uncertain samples", _difficulty("dual")),
    Method(
        "dual-beta",
        "DUAL, Beta sampling",
        "uncertain samples",
        _difficulty("dual", "confidence", strategy="beta"),
    ),
    Method("dual-ltc-beta", "in full", FOUND, _dual_times_ltc()),
    Method(
        "dual-ltc-beta-fading",
        "fading at 10 a class",
        FOUND,
        _dual_times_ltc(fading=10.0),
    ),
    Method("confidence", "confidence", "easy and typical samples", _difficulty("confidence")),
    Method("herding", "herding", "easy and typical samples", _greedy("herding")),
    Method("k-centre", "k-centre", "easy and typical samples", _greedy("k-centre")),
)


@lru_cache(maxsize=16)
def correlation_scores(store: Path, signal: str, reference: str) -> ltc.Scores:
    """Return the scores of a store, made once."""
    return ltc.score(store, signal=signal, reference=reference)


@lru_cache(maxsize=4)
def difficulties(store: Path) -> dict[str, ltc.Scores]:
    """Return other papers' scores of a store by kind, made once."""
    epochs = len(ltc.open_store(store).checkpoints) - 1
    return ltc.difficulty(
        store,
        KINDS,
        checkpoints=slice(1, None),
        window=min(WINDOW, epochs // 2),
        loss="cross-entropy",
    )


@lru_cache(maxsize=4)
def _clusters(store: Path) -> NDArray[np.int32]:
    """Return clusters of trajectories, made once."""
    return ltc.clusters(store)


@lru_cache(maxsize=4)
def _order_values(name: str, run: Recorded, share: float) -> NDArray[np.float32]:
    """Return a greedy order as scores, made once."""
    return class_order(ORDERS[name], run.features, run.labels, share)


def _scores(values: NDArray[np.float32], run: Recorded) -> ltc.Scores:
    return ltc.Scores(values, run.labels.astype(np.int32))
