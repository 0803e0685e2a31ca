"""Both trainers in two processes that they share the data out to themselves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from integrations import problem

import ltc

HERE = Path(__file__).parent
STARTS = {
    "lightning": [sys.executable],
    "huggingface": [sys.executable, "-m", "torch.distributed.run", "--standalone",
                    "--nproc-per-node", "2"],
}  # fmt: skip
PACKAGES = {"lightning": "lightning", "huggingface": "transformers"}


@pytest.mark.parametrize("name", STARTS)
def test_two_processes_record_what_one_would(tmp_path, name):
    pytest.importorskip(PACKAGES[name])
    script = HERE / f"{name}_processes.py"
    store, weights = tmp_path / "run.zarr", tmp_path / "weights.pt"
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [*STARTS[name], script, store, weights],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    run = ltc.open_store(store)
    assert run.checkpoints.tolist() == [1, 2, 3, 4]
    last = run.commits[-1]
    assert (last.train.observed, last.val.observed) == (problem.NUM_TRAIN, problem.NUM_VAL)
    # Nine samples are one too few for two processes: a sampler adds some again.
    assert last.train.duplicate == 0
    assert last.val.duplicate > 0
    network = problem.network()
    network.load_state_dict(torch.load(weights))
    problem.assert_same_losses(run.read("val")[-1], problem.losses(network, "val"))
    # The first batch of each process was seen before any step.
    early = (run.read("train")[0] == problem.losses(problem.network(), "train")).sum()
    assert early >= 8
    assert run.verify().ok
