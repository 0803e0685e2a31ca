"""``python -m benchmarks``: measure, print tables, and keep them in ``benchmarks/results``."""

import argparse
import importlib
import sys

from benchmarks import inputs, machine, results
from benchmarks.results import Table


def _tables(name: str, size: str) -> list[Table]:
    """Run one suite; its module is imported only then."""
    module = importlib.import_module(f"benchmarks.{name}")
    made: Table | list[Table] = module.run() if name in WITHOUT_SIZE else module.run(size)
    return [made] if isinstance(made, Table) else made


SUITES = {
    "kernels": "the group kernel over its floor, and against torch and NumPy",
    "scoring": "ltc.score and the whole ltc score process",
    "difficulty": "all scores of difficulty over one ltc.score",
    "recording": "update and commit",
    "distributed": "commit by several processes, and what it exchanges",
    "share": "the recorder's share of a training run",
    "selection": "selection of coresets",
    "clusters": "clusters of trajectories: time over the least it takes, and how tight they are",
    "online": "the online scorer: time of an update, bytes per sample",
    "formats": "codecs and chunk sizes: size, writing and reading",
    "report": "ltc.report: time, memory, and the size of the file; needs ltc[report]",
    "planning": "what ltc plan estimates beside what runs take",
    "cluster": "Dask clusters against one process; 4 minutes, needs ltc[cluster,objects]",
    "cluster_plan": "what ltc plan --workers estimates beside runs; needs ltc[cluster,objects]",
    "scheduler": "Dask's scheduler with 100,000 tasks that wait; 4 minutes, needs ltc[cluster]",
    "compiled": "the kernels for a GPU as compiled: registers, loads, tensor cores; needs no GPU",
    "accuracy": "error against float64",
    "pairs": "exact neighbours, against faiss, torch and scikit-learn; needs ltc[bench]",
    "procedures": "from disk to scores, against everything a user might do instead",
    "scale": "time and memory from 1 to 100 million samples; 13 GB of disk, half an hour",
}
WITHOUT_SIZE = {"accuracy", "compiled", "scale", "scheduler"}
# run only when named, or with --full
SLOW = {"cluster", "cluster_plan", "clusters", "compiled", "pairs", "report", "scale", "scheduler"}
FULL = {"selection": "imagenet-21k"}  # sizes with --full, where they are others


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, measure, print and keep."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure ltc on this machine and print every figure with its limit.",
        epilog="suites: " + "; ".join(f"{name} ({what})" for name, what in SUITES.items()),
    )
    parser.add_argument("suite", nargs="*", help="what to measure; all by default")
    parser.add_argument("--size", choices=list(inputs.SIZES), default="imagenet-1k")
    parser.add_argument(
        "--full", action="store_true", help="the slow ones too: " + ", ".join(sorted(SLOW))
    )
    parser.add_argument(
        "--keep", action="store_true", help="write tables and plots, benchmarks/results/SUITE.*"
    )
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.suite) - set(SUITES))
    if unknown:
        parser.error(f"unknown suite {unknown[0]!r}; there are {', '.join(SUITES)}")
    for key, value in machine.describe().items():
        print(f"{key + ':':<11} {value}")
    usual = [name for name in SUITES if options.full or name not in SLOW]
    for name in options.suite or usual:
        tables = _tables(name, FULL.get(name, options.size) if options.full else options.size)
        for table in tables:
            print(f"\n{table}", flush=True)
        if options.keep:
            print(f"\nkept as {results.keep(name, tables)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
