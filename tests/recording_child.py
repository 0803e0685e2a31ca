"""Records in a child process until it is killed; a program of its own, so that it imports little.

Each line read is a path, a seed, a number and a delay in seconds. A child is forked that opens the
store there, and commits and rewinds for as long as it lives; it is killed that many seconds after
it has said so many times what it does. The answer is what the child said last of `committed`: a
number, or two where it had begun what leads from one to the other.
"""

import contextlib
import itertools
import os
import signal
import sys
import time

import numpy as np
import stores

from ltc.errors import StoreNotFoundError
from ltc.store.writer import StoreWriter

# Enough samples that a kill often falls into the writing of a chunk.
SIZES = {"train": 300_000, "val": 20_000}


def arguments():
    labels = {f"{split}_labels": np.arange(size) % 10 for split, size in SIZES.items()}
    return {**{f"num_{split}": size for split, size in SIZES.items()}, **labels}


def open_writer(path):
    with contextlib.suppress(StoreNotFoundError):
        return StoreWriter.resume(path, **arguments())
    return StoreWriter.create(path, **arguments())


def record_forever(path, seed, say):
    random = np.random.default_rng(seed)
    writer = open_writer(path)
    while True:
        before = writer.committed
        rewinds = before > 3 and random.random() < 0.2
        after = int(random.integers(before)) if rewinds else before + 1
        say(f"{before} {after}")
        if rewinds:
            writer.rewind(after - 1)
        else:
            writer.append(before, *stores.records(before, **SIZES))
        say(f"{after}")


def run_until_killed(path, seed, number, delay):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with contextlib.suppress(BaseException):
            record_forever(path, seed, lambda text: os.write(writing, f"{text}\n".encode()))
        os._exit(1)  # only an error ends the loop
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = list(itertools.islice(pipe, number))
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        said += pipe
    _, status = os.waitpid(child, 0)
    if os.WTERMSIG(status) != signal.SIGKILL:
        raise RuntimeError(f"the child ended by itself, after {said}")
    return said[-1].strip() if said else "unknown"


if __name__ == "__main__":
    for line in sys.stdin:
        where, chosen, times, seconds = line.rsplit(maxsplit=3)
        said = run_until_killed(where, int(chosen), int(times), float(seconds))
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()
