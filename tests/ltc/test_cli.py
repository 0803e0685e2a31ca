import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ltc.cli import main
from ltc.cli.arguments import parse_checkpoints, parse_fractions
from ltc.clustering import clusters
from ltc.errors import ArgumentValueError
from ltc.scores import load_scores
from ltc.scoring import score
from ltc.selection.coreset import load_indices
from ltc.store import open_store
from ltc.store.arrays import write_store

COMMANDS = (
    "demo",
    "info",
    "verify",
    "score",
    "difficulty",
    "select",
    "neighbors",
    "plan",
    "import",
    "ranking",
)
CHECKPOINTS, TRAIN, VAL, CLASSES = 12, 300, 60, 3


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(tmp_path):
    """A store with labels and ids, and some missing, clipped and non-finite losses."""
    return write_run(tmp_path / "run.zarr")


def write_run(path, *, labelled=True, checkpoints=CHECKPOINTS):
    rng = np.random.default_rng(0)
    train_labels, val_labels = np.arange(TRAIN) % CLASSES, np.arange(VAL) % CLASSES
    course = rng.random((checkpoints, CLASSES)).cumsum(axis=0)
    train = course[:, train_labels] + rng.normal(size=(checkpoints, TRAIN))
    train[3, :7] = np.nan
    train[4, 7] = 1e9
    labels = {"train_labels": train_labels, "val_labels": val_labels} if labelled else {}
    val = course[:, val_labels] + rng.normal(size=(checkpoints, VAL))
    write_store(path, train, val, train_ids=[f"image{i}" for i in range(TRAIN)], **labels)
    return path


@pytest.fixture
def ltc(capsys):
    """Run the command line in this process."""

    def call(*arguments):
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return SimpleNamespace(status=status, out=out, err=err, lines=out.splitlines())

    return call


def fails(result, text):
    assert result.status == 2
    assert result.out == ""
    assert result.err.startswith("ltc: ")
    assert result.err.count("\n") == 1
    assert text in result.err


# Help


