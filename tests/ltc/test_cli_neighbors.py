"""``ltc neighbors``: the table, the figure, and what goes wrong."""

import re
import sys

import numpy as np
import pytest

from ltc.cli import main
from ltc.pairs import neighbors
from ltc.store.arrays import write_store

CHECKPOINTS, TRAIN, VAL = 8, 40, 6


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    train, val = (rng.normal(size=(CHECKPOINTS, size)) for size in (TRAIN, VAL))
    val[:, 5] = 1.0
    write_store(
        tmp_path / "run.zarr",
        train,
        val,
        train_labels=np.arange(TRAIN) % 2,
        val_labels=np.arange(VAL) % 2,
        train_ids=[f"image{i}" for i in range(TRAIN)],
    )
    return tmp_path / "run.zarr"


def test_lists_both_ends_with_ids_and_labels(run, capsys):
    assert main(["neighbors", str(run), "--query", "3", "--k", "4"]) == 0
    out = capsys.readouterr().out
    found = neighbors(run, [3], k=4)
    assert re.search(r"^query +val sample 3, label 1$", out, re.M)
    for name, ranking in (("aligned", found.aligned), ("conflicting", found.conflicting)):
        table = out[re.search(rf"^{name}", out, re.M).start() :].splitlines()
        assert table[0].split() == [name, "correlation", "sample", "id", "label"]
        for place in range(4):
            sample = ranking.indices[0, place]
            value = f"{ranking.values[0, place]:.6f}"
            cells = [str(place + 1), value, str(sample), f"image{sample}", str(sample % 2)]
            assert table[place + 1].split() == cells


def test_within_the_class_and_without_labels(run, tmp_path, capsys):
    assert main(["neighbors", str(run), "--query", "2", "--within", "class"]) == 0
    labels = re.findall(r" image\d+ +(\d)$", capsys.readouterr().out, re.M)
    assert len(labels) == 20
    assert set(labels) == {"0"}
    plain = tmp_path / "plain.zarr"
    write_store(plain, np.eye(CHECKPOINTS), np.eye(CHECKPOINTS))
    assert main(["neighbors", str(plain), "--query", "2", "--within", "class"]) == 2
    assert 'within "class" needs labels' in capsys.readouterr().err
    assert main(["neighbors", str(plain), "--query", "2", "--signal", "loss"]) == 0
    out = capsys.readouterr().out
    assert "label" not in out
    assert re.search(r"^1 +1\.000000 +2$", out, re.M)


def test_a_query_without_correlations(run, capsys):
    assert main(["neighbors", str(run), "--query", "5"]) == 0
    assert "aligned: no training sample has a correlation with it" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("query", [3, 5])
def test_plot(run, tmp_path, capsys, suffix, query):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"query.{suffix}"
    assert main(["neighbors", str(run), "--query", str(query), "--plot", str(path)]) == 0
    assert f"written to {path}" in capsys.readouterr().out
    assert path.stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--query", "6"], "queries must lie in 0..5, got 6"),
        (["--query", "0", "--k", "0"], "k must lie in 1..1024, got 0"),
        (["--query", "0", "--plot", "figure.jpeg"], ".png"),
        ([], "--query"),
    ],
)
def test_errors_are_one_line(run, capsys, arguments, message):
    assert main(["neighbors", str(run), *arguments]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_plot_needs_matplotlib(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("ltc.neighbor_plots.find_spec", lambda _: None)
    path = tmp_path / "query.png"
    assert main(["neighbors", str(run), "--query", "3", "--plot", str(path)]) == 2
    assert "pip install 'ltc[demo]'" in capsys.readouterr().err
    assert not path.exists()
