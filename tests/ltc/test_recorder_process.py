"""Recording seen from outside the process: what it imports and prints, and what a crash leaves."""

import signal
import subprocess
import sys

import numpy as np

from ltc.recorder import Recorder
from ltc.store import open_store

RUN = """
import os, signal, sys
import numpy as np
from ltc.recorder import Recorder

def epoch(recorder, value):
    recorder.update("train", [0, 1, 2], losses=np.full(3, value))
    recorder.update("val", [0, 1], losses=np.full(2, value))

recorder = Recorder(sys.argv[1], num_train=3, num_val=2)
"""


def run(path, body):
    return subprocess.run(
        [sys.executable, "-c", RUN + body, path], capture_output=True, text=True, check=False
    )


def test_recording_from_arrays_does_not_import_torch(tmp_path):
    body = """
with recorder:
    epoch(recorder, 1.0)
    recorder.commit(0)
print(sorted({"torch", "triton", "numba"} & set(sys.modules)))
"""
    found = run(tmp_path / "run.zarr", body)
    assert (found.returncode, found.stdout, found.stderr) == (0, "[]\n", "")


def test_a_crash_in_the_last_epoch_loses_that_epoch_only(tmp_path):
    path = tmp_path / "run.zarr"
    body = """
for checkpoint in range(3):
    epoch(recorder, float(checkpoint))
    recorder.commit(checkpoint)
epoch(recorder, 9.0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run(path, body).returncode == -signal.SIGKILL
    np.testing.assert_array_equal(open_store(path).read("val"), [[0, 0], [1, 1], [2, 2]])
    with Recorder(path, num_train=3, num_val=2, resume=True) as recorder:
        assert recorder.checkpoints == [0, 1, 2]
        recorder.update("train", [0], losses=[3.0])
        recorder.update("val", [0, 1], losses=[3.0, 3.0])
        recorder.commit(3)
    np.testing.assert_array_equal(open_store(path).read("val"), [[0, 0], [1, 1], [2, 2], [3, 3]])


def test_the_line_about_dropped_losses_is_seen_without_configuring_logging(tmp_path):
    path = tmp_path / "run.zarr"
    body = """
with recorder:
    epoch(recorder, 1.0)
    raise KeyError("no such image")
"""
    found = run(path, body)
    assert found.returncode == 1
    lines = found.stderr.splitlines()
    assert lines[0] == (
        f"{path}: dropped uncommitted losses of train and val; checkpoints in the store: 0"
    )
    assert lines[-1] == "KeyError: 'no such image'"
