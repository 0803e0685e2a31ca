"""Pairs are never all in memory: at most 256 MB beyond inputs and outputs."""

import subprocess
import sys

import pytest

LIMIT = 256e6  # bytes
PROGRAM = """
import resource
import numpy as np
from ltc_kernels import pair_topk

def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

rng = np.random.default_rng(0)
train, val = (rng.random(({checkpoints}, size), dtype=np.float32) for size in {sizes})
pair_topk(train[:, :5000], val[:, :100], 1, signal="loss")  # what compiled code takes
before = peak()
values, indices = pair_topk(train, val, {k}, signal="loss")
print(peak() - before - values.nbytes - indices.nbytes)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource is not there")
@pytest.mark.parametrize(
    ("checkpoints", "sizes", "k"),
    [(40, (300_000, 4_000), 10), (8, (20_000, 20_000), 600), (2000, (9_000, 5_000), 10)],
)
def test_memory(checkpoints, sizes, k):
    program = PROGRAM.format(checkpoints=checkpoints, sizes=sizes, k=k)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < LIMIT
