"""``python -m benchmarks.gpu``: test the kernels on this machine's GPU, then measure them."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import torch

from benchmarks import inputs, machine, results

ROOT = Path(__file__).parent.parent.parent
TESTS = "tests/kernels/gpu"
SIZES = {
    "smallest": inputs.Size(6, 300, 12, 4),
    "imagenet-1k": inputs.Size(90, 1_281_167, 50_000, 1000),
}
UNUSABLE = 2  # exit status where there is nothing to measure on, as of other wrong uses


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line; test, measure, print and keep."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description="Test the kernels on the GPU, measure them beside what it can do at best and "
        "beside torch, and keep the tables in benchmarks/results.",
    )
    parser.add_argument("--size", choices=list(SIZES), default="imagenet-1k")
    parser.add_argument("--rounds", type=int, default=20, help="times that each call is timed")
    parser.add_argument(
        "--tune",
        action="store_true",
        help="time other tiles than the rules choose instead, and keep nothing",
    )
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print(
            f"no GPU to measure: torch {torch.__version__} sees no CUDA or ROCm device; nothing "
            "was run"
        )
        return UNUSABLE
    device = torch.device("cuda", torch.cuda.current_device())
    described = describe(device)
    for key, value in described.items():
        print(f"{key + ':':<11} {value}")
    if not passes():
        print(f"{TESTS} fails on this device: nothing is timed", file=sys.stderr)
        return 1
    from benchmarks.gpu import measure, tune, works
    from benchmarks.gpu.clock import DeviceClock

    clock = DeviceClock(device)
    if options.tune:
        made = works.works(SIZES[options.size], device, torch.compile)
        print(f"\n{tune.tune(made, clock, rounds=options.rounds)}")
        return 0
    tables = measure.run(SIZES[options.size], device, clock, torch.compile, options.rounds)
    for table in tables:
        print(f"\n{table}", flush=True)
    print(f"\nkept as {results.keep(file_name(described['device']), tables, described=described)}")
    return 0


def describe(device: torch.device) -> dict[str, str]:
    """Device and software, beside what is said of every machine."""
    properties = torch.cuda.get_device_properties(device)
    runtime = f"ROCm {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
    memory = properties.total_memory / 2**30
    return {
        "device": f"{properties.name}, {memory:.0f} GiB, {properties.multi_processor_count} "
        f"multiprocessors, {runtime}",
        **machine.describe(),
    }


def file_name(device: str) -> str:
    """Where results of a device are kept: each has files of its own.

    Examples
    --------
    >>> file_name("NVIDIA H100 80GB HBM3, 79 GiB, 132 multiprocessors, CUDA 13.0")
    'gpu-nvidia-h100-80gb-hbm3'
    """
    return "gpu-" + re.sub(r"[^a-z0-9]+", "-", device.partition(",")[0].lower()).strip("-")


def passes() -> bool:
    """Whether the kernels' tests pass on the device, and were run there at all."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "tests.xml")
        command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", TESTS]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
        return done.returncode == 0 and ran(report)


def ran(report: Path) -> bool:
    """Whether a JUnit report tells of kernels that ran, and not only of what tests rely on."""
    cases = ElementTree.parse(report).iter("testcase")
    return any("test_memory" not in case.get("classname", "") and not len(case) for case in cases)


if __name__ == "__main__":
    sys.exit(main())
