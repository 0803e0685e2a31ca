"""`ltc select` by the strategies that need more than scores: coverage and beta."""

import numpy as np
import pytest

import ltc
from ltc.cli import main

SIZE, CHECKPOINTS = 300, 14


@pytest.fixture
def run(tmp_path):
    """A run of cross-entropy, learned at different speeds."""
    write_run(tmp_path / "run.zarr", loss="cross-entropy")
    return tmp_path / "run.zarr"


def write_run(path, **options):
    rng = np.random.default_rng(0)
    labels = np.arange(SIZE) % 3
    losses = rng.gamma(2, 1, (CHECKPOINTS, SIZE)) * np.linspace(1, 0.1, CHECKPOINTS)[:, None]
    given = {"train_labels": labels, "val_labels": labels[:60]}
    ltc.write_store(path, losses, losses[:, :60], **given, **options)


@pytest.fixture
def select(run, tmp_path, capsys):
    """Run ``ltc select``; the indices that it writes, and what it prints."""

    def call(*options):
        path = tmp_path / "coreset.npy"
        assert main(["select", str(run), "--k", "60", "-o", str(path), *map(str, options)]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return np.load(path).tolist(), out.splitlines()

    return call


def test_beta_draws_by_dual_and_confidence_of_the_run(select, run):
    ltc.score(run, save="kept")  # which is not what beta is of
    both = ltc.difficulty(run, ["dual", "confidence"])
    for given, exponent, fading in (
        ([], 4.0, 0.0),
        (["--exponent", 1.5], 1.5, 0.0),
        (["--fading", 10], 4.0, 10.0),
    ):
        chosen, lines = select("--strategy", "beta", "--seed", 3, "--cutoff", "0.1", *given)
        expected = both["dual"].select(
            k=60,
            strategy="beta",
            confidence=both["confidence"],
            exponent=exponent,
            fading=fading,
            seed=3,
            cutoff=0.1,
        )
        assert chosen == expected.indices.tolist()
        assert "drawn by   dual and confidence, over 14 checkpoints" in lines


def test_beta_draws_by_scores_that_are_named_and_confidence_over_their_checkpoints(select, run):
    scores = ltc.difficulty(run, "variability", checkpoints=[1, 2, 5, 6, 7], save="mine")
    confidence = ltc.difficulty(run, "confidence", checkpoints=[1, 2, 5, 6, 7])
    chosen, lines = select("--strategy", "beta", "--scores", "mine")
    expected = scores.select(k=60, strategy="beta", confidence=confidence)
    assert chosen == expected.indices.tolist()
    assert "drawn by   'mine' and confidence, over 5 checkpoints" in lines
    everywhere = scores.select(k=60, strategy="beta", confidence=ltc.difficulty(run, "confidence"))
    assert chosen != everywhere.indices.tolist()


def test_beta_multiplies_by_ltc_and_leaves_checkpoints_out(select, run):
    both = ltc.difficulty(run, ["dual", "confidence"], checkpoints=slice(1, None))
    expected = both["dual"].select(
        k=60, strategy="beta", confidence=both["confidence"], times=ltc.score(run)
    )
    chosen, lines = select("--strategy", "beta", "--times-ltc", "--checkpoints", "1:")
    assert chosen == expected.indices.tolist()
    assert "drawn by   dual times ltc and confidence, over 13 checkpoints" in lines
    assert chosen != select("--strategy", "beta", "--checkpoints", "1:")[0]
    assert chosen != select("--strategy", "beta", "--times-ltc")[0]


def test_losses_that_are_not_known_are_refused_or_claimed(tmp_path, select, capsys):
    other, output = tmp_path / "other.zarr", tmp_path / "other.npy"
    write_run(other)
    command = ["select", str(other), "--k", "60", "--strategy", "beta", "-o", str(output)]
    assert main(command) == 2
    _, err = capsys.readouterr()
    assert err.startswith("ltc: kind 'dual' needs hard-label cross-entropy")
    assert err.count("\n") == 1
    assert not output.exists()
    assert main([*command, "--loss", "cross-entropy"]) == 0
    capsys.readouterr()
    assert np.load(output).tolist() == select("--strategy", "beta")[0]


def test_coverage_tells_how_many_clusters_are_in_the_coreset(select, run):
    chosen, lines = select("--strategy", "coverage", "--clusters", 30)
    clusters = ltc.clusters(run, per_class=30)
    taken, there = np.unique(clusters[chosen]).size, np.unique(clusters).size
    assert taken < there
    assert f"clusters   from {taken} of {there}" in lines


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--exponent", "2"], "--exponent needs --strategy beta, got 'top'"),
        (["--fading", "2"], "--fading needs --strategy beta, got 'top'"),
        (["--times-ltc"], "--times-ltc needs --strategy beta, got 'top'"),
        (["--checkpoints", "1:"], "--checkpoints needs --strategy beta, got 'top'"),
        (
            ["--strategy", "beta", "--checkpoints", "1:", "--scores", "mine"],
            "--checkpoints can't be given with --scores",
        ),
        (["--loss", "cross-entropy"], "--loss needs --strategy beta, got 'top'"),
        (["--strategy", "beta", "--clusters", "2"], "--clusters needs --strategy coverage"),
        (["--strategy", "beta", "--exponent", "0.5"], "exponent must be at least 1"),
        (["--strategy", "beta", "--scores", "no"], "name must be among the saved scores"),
    ],
)
def test_options_that_do_not_fit_write_nothing(run, tmp_path, capsys, options, text):
    path = tmp_path / "coreset.npy"
    assert main(["select", str(run), "--k", "6", "-o", str(path), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert err.count("\n") == 1
    assert not path.exists()


def test_trajectories_are_not_in_a_file_of_scores(run, tmp_path, capsys):
    ltc.score(run).save(tmp_path / "scores.npz")
    command = ["select", str(tmp_path / "scores.npz"), "--k", "6", "-o", str(tmp_path / "c.npy")]
    for strategy, what in (("beta", "what confidence is made of"), ("coverage", "trajectories")):
        assert main([*command, "--strategy", strategy]) == 2
        err = capsys.readouterr().err
        assert f"--strategy {strategy} needs a run, which has " in err
        assert what in err
