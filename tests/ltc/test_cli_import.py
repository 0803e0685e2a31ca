"""``ltc import``: what a user types, and reads."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import ltc
from ltc.cli import main

T, N, M = 5, 30, 8
LOSSES = np.random.default_rng(0).exponential(size=(T, N + M)).astype(np.float32)
TRAIN, VAL = LOSSES[:, :N], LOSSES[:, N:]


@pytest.fixture
def run(tmp_path):
    return str(tmp_path / "run.zarr")


def write_pickle(path, **more):
    results = {
        "tr_loss": [list(row) for row in TRAIN],
        "val_loss": [list(row) for row in VAL],
        "tr_lbl": [list(np.arange(N) % 2)] * T,
        "val_lbl": [list(np.arange(M) % 2)] * T,
    }
    path.write_bytes(pickle.dumps({**results, **more}))
    return str(path)


def test_a_pickle_becomes_a_run_that_is_shown(tmp_path, run, capsys):
    split = {"train_indices": list(range(100, 100 + N)), "val_indices": list(range(M))}
    (tmp_path / "split.pkl").write_bytes(pickle.dumps(split))
    source = write_pickle(tmp_path / "losses.pickle")
    assert main(["import", source, run, "--split-file", str(tmp_path / "split.pkl")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "samples      30 train, 8 val\nclasses      2\n" in out
    assert "0 to 4  array        0          0        0           0" in out
    assert ltc.open_store(run).ids("train").tolist() == split["train_indices"]
    np.testing.assert_array_equal(ltc.open_store(run).read("val"), VAL.astype(np.float16))


def test_labels_and_ids_come_from_files(tmp_path, run, capsys):
    np.save(tmp_path / "train.npy", TRAIN)
    np.save(tmp_path / "val.npy", VAL)
    (tmp_path / "labels.txt").write_text("".join(f"{k % 3}\n" for k in range(N)))
    np.save(tmp_path / "labels.npy", np.arange(M) % 3)
    (tmp_path / "ids.txt").write_text("".join(f"image {k}\n" for k in range(N)))
    options = [
        *("--val", tmp_path / "val.npy", "--train-labels", tmp_path / "labels.txt"),
        *("--val-labels", tmp_path / "labels.npy", "--train-ids", tmp_path / "ids.txt"),
        *("--compression", "zstd"),
    ]
    assert main(["import", str(tmp_path / "train.npy"), run, *map(str, options)]) == 0
    assert capsys.readouterr().err == ""
    store = ltc.open_store(run)
    assert store.labels("train").tolist() == [k % 3 for k in range(N)]
    assert store.ids("train")[3] == "image 3"
    assert (store.ids("val"), store.compression) == (None, "zstd")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["import"], "Missing argument 'SOURCE'"),
        (["import", "l.pickle"], "Missing argument 'RUN'"),
        (["import", "absent.pickle", "RUN"], "absent.pickle: No such file or directory"),
        (["import", "l.csv", "RUN"], "source must be a directory, or end in .pickle, .pkl, .npz"),
        (["import", "bad.pickle", "RUN"], "bad.pickle: byte 0: GLOBAL: os.system is not admitted"),
        (["import", "l.pickle", "RUN", "--val", "l.npy"], "val must be given for an .npy file"),
        (["import", "l.pickle", "RUN", "--train-labels", "l.csv"], "must be in .npy or .txt files"),
        (["import", "l.pickle", "RUN", "--train-labels", "no.txt"], "no.txt: No such file"),
        (["import", "l.pickle", "RUN", "--val-labels", "bad.npy"], "bad.npy: not an array"),
        (["import", "l.pickle", "l.pickle"], "l.pickle: there is something already"),
        (["import", "l.pickle", "s3://bucket/run.zarr"], "path must be on a local disk"),
    ],
)
def test_errors_are_one_line_and_write_nothing(tmp_path, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(tmp_path)
    write_pickle(tmp_path / "l.pickle")
    (tmp_path / "bad.pickle").write_bytes(b"cos\nsystem\n(S'touch marker'\ntR.")
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    before = sorted(tmp_path.rglob("*"))
    assert main([{"RUN": "run.zarr"}.get(each, each) for each in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ltc: ")
    assert err.count("\n") == 1
    assert text in err
    assert sorted(tmp_path.rglob("*")) == before


def test_importing_needs_no_torch(tmp_path, run):
    source = write_pickle(tmp_path / "l.pickle")
    code = (
        "import sys; from ltc.cli import main; "
        f"assert main(['import', {source!r}, {run!r}]) == 0; "
        "found = {'torch', 'triton'} & set(sys.modules); assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
