"""Measuring on a GPU, as far as that needs none: the kernels' works are in tests/kernels/gpu."""

import sys

import numpy as np
import pytest
import torch

from assertions import assert_scores_close
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import measure, peers
from benchmarks.gpu.work import OURS, Work
from benchmarks.timing import Timing
from kernels import cases
from ltc_kernels import reference
from ltc_kernels.algebra import unit_signals

CPU = torch.device("cpu")
DESCRIBED = {"device": "Some GPU, 1 GiB", "commit": "x", "processor": "some processor"}


class FakeClock:
    """Each call takes as many seconds as it is told."""

    def __init__(self, seconds):
        self.seconds, self.timed = seconds, []

    def measure(self, calls, *, rounds):
        for call in calls.values():
            call()
        self.timed += calls
        return {name: Timing((self.seconds.get(name, 1.0),) * rounds) for name in calls}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_says_so(capsys):
    assert command.main([]) == command.UNUSABLE == 2
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.startswith("no GPU to measure: torch ")


@pytest.fixture
def machine_with_gpu(monkeypatch):
    """All of the command but what only a GPU can do."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(command, "describe", lambda _: DESCRIBED)
    monkeypatch.setattr("benchmarks.gpu.clock.DeviceClock", lambda _: FakeClock({}))


@pytest.mark.usefixtures("machine_with_gpu")
def test_a_red_test_stops_everything(monkeypatch, capsys):
    monkeypatch.setattr(command, "passes", lambda: False)
    monkeypatch.setattr(measure, "run", lambda *_: pytest.fail("timed on a red test"))
    assert command.main([]) == 1
    assert "tests/kernels/gpu fails on this device: nothing is timed" in capsys.readouterr().err


@pytest.mark.usefixtures("machine_with_gpu")
def test_tables_are_printed_and_kept(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "passes", lambda: True)
    asked = []

    def run(size, device, _, compiler, rounds):
        asked.append((size, str(device), compiler, rounds))
        table = measure.Table("Kernels", ["work"])
        table.add("this one")
        return [table]

    monkeypatch.setattr(measure, "run", run)
    monkeypatch.setattr(command.results.keep, "__defaults__", (tmp_path, None))
    assert command.main(["--rounds", "3"]) == 0
    assert asked == [(command.SIZES["imagenet-1k"], "cuda:0", torch.compile, 3)]
    assert command.SIZES["imagenet-1k"].train == 1_281_167
    assert "| this one |" in capsys.readouterr().out
    assert "- device: Some GPU, 1 GiB" in (tmp_path / "gpu-some-gpu.md").read_text()
    assert "this one" in (tmp_path / "gpu-some-gpu.json").read_text()


@pytest.mark.usefixtures("machine_with_gpu")
def test_tuning_keeps_nothing(monkeypatch, capsys):
    monkeypatch.setattr(command, "passes", lambda: True)
    monkeypatch.setattr("benchmarks.gpu.works.works", lambda *_: [])
    monkeypatch.setattr(command.results, "keep", lambda *_, **__: pytest.fail("kept"))
    assert command.main(["--tune"]) == 0
    assert "\nTiles\n" in capsys.readouterr().out


def test_tests_that_did_not_run_are_not_a_pass(tmp_path):
    """Without a device nothing but the tests' own tools is collected, and that passes."""
    report = tmp_path / "tests.xml"
    memory = '<testcase classname="tests.kernels.gpu.test_memory" name="a"/>'
    for more, expected in (
        ("", False),
        ('<testcase classname="tests.kernels.gpu.test_group"><skipped/></testcase>', False),
        ('<testcase classname="tests.kernels.gpu.test_group" name="b"/>', True),
    ):
        report.write_text(f"<testsuites><testsuite>{memory}{more}</testsuite></testsuites>")
        assert command.ran(report) == expected


@pytest.mark.parametrize(("script", "expected"), [("assert False", False), ("", False)])
def test_the_tests_are_run_in_a_process_of_their_own(monkeypatch, tmp_path, script, expected):
    """One that fails, and one that passes without having run a kernel."""
    (tmp_path / "test_memory.py").write_text(f"def test_it():\n    {script or 'pass'}\n")
    monkeypatch.setattr(command, "TESTS", str(tmp_path))
    assert command.passes() is expected