def test_help_without_a_command(ltc):
    result = ltc()
    assert result.status == 0
    assert result.out == ltc("--help").out
    assert all(f"\n  {command} " in result.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns_and_has_an_example(ltc, command):
    result = ltc(command, "-h")
    assert result.status == 0
    assert f"\n  For example:\n    ltc {command}" in result.out
    assert max(map(len, result.lines)) <= 80


@pytest.mark.parametrize("command", ["score", "select"])
def test_help_names_every_default(ltc, command):
    options = ltc(command, "--help").out.partition("\nOptions:\n")[2]
    paragraphs = re.split(r"\n  (?=-)", f"\n{options}")[1:]
    plain = [text for text in paragraphs if "[default:" not in " ".join(text.split())]
    names = {re.search(r"--[a-z-]+", text)[0] for text in plain}
    assert names <= {"--help", "--output", "--fraction", "--k"}


def test_version(ltc):
    from importlib.metadata import version

    assert ltc("--version").out == f"ltc {version('ltc')}\n"


# info and verify


def test_info_shows_sizes_commits_and_what_is_missing(ltc, run):
    result = ltc("info", run)
    assert result.status == 0
    assert result.lines[1] == "checkpoints  12: 0, 1, 2, ..., 11"
    assert result.lines[3:6] == [
        "samples      300 train, 60 val",
        "classes      3",
        "scores       none kept",
    ]
    assert result.lines[7 : result.lines.index("validation split") - 1] == [
        "train    mode   missing  duplicate  clipped  non-finite",
        "0 to 2   array        0          0        0           0",
        "3        array        7          0        0           0",
        "4        array        0          0        1           0",
        "5 to 11  array        0          0        0           0",
        "all                   7          0        1           0",
        "",
        "val      mode   missing  duplicate  clipped  non-finite",
        "0 to 11  array        0          0        0           0",
        "all                   0          0        0           0",
    ]


def test_info_shortens_long_runs(ltc, tmp_path):
    losses = np.ones((100, 5), np.float32)
    losses[::2, 0] = np.nan
    write_store(tmp_path / "run.zarr", losses, losses[:, 1:])
    result = ltc("info", tmp_path / "run.zarr")
    assert len(result.lines) < 40
    assert "classes      no labels" in result.lines
    assert sum(line.startswith("...") for line in result.lines) == 1
    assert len(ltc("info", tmp_path / "run.zarr", "--all").lines) > 100


def test_verify_of_a_sound_run(ltc, run):
    result = ltc("verify", run)
    assert result.status == 0
    assert result.out.endswith("chunks, all as written\n")


def test_verify_lists_damage_with_status_1(ltc, run):
    (run / "train/losses/c/3/0").unlink()
    for chunk in (run / "val/losses/c/0/0", run / "val/losses/c/5/0"):
        chunk.write_bytes(b"x" + chunk.read_bytes()[1:])
    result = ltc("verify", run)
    assert result.status == 1
    assert result.lines[0].endswith("chunks, 1 lost, 2 changed")
    assert result.lines[1:] == [
        "lost     train/losses/c/3/0",
        "changed  val/losses/c/0/0",
        "changed  val/losses/c/5/0",
    ]


def test_verify_of_a_run_that_does_not_open_for_damage_is_status_1(ltc, run):
    chunk = run / "train/checkpoint/c/0"
    chunk.write_bytes(b"x" + chunk.read_bytes()[1:])
    result = ltc("verify", run)
    assert result.status == 1
    assert "train/checkpoint" in result.out


# score


def test_score_writes_nothing_unless_asked(ltc, run):
    before = sorted(run.parent.rglob("*"))
    result = ltc("score", run)
    assert result.status == 0
    assert result.err == ""
    assert "reference      class-mean" in result.lines
    assert max(map(len, result.lines)) <= 80
    assert sorted(run.parent.rglob("*")) == before


def test_score_saves_and_writes_the_same(ltc, run, tmp_path):
    path = tmp_path / "scores.npz"
    result = ltc("score", run, "--save", "mine", "-o", path, "--signal", "loss")
    assert result.status == 0
    assert f"kept in {run} as 'mine'" in result.lines
    assert f"written to {path}" in result.lines
    in_file, in_store = load_scores(path), load_scores(run, name="mine")
    assert in_file.values.tobytes() == in_store.values.tobytes()
    assert in_file.metadata == in_store.metadata
    assert in_file.metadata["signal"] == "loss"


def test_score_takes_every_option(ltc, run, tmp_path):
    path = tmp_path / "scores.npz"
    options = ["--reference", "pairs", "--checkpoints", "1::2", "--device", "cpu"]
    assert ltc("score", run, *options, "--memory-limit", "200MB", "-o", path).status == 0
    metadata = load_scores(path).metadata
    assert metadata["reference"] == "pairs"
    assert metadata["checkpoints"] == [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]


# select


def test_select_scores_first_and_keeps_nothing_but_the_coreset(ltc, run, tmp_path):
    result = ltc("select", run, "--fraction", "0.1", "-o", tmp_path / "coreset.npy")
    assert result.status == 0
    assert result.lines[0] == "coreset    30 (10.0 %) of 300 samples"
    assert result.lines[2] == "classes    3, 10 to 10 samples from each"
    assert max(map(len, result.lines[:-1])) <= 80
    assert open_store(run).score_names() == []
    ltc("score", run, "-o", tmp_path / "scores.npz")
    expected = load_scores(tmp_path / "scores.npz").select(fraction=0.1).indices
    assert load_indices(tmp_path / "coreset.npy").tolist() == expected.tolist()


def test_select_uses_the_only_scores_or_those_named(ltc, run, tmp_path):
    csv = tmp_path / "coreset.csv"
    ltc("score", run, "--save", "differences")
    assert ltc("select", run, "--k", "9", "-o", csv).status == 0
    ltc("score", run, "--signal", "loss", "--save", "losses")
    fails(ltc("select", run, "--k", "9", "-o", csv), "differences, losses")
    assert ltc("select", run, "--k", "9", "-o", csv, "--scores", "losses").status == 0
    expected = load_scores(run, name="losses").select(k=9)
    assert load_indices(csv).tolist() == expected.indices.tolist()
    assert csv.read_text().splitlines()[1].split(",")[1] == expected.ids[0]
    fails(ltc("select", run, "--k", "9", "-o", csv, "--scores", "mine"), "'mine'")


def test_select_takes_a_file_of_scores(ltc, run, tmp_path):
    file, few, same = tmp_path / "scores.NPZ", tmp_path / "few.csv", tmp_path / "same.csv"
    assert ltc("score", run, "--signal", "loss", "--save", "kept", "-o", file).status == 0
    options = ["--k", "30", "--strategy", "stratified", "--seed", "7"]
    from_file = ltc("select", file, *options, "-o", few)
    from_run = ltc("select", run, *options, "-o", same)
    assert from_file.status == from_run.status == 0
    assert from_file.out.replace("few.csv", "same.csv") == from_run.out
    assert few.read_text() == same.read_text()
    fails(ltc("select", file, "--k", "3", "--scores", "kept", "-o", few), "--scores needs a run")
    fails(
        ltc("select", file, "--k", "3", "--strategy", "coverage", "-o", few),
        "--strategy coverage needs a run, which has the trajectories, not a file of scores",
    )


def test_select_takes_every_option(ltc, run, tmp_path):
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    ltc("score", run, "--save", "mine")
    ltc("select", run, "--k", "30", "-o", first)
    options = ["--balance", "equal", "--strategy", "stratified", "--cutoff", "0.2", "--seed", "3"]
    assert ltc("select", run, "--k", 40, *options, "--exclude", first, "-o", second).status == 0
    expected = load_scores(run, name="mine").select(
        k=40,
        balance="equal",
        strategy="stratified",
        cutoff=0.2,
        seed=3,
        exclude=load_indices(first),
    )
    assert load_indices(second).tolist() == expected.indices.tolist()


def test_select_clusters_for_coverage(ltc, run, tmp_path):
    path = tmp_path / "coreset.npy"
    options = ["--strategy", "coverage", "--seed", 3, "--cutoff", "0.1", "-o", path]
    for given, per_class in (([], 20), (["--clusters", 4], 4)):
        assert ltc("select", run, "--k", 30, *options, *given).status == 0
        expected = score(run).select(
            k=30,
            strategy="coverage",
            clusters=clusters(run, per_class=per_class, seed=3),
            cutoff=0.1,
            seed=3,
        )
        assert load_indices(path).tolist() == expected.indices.tolist()


def test_select_from_one_ranking_where_there_are_no_labels(ltc, tmp_path):
    run = write_run(tmp_path / "run.zarr", labelled=False)
    ltc("score", run, "--reference", "mean", "--save", "mean")
    result = ltc("select", run, "--k", "5", "-o", tmp_path / "coreset.txt")
    assert result.status == 0
    assert not any(line.startswith("classes") for line in result.lines)
    fails(
        ltc("select", run, "--k", 5, "--balance", "class", "-o", tmp_path / "coreset.txt"),
        "balance must be None for scores without labels",
    )


def test_stale_scores_are_one_line_of_warning(run, tmp_path):
    from ltc.store.scores import write_scores

    write_scores(run, "old", np.zeros(TRAIN, np.float32), {"committed": 5})
    with pytest.warns(UserWarning, match="made from 5 committed checkpoints, the store has 12"):
        load_scores(run, name="old")
    command = [sys.executable, "-m", "ltc", "select", str(run), "--k", "3", "-o", "coreset.txt"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr.startswith("ltc: warning: scores 'old' were made from 5 committed")
    assert done.stderr.count("\n") == 1


# demo


def test_demo_passes_its_options_on(ltc, monkeypatch):
    seen = {}

    def run(dataset, **options):
        seen.update(options, dataset=dataset)
        return "what was found"

    monkeypatch.setattr("ltc.demo.run", run)
    result = ltc("demo", "--dataset", "fashion-mnist", "--data", "images", "--sizes", "0.1,0.2")
    assert result.out == "what was found\n"
    assert seen == {
        "dataset": "fashion-mnist",
        "data": "images",
        "out": "ltc-demo",
        "seeds": 5,
        "sizes": [0.1, 0.2],
        "cutoff": 0.2,
        "epochs": None,
        "workers": None,
        "progress": False,
    }


# Errors


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["foo"], "No such command 'foo'"),
        (["info"], "Missing argument 'RUN'"),
        (["info", "absent.zarr"], "absent.zarr: there is no such store"),
        (["verify", "absent.zarr"], "absent.zarr: there is no such store"),
        (["score", "absent.zarr"], "absent.zarr: there is no such store"),
        (["score", "RUN", "--signal", "diff"], "'diff' is not one of"),
        (["score", "RUN", "--nonsense"], "No such option: --nonsense"),
        (["score", "RUN", "--checkpoints", "0:2"], "checkpoints must leave at least 4"),
        (["score", "RUN", "--checkpoints", "a"], "--checkpoints must be a slice such as 0:45"),
        (["score", "RUN", "--memory-limit", "much"], "memory_limit must be"),
        (["score", "RUN", "--device", "abacus"], "device must be"),
        (
            ["score", "RUN", "-o", "scores.npy"],
            "path must end in .npz or .parquet, got",
        ),
        (["score", "RUN", "-o", "absent/scores.npz"], "a directory that exists"),
        (["score", "RUN", "--save", "a/b"], "name must consist of"),
        (["select", "RUN", "--k", "3"], "Missing option '--output'"),
        (["select", "RUN", "-o", "c.npy"], "exactly one of fraction and k must be given"),
        (["select", "RUN", "-o", "c.npy", "--k", "1.5"], "'--k'"),
        (["select", "RUN", "-o", "c.npy", "--k", "301"], "k must be at most the 300 samples"),
        (["select", "RUN", "-o", "c.npy", "--fraction", "2"], "fraction must lie in 0..1"),
        (["select", "RUN", "-o", "c.npy", "--fraction", "nan"], "fraction must lie in 0..1"),
        (["select", "RUN", "-o", "c.json", "--k", "3"], "path must end in .npy or .txt or .csv"),
        (["select", "RUN", "-o", "c.npy", "--k", "3", "--exclude", "no.txt"], "no.txt: No such"),
        (["select", "RUN", "-o", "c.npy", "--k", "3", "--seed", "-1"], "seed must be at least 0"),
        (
            ["select", "RUN", "-o", "c.npy", "--k", "3", "--clusters", "5"],
            "--clusters needs --strategy coverage, got 'top'",
        ),
        (
            ["select", "RUN", "-o", "c.npy", "--k=3", "--strategy=coverage", "--clusters=0"],
            "--clusters must be at least 1, got 0",
        ),
        (["select", "no.npz", "-o", "c.npy", "--k", "3"], "no.npz: No such file or directory"),
        (["demo", "--sizes", "a"], "--sizes must be numbers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_line_and_write_nothing(ltc, run, monkeypatch, arguments, text):
    monkeypatch.chdir(run.parent)
    before = sorted(run.parent.rglob("*"))
    fails(ltc(*(str(run) if part == "RUN" else part for part in arguments)), text)
    assert sorted(run.parent.rglob("*")) == before


def test_select_tells_how_to_score_a_run_without_labels(ltc, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    losses = np.random.default_rng(0).random((5, 6)).astype(np.float32)
    write_store("run.zarr", losses, losses[:, 1:])
    command = ["select", "run.zarr", "-o", "c.npy", "--k", "3"]
    advice = "ltc score run.zarr --reference mean --save NAME"
    fails(
        ltc(*command), f"the run keeps no scores, and has no labels to score it by class: {advice}"
    )
    assert ltc(*advice.replace("NAME", "mean").split()[1:]).status == 0
    assert ltc(*command).status == 0
    assert np.load("c.npy").size == 3


def test_a_changed_chunk_is_one_line(ltc, run):
    chunk = run / "train/losses/c/2/0"
    chunk.write_bytes(b"x" + chunk.read_bytes()[1:])
    fails(ltc("score", run), "train/losses/c/2/0")


def test_a_file_that_cannot_be_written_is_one_line(ltc, run, tmp_path):
    (tmp_path / "coreset.npy").mkdir()
    fails(ltc("select", run, "--k", "3", "-o", tmp_path / "coreset.npy"), "Is a directory")


def test_a_reader_that_goes_away_is_no_error(run):
    done = subprocess.run(
        f"{sys.executable} -m ltc info {run} --all | head -n 1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode in (0, 1)  # all may have been written in time


# Imports


def test_scoring_imports_neither_torch_nor_triton(run):
    code = (
        "import sys; from ltc.cli import main; "
        f"assert main(['score', {str(run)!r}]) == 0; "
        "found = {'torch', 'triton', 'matplotlib', 'sklearn', 'rich'} & set(sys.modules); "
        "assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Notations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        (":", slice(None, None)),
        ("2:", slice(2, None)),
        (":-1", slice(None, -1)),
        ("1:9:2", slice(1, 9, 2)),
        ("7", [7]),
        ("0, 4,5", [0, 4, 5]),
    ],
)
def test_checkpoints_are_slices_or_lists(text, expected):
    assert parse_checkpoints(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1:2:3:4", "::0", "1,,2", "1.0", "1:b"])
def test_other_checkpoints_are_refused(text):
    with pytest.raises(ArgumentValueError, match="--checkpoints must be a slice such as 0:45"):
        parse_checkpoints(text)


def test_fractions_are_separated_by_commas():
    assert parse_fractions("0.02,.1, 1") == [0.02, 0.1, 1.0]
    with pytest.raises(ArgumentValueError, match="--sizes must be numbers"):
        parse_fractions("0.1;0.2")
