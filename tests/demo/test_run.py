"""The whole demonstration in its smallest form: what it prints, saves and refuses."""

import csv
import importlib.util

import numpy as np
import pytest
from demo.test_data import clothes  # noqa: F401 - a fixture

import ltc
from ltc.demo import run
from ltc.demo.errors import MissingExtraError
from ltc.errors import ArgumentValueError

SMALL = {"seeds": 2, "sizes": (0.05, 0.5), "epochs": 5, "workers": 1, "progress": False}
ROWS = [(s, c) for s in ("random", "top", "stratified") for c in ("0", "0.2")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def report(folder):
    return run("digits", out=folder, **SMALL)


@pytest.fixture(scope="module")
def accuracies(report):
    table = next(path for path in report.files if path.suffix == ".csv")
    with table.open() as lines:
        return list(csv.DictReader(lines))


def test_every_cell_is_measured_for_every_seed(accuracies):
    cells = {
        (line["flipped"], line["strategy"], line["cutoff"], line["fraction"], line["seed"])
        for line in accuracies
    }
    assert len(cells) == len(accuracies) == 2 * 2 * (len(ROWS) * 2 + 1)
    assert all(0.1 < float(line["accuracy"]) <= 1 for line in accuracies)


def test_the_printed_table_is_the_mean_of_the_measured(report, accuracies):
    chosen = [
        100 * float(line["accuracy"])
        for line in accuracies
        if (line["flipped"], line["strategy"], line["cutoff"], line["fraction"])
        == ("0", "stratified", "0.2", "0.5")
    ]
    clean = report.text.partition("Clean labels")[2].partition("flipped")[0]
    row = next(line for line in clean.splitlines() if line.split()[:2] == ["stratified", "0.2"])
    assert row.endswith(f"{np.mean(chosen):.1f} ± {np.std(chosen, ddof=1):.1f}")


def test_the_baseline_comes_first(report):
    lines = report.text.splitlines()
    first = lines[lines.index("Clean labels") + 3]
    assert first.startswith("random (baseline)       0 ")


def test_a_cutoff_that_changes_nothing_is_said(report):
    assert "The cutoff changes no coreset of top" in report.text
    assert "changes no coreset of random" not in report.text


@pytest.mark.parametrize(
    "words",
    [
        "AUC",
        "without the checkpoint before training",
        "Spearman's rank correlation",
        "Recording took",
        "everything (1,000)",
    ],
)
def test_the_report_tells(report, words):
    assert words in report.text


def test_files(report, folder):
    names = {path.relative_to(folder / "digits").as_posix() for path in report.files}
    plots = {"accuracy", "scores-clean", "scores-flipped", "trajectories", "data-map"}
    assert names == {f"{plot}.png" for plot in plots} | {"accuracy.csv", "report.txt"}
    for path in report.files:
        content = path.read_bytes()
        assert str(path) in str(report)
        assert path.suffix != ".png" or content.startswith(b"\x89PNG")
    assert (folder / "digits" / "report.txt").read_text(encoding="utf-8").strip() == report.text


def test_stores_stay(folder, report):  # noqa: ARG001 - made by it
    for flip in ("0", "0.1"):
        store = ltc.open_store(folder / "digits" / f"flip-{flip}-seed-1.zarr")
        assert store.checkpoints.tolist() == [0, 1, 2, 3, 4, 5]
        modes = [commit.train.mode for commit in store.commits]
        assert modes == ["evaluation", *5 * ["training"]]
        assert {commit.val.mode for commit in store.commits} == {"evaluation"}


def test_the_same_figures_again_in_more_processes(report, folder):
    before = (folder / "digits" / "accuracy.csv").read_text()
    assert before
    again = run("digits", out=folder, **{**SMALL, "workers": 2})
    assert (folder / "digits" / "accuracy.csv").read_text() == before
    assert again.files == report.files


def test_fashion_mnist(clothes, tmp_path):  # noqa: F811 - the fixture
    settings = {**SMALL, "seeds": 1, "sizes": (0.5,)}
    report = run("fashion-mnist", data=clothes, out=tmp_path, **settings)
    assert "fashion-mnist: 500 training, 100 validation and 10 test samples" in report.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "cifar"}, "dataset must be one of digits, fashion-mnist, got 'cifar'"),
        ({"data": "somewhere"}, "data must not be given for 'digits'"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"epochs": 3}, "epochs must be at least 4, got 3"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"sizes": ()}, "sizes must not be empty"),
        ({"sizes": (0.1, 1.5)}, "sizes must be between 0 and 1, got 1.5"),
        ({"cutoff": 0}, "cutoff must be between 0 and 1, got 0"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, settings, message):
    with pytest.raises(ArgumentValueError, match=message):
        run(**{"out": tmp_path, "progress": False, **settings})
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "ltc.demo.errors.find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    with pytest.raises(MissingExtraError, match=r"needs matplotlib: pip install 'ltc\[demo\]'"):
        run(out=tmp_path)


def test_the_two_ways_of_recording_are_compared(report):
    lines = [line for line in report.text.splitlines() if "passes of their own: Spearman" in line]
    assert len(lines) == 2  # one for each share of flipped labels
    for line in lines:
        mean, _, spread = line.rpartition("correlation ")[2].partition(" ± ")
        assert 0 < float(mean) < 1  # related, and not the same
        assert 0 <= float(spread) < 0.2
