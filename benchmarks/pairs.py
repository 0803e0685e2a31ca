"""Exact neighbours and the matrix of correlations, against other exact ways to the same answers.

``ltc`` starts from recorded losses, float16; the others get unit signals made outside the clock.

Notes: what was tried, and what it gave, is in ``benchmarks/pairs.md``.
"""

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine, pair_peers, works
from benchmarks.results import Table
from benchmarks.timing import measure
from ltc_kernels import pair_correlation, pair_topk
from ltc_kernels.cpu.pairs import PairSearch

K = 10
OURS = "ltc, pair_topk"
DENSE = "ltc, every product formed"
STRONGEST = "faiss-cpu IndexFlatIP"
MATRIX_BYTES = 2**30  # of the dense matrix that is measured: of so many queries
PRODUCT_SHARE = 0.8  # of the rate of the plain matrix product, at least
TIE = 2e-5  # correlations nearer than this may be in any order


def run(size: str = "B", rounds: int = 5) -> list[Table]:
    """Measure the works up to this size."""
    names = {"smallest": ["smallest"], "A": ["A"], "cifar-100": ["A"]}.get(size, ["A", "B"])
    chosen = [works.work(name) for name in names]
    described = Table(
        "Works: how hard a search in them is",
        ["work", "share of 4, 12, 20 axes", "quartiles of the tenth-best correlation"],
    )
    for work in chosen:
        described.add(*works.describe(work))
    return [described, *(table for work in chosen for table in _tables(work, rounds))]


def _tables(work: works.Work, rounds: int) -> list[Table]:
    train, val = (pair_peers.units(x, signal="difference") for x in (work.train, work.val))
    shape = f"work {work.name}: {len(train):,} x {len(val):,}, {train.shape[1]} differences"
    return [
        _neighbours(work, train, val, shape, rounds),
        _matrix(work, train, val, shape, rounds),
    ]


def _neighbours(
    work: works.Work, train: NDArray[Any], val: NDArray[Any], shape: str, rounds: int
) -> Table:
    calls = {
        OURS: lambda: pair_topk(work.train, work.val, K, signal="difference"),
        DENSE: lambda: _dense(work),
        **pair_peers.searches(train, val, K),
    }
    expected = calls[OURS]()
    for name, call in calls.items():
        _check(name, call(), expected, train, val)
    others = {name: max(rounds // 2, 1) for name in calls if name not in (OURS, DENSE, STRONGEST)}
    timings = measure(calls, rounds=rounds, seldom=others)
    table = Table(f"{K} neighbours, {shape}", ["what", "time", "GFLOP/s", "times ltc"])
    for name, timing in timings.items():
        rate = 2 * train.size * len(val) / timing.median / 1e9
        ratio = timing.median / timings[OURS].median
        table.add(name, str(timing), f"{rate:.0f}", f"{ratio:.2f}")
    table.note(
        f"To reach: every product formed, no slower than {STRONGEST}. To aim for: 3 times as fast."
    )
    return table


def _dense(work: works.Work) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    search = PairSearch(work.val, K, signal="difference", signs=(1,), prune=False)
    search.add(work.train, np.arange(work.train.shape[1]))
    return search.results()[0]


def _matrix(
    work: works.Work, train: NDArray[Any], val: NDArray[Any], shape: str, rounds: int
) -> Table:
    count = min(max(MATRIX_BYTES // (4 * len(train)), 1), len(val))
    some, queries = work.val[:, :count], val[:count]
    calls = {
        "ltc, pair_correlation": lambda: pair_correlation(work.train, some, signal="difference"),
        **pair_peers.products(train, queries),
    }
    np.testing.assert_allclose(calls["ltc, pair_correlation"](), queries @ train.T, atol=1e-5)
    timings = measure(calls, rounds=rounds)
    ours, *products = (timing.median for timing in timings.values())
    table = Table(f"Matrix, {count:,} queries of {shape}", ["what", "time", "GFLOP/s", "limit"])
    for name, timing in timings.items():
        limit = f"at least {PRODUCT_SHARE:.0%} of the product's" if name.startswith("ltc") else ""
        table.add(name, str(timing), f"{2 * train.size * count / timing.median / 1e9:.0f}", limit)
    table.note(f"{min(products) / ours:.0%} of the faster product's rate, output included.")
    return table


def _check(name: str, found: Any, expected: Any, train: NDArray[Any], val: NDArray[Any]) -> None:
    """No timing of a wrong result: the same values, and samples that have them."""
    values, indices = found
    np.testing.assert_allclose(values, expected[0], atol=TIE, err_msg=name)
    some = np.random.default_rng(0).integers(0, len(val), min(len(val), 500))
    exact = np.einsum("mks,ms->mk", train[indices[some]].astype(np.float64), val[some])
    np.testing.assert_allclose(exact, expected[0][some], atol=TIE, err_msg=name)


def main() -> None:
    """Print the tables, with the machine and the commit they were measured on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=works.NAMES, default="B")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    head = "\n".join(f"{key}: {value}" for key, value in machine.describe().items())
    print("\n\n".join([head, *map(str, run(arguments.size, arguments.rounds))]))


if __name__ == "__main__":
    main()
