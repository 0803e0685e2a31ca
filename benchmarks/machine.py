"""What a figure was measured on."""

import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numba

PACKAGES = ("numpy", "numba", "torch", "zarr", "zarrs")


def describe() -> dict[str, str]:
    """Machine, software and commit, as one line each."""
    return {
        "commit": commit(),
        "processor": f"{_processor()}, {numba.config.NUMBA_NUM_THREADS} threads",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def peak_memory() -> float:
    """Most memory that this process has had resident, MB.

    On Linux from ``/proc``: what ``getrusage`` tells starts with the peak of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def commit() -> str:
    """Return the commit that is checked out, marked where the files differ from it."""
    here = Path(__file__).parent
    try:
        revision = _git(here, "rev-parse", "--short=10", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    # Results are written by the runs themselves, and don't change what is measured.
    differs = any("benchmarks/results/" not in line for line in changed.splitlines())
    return revision + (" with changes" if differs else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip("\n")


def _processor() -> str:
    """Model and widest vector instructions, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or "unknown processor"
    lines = info.read_text().splitlines()
    fields = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    flags = fields.get("flags", "").split()
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "no AVX")
    family = f"family {fields.get('cpu family', '?')} model {fields.get('model', '?')}"
    return f"{fields.get('model name', 'unknown')} ({family}, {widest})"
