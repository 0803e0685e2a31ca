"""The examples do what they say."""

import os
import subprocess
import sys
from pathlib import Path

from ltc.store import open_store

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(*command):
    # `torchrun` is this module's entry point.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", *map(str, command)],
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_distributed_goes_on_with_another_number_of_processes(tmp_path):
    example, path = EXAMPLES / "distributed.py", tmp_path / "run.zarr"
    assert run("--nproc-per-node", 2, example, path, "--epochs", 2) == ""
    assert open_store(path).checkpoints.tolist() == [0, 1]
    printed = run("--nproc-per-node", 1, example, path, "--epochs", 5)
    assert "difference" in printed
    store = open_store(path)
    assert store.checkpoints.tolist() == [0, 1, 2, 3, 4]
    for checkpoint, commit in enumerate(store.commits):
        assert (commit.train.observed, commit.val.observed) == (1000, 301)
        assert (commit.train.duplicate, commit.val.duplicate) == (0, int(checkpoint < 2))
        assert (commit.train.mode, commit.val.mode) == ("training", "evaluation")
    losses = store.read("val").mean(axis=1, dtype=float)
    assert losses[1] < losses[0]
    assert losses[2] < losses[0]  # the model went on too
