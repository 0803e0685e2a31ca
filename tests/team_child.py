"""Starts groups of processes for tests; a program of its own, so that torch is loaded only once.

Each line read is a JSON object: a file and the name of a function in it, what it is called with
after its rank, how many processes call it, and which is killed when: so many seconds after a file
has so many lines, counted from when all are there. The processes are forked,
make up a process group over gloo, and call the function. The answer, a line too, has for each
process what the function returned, or what it raised, and how the process ended.
"""

import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path

import torch
import torch._dynamo  # the first DistributedDataParallel loads it: here once for all
import torch.distributed as dist

from ltc.errors import LtcError

SECONDS = 60  # after which a process hangs
# About one death in a thousand, gloo sends to a process that is no more, and doesn't notice before
# the group's own timeout, which is half an hour unless something else is asked for.
PATIENCE = timedelta(seconds=20)


@cache
def load(file):
    specification = importlib.util.spec_from_file_location(Path(file).stem, file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def call(job, rank, folder):
    """What a forked process does; the status that it ends with."""
    outcome = {}
    torch.set_num_threads(1)
    try:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{folder}/meeting",
            rank=rank,
            world_size=job["size"],
            timeout=PATIENCE,
        )
        Path(folder, f"{rank}.there").touch()
        outcome["result"] = getattr(load(job["file"]), job["name"])(rank, *job["arguments"])
    except LtcError as error:
        outcome["error"] = [type(error).__name__, str(error)]
    except BaseException:
        outcome["error"] = ["", traceback.format_exc()]
    Path(folder, f"{rank}.json").write_text(json.dumps(outcome))
    return 0 if "result" in outcome else 1


def run(job, folder):
    load(job["file"])  # before there are several of this process
    children = []
    for rank in range(job["size"]):
        child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                status = call(job, rank, folder)
            os._exit(status)
        children.append(child)
    deadline = time.monotonic() + SECONDS
    if job["kill"] is not None:
        rank, file, lines, delay = job["kill"]
        while time.monotonic() < deadline and not (
            len(list(Path(folder).glob("*.there"))) == job["size"] and count_lines(file) >= lines
        ):
            time.sleep(0.001)
        time.sleep(delay)
        os.kill(children[rank], signal.SIGKILL)
    return [wait(child, rank, folder, deadline) for rank, child in enumerate(children)]


def count_lines(file):
    return Path(file).read_bytes().count(b"\n") if Path(file).exists() else 0


def wait(child, rank, folder, deadline):
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"error": ["", f"rank {rank} hangs"]}
        time.sleep(0.002)
    file = Path(folder, f"{rank}.json")
    if file.exists():
        return json.loads(file.read_text())
    return {"error": ["", f"rank {rank} ended with {os.waitstatus_to_exitcode(status)}"]}


if __name__ == "__main__":
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as place:
            sys.stdout.write(json.dumps(run(json.loads(line), place)) + "\n")
        sys.stdout.flush()
    os._exit(0)  # an interpreter that has loaded torch takes seconds to end