def a_work(check=lambda *_: None):
    calls = {OURS: lambda: "right", "other": lambda: "wrong"}
    return Work("kernel", "10 x 2", 6e9, "copy", calls, check)


def ceilings():
    return {"copy": measure.Ceiling("a copy", Timing((1.0,)), 8e9, "GB/s")}


def test_rates_are_stated_beside_the_ceiling():
    table = measure.kernel_table(
        [a_work()], ceilings(), FakeClock({OURS: 1.0, "other": 3.0}), rounds=2
    )
    assert [row[:2] + row[4:] for row in table.rows] == [
        ["kernel", "10 x 2", "6 GB/s", "75.0%", "1.00"],
        ["kernel", "10 x 2", "2 GB/s", "25.0%", "3.00"],
    ]
    assert table.rows[1][3] == "3000 ms (3000 to 3000)"


def test_a_wrong_result_is_not_timed():
    def check(name, result):
        assert result == "right", name

    clock = FakeClock({})
    with pytest.raises(AssertionError, match="kernel, other"):
        measure.kernel_table([a_work(check)], ceilings(), clock, rounds=2)
    assert not clock.timed


def test_ceilings_are_of_bytes_and_operations():
    measured = measure.ceilings(CPU, FakeClock({"copy": 0.5, "product": 2.0}), side=64, rounds=1)
    assert measured["copy"].amount == 2 * 16 * 64**2
    assert measured["product"].amount == 2 * 64**3
    table = measure.ceiling_table(measured)
    assert [row[2] for row in table.rows] == ["0.0002621 GB/s", "2.621e-07 TFLOP/s"]


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_peers_do_the_same_work(signal, monkeypatch):
    case = cases.case(20, 300)
    train, val = case.losses, cases.trajectories(20, 9, seed=3)
    tensors = torch.from_numpy(train), torch.from_numpy(val)
    weights = unit_signals(case.references, signal=signal)[0].T.astype(np.float32)
    scores = peers.group_correlation(
        tensors[0], torch.from_numpy(weights), torch.from_numpy(case.groups), signal
    )
    expected = reference.group_correlation(train, case.references, case.groups, signal=signal)
    assert_scores_close(scores, expected)
    matrix = reference.pair_correlation(train, val, signal=signal)
    assert_scores_close(peers.pair_correlation(*tensors, signal), matrix)
    monkeypatch.setattr(peers, "PRODUCT_BYTES", 4 * 9 * 70)  # tiles of 70 samples
    values, indices = peers.pair_topk(*tensors, 5, signal)
    assert_scores_close(values, -np.sort(-matrix, axis=1)[:, :5])
    assert_scores_close(np.take_along_axis(matrix, indices.numpy(), axis=1), values)


def test_the_online_peer_gives_the_scores_of_whole_trajectories():
    case = cases.case(12, 200)
    losses, groups = torch.from_numpy(case.losses), torch.from_numpy(case.groups)
    moments = peers.Moments.start(losses[0])
    steps = torch.from_numpy(np.diff(case.references, axis=1))
    for t in range(1, 12):
        before = steps[:, : t - 1].mean(dim=1) if t > 1 else torch.zeros(7)
        deviations = (steps[:, t - 1] - before).float()
        peers.online_update(moments, losses[t], deviations, groups, torch.tensor(float(t)))
    norm = (steps - steps.mean(dim=1, keepdim=True)).norm(dim=1)
    scores = moments.product / moments.square.sqrt() / norm[groups]
    expected = reference.group_correlation(
        case.losses, case.references, case.groups, signal="difference"
    )
    assert_scores_close(scores, expected)


def test_importing_the_command_needs_no_triton():
    """So that a machine without it gets the line too."""
    import subprocess

    code = "import benchmarks.gpu.__main__, sys; sys.exit('triton' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=command.ROOT, check=False).returncode == 0
    )
