"""The benchmark commands run at their smallest size, and their tables say what they should."""

import json
import re

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import (
    accuracy,
    distributed,
    inputs,
    plots,
    procedure_bodies,
    procedures,
    report,
    results,
    scoring,
    timing,
)


@pytest.mark.parametrize(
    "suite",
    [
        "kernels",
        "scoring",
        "difficulty",
        "recording",
        "selection",
        "clusters",
        "online",
        "formats",
        "planning",
    ],
)
def test_a_suite_prints_its_table(suite, capsys):
    assert command.main([suite, "--size", "smallest"]) == 0
    printed = capsys.readouterr().out
    assert "commit:" in printed
    assert printed.count("| ") > 12
    assert re.search(r"\d [mu]?s ", printed)


def test_the_share_of_recording_is_measured(capsys):
    assert command.main(["share", "--size", "smallest"]) == 0
    printed = capsys.readouterr().out
    assert len(re.findall(r"\| (losses|logits) +\| \d", printed)) == 2


def test_a_report_is_measured(monkeypatch):
    pytest.importorskip("bokeh", reason="needs ltc[report]")
    monkeypatch.setattr(report, "CASES", {"names": "with everything"})
    ((what, seconds, memory, written, limit),) = report.run("smallest", rounds=1).rows
    assert (what, limit) == ("with everything", "")
    assert float(seconds.split()[0]) > 500  # milliseconds of a process
    assert 100 < float(memory.removesuffix(" MB")) < 2_000
    assert 600_000 < int(written.removesuffix(" bytes").replace(",", "")) < report.BYTES


def test_commits_of_several_processes_are_measured(capsys, monkeypatch):
    monkeypatch.setattr(distributed, "PROCESSES", (2,))
    assert command.main(["distributed", "--size", "smallest"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\| 2 +\| \d[^|]+ms[^|]+\| \d[^|]+ms[^|]+\| \d[^|]+ms", printed)


def test_a_scheduler_with_tasks_that_wait_is_measured(monkeypatch):
    pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")
    from benchmarks import scheduler

    monkeypatch.setattr(scheduler, "IDLE", 50)
    monkeypatch.setattr(scheduler, "THREADS", 8)
    tasks, shares = scheduler.run(tasks=400, wait=0.02)
    idle, waiting = tasks.rows
    assert idle[0] == "50"
    assert waiting[:2] == ["400", "20 ms"]
    least, took = (float(cell.removesuffix(" s")) for cell in waiting[2:4])
    assert least == 1  # 400 x 20 ms / 8
    assert took > least
    assert float(waiting[5].split()[0]) == pytest.approx(100 * (took - 1), rel=0.06, abs=0.1)
    assert [row[0] for row in shares.rows] == ["score", "neighbors", "select"]


def test_clusters_are_measured_beside_one_process(monkeypatch):
    pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")
    from benchmarks import cluster

    monkeypatch.setattr(cluster, "WORKERS", (2,))
    scored, large, searched = cluster.run("smallest", rounds=1)
    assert [row[:2] for row in scored.rows] == [["disk", "2"], ["S3 server", "2"]]
    for table in (scored, large):
        for row in table.rows:
            cells = dict(zip(table.columns, row, strict=True))
            alone, together, empty = (
                plots._figure(plots.TIMING, cells[name])[0]
                for name in (cluster.ALONE, cluster.CLUSTER, cluster.EMPTY)
            )
            assert float(cells["speed"].split()[0]) == pytest.approx(alone / together, abs=0.01)
            share = float(cells["its share"].removesuffix(" %"))
            assert share == pytest.approx(100 * empty / together, rel=0.01, abs=1)
            assert re.fullmatch(r"[1-9]\d\d MB", cells["peak memory of a worker"])
    assert searched.rows[0][1] == "2"


def test_plans_of_clusters_are_held_against_runs():
    pytest.importorskip("distributed", reason="the extra cluster isn't in the lowest versions")
    from benchmarks import cluster_plan

    planned = cluster_plan.run("smallest")
    pairs = {row[0]: [cell.split(" / ") for cell in row[1:4]] for row in planned.rows}
    assert list(pairs) == ["all commits", "score", "neighbors", "select"]
    for name in ("score", "neighbors"):
        (estimated, found), requests, _ = pairs[name]
        assert estimated == found
        assert 0.5 < int(requests[1]) / int(requests[0]) < 1.5
    assert int(pairs["select"][0][0]) >= int(pairs["select"][0][1]) > 1


def test_accuracy_is_within_the_contract():
    table = accuracy.run(checkpoints=(5, 41))
    cells = [cell for row in table.rows for cell in row[2:]]
    assert len(cells) == 2 * 2 * len(accuracy.KINDS)
    for cell in cells:
        worst, rms = map(float, cell.split(", "))
        assert worst <= accuracy.CONTRACT[0]
        assert rms <= accuracy.CONTRACT[1]


def test_an_unknown_suite_is_an_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["kernel"])
    assert "unknown suite 'kernel'; there are kernels," in capsys.readouterr().err


def test_results_are_kept_with_machine_and_commit(tmp_path):
    table = results.Table("Title", ["what", "time"])
    table.add("this", "1 ms")
    table.note("A note.")
    path = results.keep("name", [table], tmp_path)
    assert "| this | 1 ms |" in path.read_text()
    kept = json.loads((tmp_path / "name.json").read_text())
    assert kept["machine"].keys() >= {"commit", "processor"}
    assert kept["tables"][0]["rows"] == [{"what": "this", "time": "1 ms"}]
    with pytest.raises(ValueError, match="2 cells, got 1"):
        table.add("alone")


def test_tables_with_figures_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    plain = results.Table("Words", ["what", "how"])
    plain.add("this", "well")
    assert plots.save(tmp_path / "none.png", "plain", [plain]) is None
    times = results.Table("Times", ["what", "time", "peak memory", "limit"])
    times.add("this", "1.5 ms (1 to 2)", "100 MB", "at most 2 ms")
    times.add("that", "3 s", "2000 MB, 12 without", "")
    path = plots.save(tmp_path / "some.png", "times", [plain, times])
    assert path.read_bytes().startswith(b"\x89PNG")
    assert plots._columns(times, plots.TIMING) == [1]
    assert plots._columns(times, plots.MEMORY) == [2]
    assert plots._figure(plots.TIMING, "1.5 ms (1 to 2)") == (1.5, 1, 2)
    assert plots._figure(plots.TIMING, "3 s") == (3000, 3000, 3000)
    assert plots._figure(plots.TIMING, "2.903e+04 ms (2.7e+04 to 3e+04)") == (29030, 27000, 30000)


def test_every_procedure_gives_the_same_scores(tmp_path):
    """Same work: no time counts of something else."""
    pytest.importorskip("dask")
    store = scoring.write(str(tmp_path), inputs.SIZES["smallest"])
    procedures._write_pickle(store, tmp_path / "losses.pickle")
    exact = procedure_bodies.timed("numpy", tmp_path)[0]
    for name in procedures.PROCEDURES:
        scores, seconds, memory = procedure_bodies.timed(name, tmp_path)
        np.testing.assert_allclose(scores, exact, atol=1e-5, err_msg=name)
        assert seconds > 0
        assert memory > 50


def test_timings_are_taken_in_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    timings = timing.measure(calls, rounds=3, seldom={"b": 1})
    assert order == ["a", "b", "a", "b", "a", "a"]
    assert len(timings["a"].seconds) == 3
    assert len(timings["b"].seconds) == 1
    assert timing.Timing((0.001, 0.003, 0.002)).median == 0.002
