"""The search for a selection that beats random, at its smallest: digits, a few epochs."""

import json
from dataclasses import replace

import numpy as np
import pytest

import ltc
from benchmarks.paper import strategies, training
from benchmarks.paper.ideas import IDEAS, doubt, otsu
from benchmarks.paper.jobs import Work
from benchmarks.paper.losses import LEARNED, Losses
from benchmarks.paper.recording import Case, recorded, recording_job
from benchmarks.paper.training import Recipe

RECIPE = Recipe(epochs=6, batch_size=100, learning_rate=6e-3)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a tenth of the labels flipped."""
    work = Work(tmp_path_factory.mktemp("work"), "digits", RECIPE)
    case = Case("digits", None, RECIPE, "mlp", 0.1, 0)
    work.run([recording_job(case, work)], progress=False)
    return Losses(recorded(case, work).passes)


@pytest.mark.parametrize("idea", IDEAS)
def test_every_idea_gives_a_class_its_share(idea, run):
    sizes = np.bincount(run.labels)
    for k in (20, 200):
        samples = IDEAS[idea](run, k, 3)
        assert np.unique(samples).size == samples.size == k
        taken = np.bincount(run.labels[samples], minlength=10)
        assert (np.abs(taken - sizes * k / sizes.sum()) < 2).all()
        np.testing.assert_array_equal(samples, IDEAS[idea](run, k, 3))


def test_what_has_not_been_learned_is_left_out_while_enough_is_left(run):
    unlearned = np.flatnonzero(run.confidence <= LEARNED)
    assert 0 < unlearned.size < 500
    for idea in (idea for idea in IDEAS if idea.endswith("without the unlearned")):
        assert not np.intersect1d(IDEAS[idea](run, 200, 0), unlearned).size, idea
    everything = run.select(run.scores.values, run.labels.size, "unlearned")
    assert everything.size == run.labels.size


def test_a_share_of_each_class_is_set_aside(run):
    aside = run.aside(0.2)
    for label in range(10):
        own = run.labels == label
        low = own[aside].sum()
        assert abs(low - 0.2 * own.sum()) <= 1
        kept = np.setdiff1d(np.flatnonzero(own), aside)
        assert run.scores.values[kept].min() >= run.scores.values[aside[own[aside]]].max()
    assert run.aside(0.0) is None


def test_random_above_a_threshold_takes_from_all_above_it(run):
    above = np.flatnonzero(run.scores.values > 0)
    taken = [IDEAS["random above 0"](run, 100, seed) for seed in range(30)]
    assert np.isin(taken, above).all()
    assert np.unique(taken).size > 0.8 * above.size


def test_draws_differ(run):
    draws = [IDEAS[name](run, 100, 0) for name in strategies.BASELINE]
    assert len({tuple(draw) for draw in draws}) == 3


def test_clusters_have_their_central_sample_chosen(run):
    samples = IDEAS["a cluster each, the central one"](run, 100, 0)
    clusters = ltc.clusters(run.store, per_class=10, seed=0)
    assert np.unique(clusters[samples]).size >= 90  # a class whose share is 9 leaves one out


def test_otsu_and_doubt():
    values = np.array([np.nan, 0.0, 0.1, 0.1, 0.9, 1.0], np.float32)
    assert otsu(values) == pytest.approx(0.5)
    assert doubt(np.array([0.0, 0.5, 0.8, 1.0])).tolist() == pytest.approx([0, 0.5, 0.4, 0])


def test_the_command_goes_on_and_keeps(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(strategies, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(strategies, "FRACTIONS", (0.02, 0.1))
    monkeypatch.setitem(training.RECIPES, "digits", replace(RECIPE, epochs=3))
    usual = ["--work", str(tmp_path), "--architecture", "mlp", "--ideas", "top", "--seeds", "4"]
    usual += ["--confirm-from", "2"]
    parts = [*usual, "3", "--tables-only"]
    strategies.main([*usual, "--keep"])
    printed = capsys.readouterr().out
    assert "digits, mlp, matched epochs, clean labels, other seeds: 2 to 3" in printed
    assert printed.count("| top ") == printed.count("| random, accuracy in %") == 4

    (tables,) = [json.loads((tmp_path / "kept/strategies-digits.json").read_text())["tables"]]
    work = Work(tmp_path, "digits", training.RECIPES["digits"])
    found = {
        name: [
            [
                100 * work.result(f"ideas/epochs/mlp/flip-0.1/seed-{seed}/{name}/{f}")["accuracy"]
                for f in (0.02, 0.1)
            ]
            for seed in (2, 3)
        ]
        for name in ("top", "random", "random--draw-2", "random--draw-3")
    }
    random = np.mean([values for name, values in found.items() if name != "top"], axis=0)
    gain = (np.array(found["top"]) - random).mean(axis=0)
    top = tables[3]["rows"][1]
    assert top["selection"] == "top"
    assert [top["2 %"].split()[0], top["10 %"].split()[0]] == [f"{each:+.1f}" for each in gain]
    assert (tmp_path / "kept/strategies-digits.png").stat().st_size > 10_000

    monkeypatch.setattr(strategies, "fit", None)  # nothing is trained again
    strategies.main(parts)
    printed = capsys.readouterr().out
    assert "clean labels, other seeds: 2 to 2" in printed
    assert "10 % of the labels flipped, other seeds: 3 to 3" in printed
    strategies.main(usual)
    assert capsys.readouterr().out.strip() == "\n\n".join(
        (tmp_path / "kept/strategies-digits.md").read_text().strip().split("\n\n")[2:]
    )
