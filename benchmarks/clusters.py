"""Clusters of trajectories: what they cost, beside the least that it takes, and how tight they are.

The least is reading the store twice and, from memory, the samples that centres are fitted to once
for each centre that is chosen and once for each round of k-means. Beside it the products of these
samples and centres as BLAS multiplies them, which distances could be made of. How tight clusters
are is the sum of squared distances from their means, over all samples of some classes: beside that
of scikit-learn's k-means, which is fitted to all of them, and with less work of ours.
"""

import tempfile
import time
from unittest import mock

import numpy as np
from numpy.typing import NDArray

import ltc
from benchmarks import bandwidth, inputs, scoring
from benchmarks.results import Table
from benchmarks.selection import peak_memory
from benchmarks.timing import measure
from ltc import clustering
from ltc.tiles import read_tiles

PER_CLASS = 20
COMPARED = 50  # classes whose clusters are compared: scikit-learn takes its time
WORK = ((8, 10), (16, 10), (32, 5), (32, 10), (32, 20))  # samples for a cluster, rounds
MEMORY = "1GB"  # enough for all samples to fit to
WIDTH = 32_768  # samples of a tile that is only read


def run(size_name: str = "imagenet-1k", rounds: int = 3) -> list[Table]:
    """Measure both tables."""
    size = inputs.SIZES[size_name]
    losses, labels = inputs.losses(size, "train"), inputs.labels(size, "train")
    with tempfile.TemporaryDirectory() as folder:
        store = ltc.open_store(scoring.write(folder, size, losses))
        return [_costs(size, store, rounds), _tightness(size, store, losses, labels)]


def _costs(size: inputs.Size, store: ltc.Store, rounds: int) -> Table:
    fitted = min(size.train, clustering.FITTED * PER_CLASS * size.classes)
    signals = np.ones((fitted, size.checkpoints - 1), np.float32)
    centres = np.ones((size.checkpoints - 1, PER_CLASS), np.float32)

    def read() -> None:
        for _ in range(2):
            for _ in read_tiles(store, range(size.checkpoints), WIDTH):
                pass

    def multiply() -> None:
        for _ in range(clustering.ROUNDS + 1):  # choosing centres takes as many products as a round
            np.matmul(signals, centres)

    def fit() -> None:
        for _ in range(PER_CLASS + clustering.ROUNDS):
            read_signals()

    def find() -> None:
        ltc.clusters(store, per_class=PER_CLASS, memory_limit=MEMORY)

    read_signals = bandwidth.reader(signals)
    reading, fitting, products = "reading the store twice", "reading what is fitted to", "BLAS"
    timings = measure(
        {"ltc.clusters": find, reading: read, fitting: fit, products: multiply}, rounds=rounds
    )
    least = timings[reading].median + timings[fitting].median
    table = Table(
        f"Clusters, {PER_CLASS} in each of {size.classes:,} classes, {size.train:,} samples x "
        f"{size.checkpoints}, {fitted:,} of them fitted to",
        ["what", "time", "over the least"],
    )
    for name, timing in timings.items():
        over = f"{timing.median / least:.1f}" if name == "ltc.clusters" else ""
        table.add(name, str(timing), over)
    table.note(
        f"The most memory that it held: {peak_memory(find) / 1e6:.0f} MB, memory_limit {MEMORY}."
    )
    return table


def _tightness(
    size: inputs.Size, store: ltc.Store, losses: NDArray[np.float16], labels: NDArray[np.int32]
) -> Table:
    compared = min(COMPARED, size.classes)
    picked = np.flatnonzero(labels < compared)
    signals = np.diff(losses[:, picked].astype(np.float32), axis=0).T.copy()
    table = Table(
        f"How tight clusters are, {compared} of the classes, {picked.size:,} samples",
        ["what", "squares within clusters, over scikit-learn's", "time, all classes"],
    )
    _by_scikit_learn(signals[:PER_CLASS], np.zeros(PER_CLASS, np.int32))  # loads it
    begin = time.perf_counter()
    theirs = _by_scikit_learn(signals, labels[picked])
    seconds = time.perf_counter() - begin
    least = squares_within(signals, theirs)
    for fitted, rounds in WORK:
        with mock.patch.multiple(clustering, FITTED=fitted, ROUNDS=rounds):
            begin = time.perf_counter()
            found = ltc.clusters(store, per_class=PER_CLASS, memory_limit=MEMORY)[picked]
            took = time.perf_counter() - begin
        ratio = squares_within(signals, found) / least
        usual = (fitted, rounds) == (clustering.FITTED, clustering.ROUNDS)
        name = f"{fitted} samples for a cluster, {rounds} rounds{' (default)' if usual else ''}"
        table.add(name, f"{ratio:.4f}", f"{took:.3g} s")
    table.add(f"scikit-learn, {compared} classes", "1", f"{seconds:.3g} s, these classes alone")
    return table


def _by_scikit_learn(signals: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans

    found = np.empty(len(labels), np.int64)
    for c in np.unique(labels):
        own = np.flatnonzero(labels == c)
        fit = KMeans(min(PER_CLASS, own.size), n_init=1, random_state=0).fit(signals[own])
        found[own] = PER_CLASS * int(c) + fit.labels_
    return found


def squares_within(signals: NDArray[np.float32], clusters: NDArray[np.integer]) -> float:
    """Return the sum of squared distances of samples [n, T] from the means of their clusters.

    Examples
    --------
    >>> squares_within(np.array([[1], [3], [9]], np.float32), np.array([5, 5, 7]))
    2.0
    """
    _, numbers = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(numbers)
    means = np.zeros((sizes.size, signals.shape[1]))
    np.add.at(means, numbers, signals)
    means /= sizes[:, None]
    return float(np.square(signals - means[numbers]).sum())
