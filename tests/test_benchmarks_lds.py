"""Figure 5: gradients against plain loops, its statistics, and all of it at its smallest."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.paper import __main__ as command
from benchmarks.paper import gradients, halves, lds, lds_statistics
from benchmarks.paper.jobs import Work
from benchmarks.paper.training import Recipe
from ltc.errors import ArgumentValueError

CLASSES = 3


@pytest.fixture(scope="module")
def weights():
    """A network that is small, with other weights at each of three moments."""
    torch.manual_seed(0)

    def network():
        return nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, CLASSES))

    states = [network().state_dict() for _ in range(3)]
    return gradients.Weights(network(), states[2], states[:2], [0.5, 0.125])


@pytest.fixture(scope="module")
def samples():
    """Inputs and classes, for training and for queries."""
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(count, 2, 3, generator=generator),
            torch.randint(CLASSES, (count,), generator=generator),
        )
        for count in (17, 4)
    ]


def loss(logits, target):
    return -torch.log_softmax(logits, 0)[target]


def log_odds(logits, target):
    p = torch.softmax(logits.double(), 0)[target]
    return torch.log(p / (1 - p))


def naive_gradients(weights, state, batch, measure):
    """One backward pass per sample: float64 [n, parameters]."""
    weights.model.load_state_dict(state)
    rows = []
    for inputs, target in zip(*batch, strict=True):
        weights.model.zero_grad()
        measure(weights.model(inputs[None])[0], target).backward()
        rows.append(torch.cat([p.grad.flatten() for p in weights.model.parameters()]).double())
    return torch.stack(rows).numpy()


def naive(method, weights, train, queries):
    """[Q, N], as the papers have it."""
    states, factors = [weights.final], [1.0]
    if method == "TracIn":
        states, factors = weights.passed, weights.rates
    total = 0.0
    for state, factor in zip(states, factors, strict=True):
        ours, theirs = (naive_gradients(weights, state, x, loss) for x in (queries, train))
        if method == "gradient cosine":
            ours, theirs = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (ours, theirs))
        total = total + factor * ours @ theirs.T
    return total


@pytest.mark.parametrize("method", ["gradient dot product", "gradient cosine", "TracIn"])
@pytest.mark.parametrize("batch", [5, 1000])
def test_gradients_agree_with_loops(method, batch, weights, samples, monkeypatch):
    pytest.importorskip("dattri")
    monkeypatch.setattr(gradients, "BATCH", batch)
    found = gradients.gradient_scores(method, weights, *samples, projection=8)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive(method, weights, *samples), rtol=1e-4, atol=1e-6)


def test_trak_agrees_with_its_formula(weights, samples):
    """phi_query (Phi^T Phi)^-1 phi_train (1 - p), phi the projected gradients of margins."""
    pytest.importorskip("dattri")
    from dattri.func.projection import random_project

    train, queries = samples
    found = gradients.gradient_scores("TRAK", weights, train, queries, projection=8, seed=3)
    phi = []
    for batch in samples:
        rows = torch.from_numpy(naive_gradients(weights, weights.final, batch, log_odds)).float()
        project = random_project(rows, len(rows), 8, 32, proj_seed=3)
        phi.append(project(rows).double().numpy())
    p = torch.softmax(weights.model(train[0]), 1)[torch.arange(len(train[1])), train[1]]
    inverse = np.linalg.inv(phi[0].T @ phi[0])
    expected = phi[1] @ inverse @ phi[0].T * (1 - p.detach().double().numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_unknown_method_is_refused(weights, samples):
    with pytest.raises(ValueError, match=r"method must be one of gradient dot product, .* 'DualX'"):
        gradients.gradient_scores("DualX", weights, *samples, projection=8)


def test_margin_is_the_log_odds_and_never_infinite():
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(20) % 4
    expected = [log_odds(*each) for each in zip(logits, targets, strict=True)]
    np.testing.assert_allclose(gradients.margin(logits, targets), expected, rtol=1e-5, atol=1e-6)
    sure = gradients.margin(torch.tensor([[0.0, 500.0], [500.0, 0.0]]), torch.tensor([1, 1]))
    assert sure.tolist() == [500, -500]


def test_halves_are_halves_and_differ():
    plan = halves.Plan("digits", None, Recipe(1, 5, 0.1), train=41)
    drawn = [halves.half(plan, subset) for subset in range(5)]
    assert all(len(np.unique(half)) == 20 and half.max() < 41 for half in drawn)
    assert len({tuple(half) for half in drawn}) == 5
    assert np.array_equal(drawn[3], halves.half(plan, 3))


def test_tracin_never_takes_the_last_checkpoint_nor_one_twice():
    assert halves.passed_epochs(10, 5) == [1, 3, 5, 7, 9]
    assert halves.passed_epochs(2, 5) == [0, 1]


def test_interval_over_halves_agrees_with_resampling_one_by_one():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(30, 6))
    sums = outputs + rng.normal(size=(2, 30, 6))
    low, high = lds_statistics.ends(lds_statistics.over_halves(sums, outputs, resamples=4000))
    ranks = [np.argsort(np.argsort(x, axis=0), axis=0) for x in (*sums, outputs)]
    drawn = []
    for _ in range(600):
        taken = rng.integers(0, 30, 30)
        said = ranks[-1][taken]
        drawn.append(
            np.mean(
                [
                    np.corrcoef(told[taken][:, q], said[:, q])[0, 1]
                    for told in ranks[:-1]
                    for q in range(6)
                ]
            )
        )
    np.testing.assert_allclose([low, high], np.quantile(drawn, [0.025, 0.975]), atol=0.03)


def test_bound_is_what_the_common_part_reaches():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(2000, 1, 5))
    outputs = common + 1.5 * rng.normal(size=(2000, 4, 5))
    reached = [np.corrcoef(common[:, 0, q], outputs[:, :, q].mean(axis=1))[0, 1] for q in range(5)]
    assert lds_statistics.bound(outputs) == pytest.approx(np.mean(reached), abs=0.02)
    single = np.corrcoef(outputs[:, 0, 0], outputs[:, 1:, 0].mean(axis=1))[0, 1]
    assert lds_statistics.retrained(outputs).mean() == pytest.approx(single, abs=0.04)
    assert lds_statistics.bound(rng.normal(size=(40, 3, 5))) < 0.5


def test_all_of_it_at_its_smallest(tmp_path):
    pytest.importorskip("dattri")
    pytest.importorskip("matplotlib")
    recipe = Recipe(epochs=8, batch_size=10, learning_rate=6e-3)
    plan = halves.Plan(
        "digits", None, recipe, 60, queries=8, subsets=6, repeats=2, seeds=2, projection=16
    )
    work = Work(tmp_path, plan.dataset, recipe)
    jobs = halves.jobs(plan, work)
    assert len(jobs) == 2 + 6 * 2
    with pytest.raises(ArgumentValueError, match=r"at least 3 halves and one model .* got 0 and 0"):
        halves.found(plan, work)
    work.run([jobs[0], *jobs[2:6], *jobs[8:12]], progress=False)
    assert halves.found(plan, work).outputs.shape == (4, 2, 8)  # of those that have all models
    work.run(jobs, progress=False)
    assert not work.missing(halves.jobs(plan, work))
    found = halves.found(plan, work)
    assert found.subsets.sum(axis=1).tolist() == [30] * 6
    assert found.outputs.shape == (6, 2, 8)
    assert np.ptp(found.outputs, axis=1).min() > 0  # repeats are models of their own
    data = plan.data
    same = data.val.labels[:, None] == data.train.labels
    for method in halves.ALL:
        scores = found.scores[method]
        assert scores.shape == (2, 8, 60)
        assert np.ptp(scores, axis=0).max() > 0  # and so are seeds
        if method != halves.RANDOM:  # samples of the query's class help most
            assert scores[:, same].mean() > scores[:, ~same].mean() + 0.2 * scores.std()
    scores, differences = lds.tables_of(plan, work)
    assert [row[0] for row in scores.rows] == [*halves.ALL, lds.RETRAINED]
    assert [row[0] for row in differences.rows] == [halves.RANDOM, *gradients.METHODS]
    assert lds.draw_of(plan, work, tmp_path / "lds.png").stat().st_size > 10_000


def test_words_need_both_intervals():
    def words(queries, halves):
        return lds._Difference(0.0, queries, halves).in_words

    assert words((0.1, 0.2), (0.05, 0.3)) == "above"
    assert words((0.1, 0.2), (-0.05, 0.3)) == "not told apart from"
    assert words((-0.2, -0.1), (-0.3, 0.01)) == "not told apart from"
    assert words((-0.2, -0.1), (-0.3, -0.01)) == "below"


def test_the_command_plans_it(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert command.main(["lds", "--work", str(tmp_path), "--plan"]) == 0
    assert "stage 1: 305 jobs, 305 missing" in capsys.readouterr().out
    assert command.main(["lds", "--work", str(tmp_path), "--tables"]) == 2
    assert "error: work must have at least 3 halves" in capsys.readouterr().err
