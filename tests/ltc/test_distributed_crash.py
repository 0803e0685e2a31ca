"""What is left when one of several processes dies: every commit, and nothing of the last one."""

import os
import time
from pathlib import Path

import kills
import numpy as np
import pytest
import stores
import torch.distributed as dist

import ltc

KILLS = 50
SIZES = {"train": 30_000, "val": 2_000}
ARGUMENTS = {f"num_{split}": size for split, size in SIZES.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


def update(recorder, rank, checkpoint):
    """A process sees its part; and the first samples are seen by all, with the same losses."""
    for split, size in SIZES.items():
        losses = stores.losses(split, checkpoint, size).astype(np.float32)
        index = np.arange(size)[rank :: dist.get_world_size()]
        recorder.update(split, index, losses=losses[index])
        recorder.update(split, range(100), losses=losses[:100])


def record_forever(rank, path, seed, log):
    """Commit and rewind until a process is lost; rank 0 says what it has begun and done."""
    random = np.random.default_rng(seed)  # all do the same
    with Path(log if rank == 0 else os.devnull).open("a", buffering=1) as said:
        recorder = ltc.Recorder(path, **ARGUMENTS, resume=True)
        while True:
            before = len(recorder.checkpoints)
            rewinds = before > 3 and random.random() < 0.2
            after = int(random.integers(before)) if rewinds else before + 1
            began = time.perf_counter()
            if rewinds:
                said.write(f"{before} {after}\n")
                recorder.rewind(after - 1)
            else:
                update(recorder, rank, before)
                said.write(f"{before} {after}\n")
                recorder.commit(before)
            said.write(f"{after}\n")
            assert len(recorder.checkpoints) == after
            # As long as it took, so that kills come between, too, however fast the machine is.
            time.sleep(time.perf_counter() - began)


def test_processes_killed_at_random_moments(processes, path, tmp_path):
    """SIGKILL, fifty times: in turn of rank 0, which writes, and of another, of 2 or 4."""
    random = np.random.default_rng(0)
    known, commits, inside = {}, 0, {True: 0, False: 0}
    for kill in range(KILLS):
        size, log = 4 if kill % 5 == 4 else 2, tmp_path / f"{kill}.log"
        victim = 0 if kill % 2 == 0 else int(random.integers(1, size))
        moment = int(random.integers(0, 10)), random.uniform(0, 0.03)
        outcomes = processes.try_run(
            record_forever, size, path, kill, log, kill=[victim, log, *moment]
        )
        for rank, outcome in enumerate(outcomes):
            if rank == victim:
                assert outcome.error == ["", f"rank {rank} ended with -9"]
            else:
                assert outcome.error[0] == "DistributedError", outcome.error[1]
        said = log.read_text().splitlines() if log.exists() else []
        possible = {int(number) for number in said[-1].split()} if said else None
        inside[possible is not None and len(possible) == 2] += 1
        known = kills.check_after_kill(path, known, possible, **SIZES)
        commits += sum(" " not in line for line in said)
    assert commits > KILLS, "the processes hardly lived"
    assert min(inside.values()) > KILLS // 10, "kills came in a commit, or between commits, only"
    processes.run(commit_once, 2, path)
    assert not list(path.rglob("*.partial"))
    kills.check_after_kill(path, known, {len(known) + 1}, **SIZES)


def commit_once(rank, path):
    with ltc.Recorder(path, **ARGUMENTS, resume=True) as recorder:
        checkpoint = len(recorder.checkpoints)
        update(recorder, rank, checkpoint)
        recorder.commit(checkpoint)
