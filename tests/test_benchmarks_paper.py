"""The papers' figures: training, recording and jobs that go on, on a few digits."""

import json

import numpy as np
import pytest
import torch
from scipy.special import softmax

import ltc
from benchmarks.paper import models, training
from benchmarks.paper.data import load
from benchmarks.paper.jobs import Job, Work
from benchmarks.paper.recording import Case, recorded, recording_job
from benchmarks.paper.training import Recipe, Trainer
from ltc.errors import ArgumentValueError

RECIPE = Recipe(epochs=5, batch_size=50, learning_rate=6e-3)


@pytest.fixture(autouse=True)
def _one_thread():
    with training.one_thread():
        yield


@pytest.fixture(scope="module")
def digits():
    return load("digits", seed=0)


@pytest.mark.parametrize("architecture", models.ARCHITECTURES)
def test_every_architecture_learns(architecture, digits):
    model = training.fit(digits, architecture, RECIPE, seed=0)
    tested = training.evaluate(model, digits)
    assert tested.accuracy > 0.7
    assert tested.accuracy == (tested.predictions == digits.test.labels).mean()
    for label, accuracy in enumerate(tested.class_accuracy):
        mine = digits.test.labels == label
        assert accuracy == (tested.predictions[mine] == label).mean()
    said = training.logits(model, digits.test, digits.white)
    np.testing.assert_array_equal(said.argmax(1).numpy(), tested.predictions)


def test_models_fit_every_size_of_picture():
    for shape in ((1, 8, 8), (1, 28, 28), (3, 32, 32)):
        sizes = {}
        for name in models.ARCHITECTURES:
            model = models.build(name, shape, 7, seed=0)
            assert model(torch.zeros(2, *shape)).shape == (2, 7)
            assert model[:-1](torch.zeros(2, *shape)).shape == (2, models.HIDDEN)
            sizes[name] = models.parameters(model)
        # At 8 x 8 pixels all are small, and patches are single pixels.
        assert shape[1] == 8 or min(sizes, key=sizes.get) == models.SMALLEST
    with pytest.raises(ArgumentValueError, match=r"must be one of cnn, .* got 'vgg'"):
        models.build("vgg", (1, 8, 8), 7, seed=0)
    with pytest.raises(ArgumentValueError, match="square pictures, got 8 x 9"):
        models.build("cnn", (1, 8, 9), 7, seed=0)


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    first, again, other = (models.build("cnn", (1, 8, 8), 3, seed) for seed in (1, 1, 2))
    assert torch.equal(first[-1].weight, again[-1].weight)
    assert not torch.equal(first[-1].weight, other[-1].weight)
    expected = torch.manual_seed(5).get_state()
    models.build("cnn", (1, 8, 8), 3, seed=1)
    assert torch.equal(torch.get_rng_state(), expected)


@pytest.mark.parametrize(("match", "iterations"), [("epochs", 5 * 3), ("iterations", 5 * 20)])
def test_a_coreset_gets_as_many_epochs_or_iterations_as_everything(match, iterations, digits):
    trainer = Trainer(digits, "cnn", RECIPE, 0, np.arange(101), match)
    assert trainer.iterations == trainer.remaining == iterations
    seen = torch.zeros(101, dtype=torch.int64)
    while trainer.remaining:
        for index in trainer.batches():
            trainer.step(index)
            seen += torch.bincount(index, minlength=101)
    assert seen.max() - seen.min() <= 1
    assert seen.float().mean() == pytest.approx(iterations / 3, abs=0.4)


def test_iterations_can_be_those_of_a_larger_coreset(digits):
    trainer = Trainer(digits, "cnn", RECIPE, 0, np.arange(101), "iterations", share=0.2)
    assert trainer.iterations == 5 * 4  # of 200 samples
    assert Trainer(digits, "cnn", RECIPE, 0, np.arange(101), "epochs", 0.2).iterations == 5 * 3


def test_training_is_reproducible_and_of_the_samples_alone(digits):
    chosen = np.arange(30, 60)
    results = [
        training.logits(training.fit(which, "cnn", RECIPE, seed, samples), digits.test, 16)
        for which, seed, samples in (
            (digits, 0, chosen),
            (digits, 0, chosen),
            (digits, 1, chosen),
            (digits, 0, chosen + 1),
        )
    ]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[3])
    with pytest.raises(ArgumentValueError, match="match must be one of epochs, iterations, got"):
        Trainer(digits, "cnn", RECIPE, 0, chosen, "steps")
    with pytest.raises(ArgumentValueError, match="samples must not be empty"):
        Trainer(digits, "cnn", RECIPE, 0, chosen[:0])


@pytest.fixture(scope="module")
def case():
    return Case("digits", None, RECIPE, "cnn", 0.1, seed=2)


@pytest.fixture(scope="module")
def work(tmp_path_factory, case):
    """Work in which the case has been recorded."""
    work = Work(tmp_path_factory.mktemp("work"), "digits", RECIPE)
    with training.one_thread():
        work.run([recording_job(case, work)], progress=False)
    return work


def test_a_recorded_run_holds_what_its_model_did(case, work):
    """Against the same training, followed sample by sample."""
    data, run = case.data, recorded(case, work)
    trainer = Trainer(data, "cnn", RECIPE, case.seed)
    passes, steps, el2n = [], [], []
    before, events, ever = {}, np.zeros(1000), np.zeros(1000, bool)
    for epoch in range(RECIPE.epochs + 1):
        of_steps = np.full(1000, np.nan)
        for index in trainer.batches() if epoch else ():
            logits, losses = trainer.step(index)
            of_steps[index] = losses
            for i, row in zip(index.tolist(), logits.numpy(), strict=True):
                right = row.argmax() == data.train.labels[i]
                events[i] += before.get(i, False) and not right
                before[i] = right
                ever[i] |= right
        logits = training.logits(trainer.model, data.train, data.white).numpy()
        chances = softmax(logits.astype(np.float64), axis=1)
        passes.append(-np.log(chances[np.arange(1000), data.train.labels]))
        steps.append(of_steps if epoch else passes[0])
        if epoch == 1:
            el2n = np.linalg.norm(chances - np.eye(10)[data.train.labels], axis=1)
    for path, expected in ((run.passes, passes), (run.steps, steps)):
        store = ltc.open_store(path)
        np.testing.assert_allclose(store.read("train"), expected, rtol=1e-3, atol=1e-5)
        np.testing.assert_array_equal(store.labels("val"), data.val.labels)
    np.testing.assert_allclose(run.el2n, el2n, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(run.forgetting, np.where(ever, events, RECIPE.epochs + 1))
    assert events.sum() > 0
    assert 0 < (~ever).sum() < 300
    np.testing.assert_array_equal(run.flipped, data.train.flipped)
    np.testing.assert_array_equal(run.labels, data.train.labels)
    last = trainer.model[-1]
    np.testing.assert_allclose(
        run.features @ last.weight.detach().numpy().T + last.bias.detach().numpy(),
        logits,
        atol=1e-4,
    )
    result = work.result(f"runs/{case.name}")
    assert result["accuracy"] == training.evaluate(trainer.model, data).accuracy
    assert result["iterations"] == 5 * 20


def test_a_run_killed_before_its_result_is_recorded_again(case, work, tmp_path):
    again = Work(tmp_path, "digits", RECIPE)
    left = again.path(f"runs/{case.name}")
    left.mkdir(parents=True)
    (left / "half").touch()
    again.run([recording_job(case, again)], progress=False)
    assert not (left / "half").exists()
    assert sorted(p.name for p in left.parent.iterdir()) == [left.name]
    expected = recorded(case, work)
    np.testing.assert_array_equal(recorded(case, again).el2n, expected.el2n)


class Killed(BaseException):
    pass


def jobs(calls, fatal=None):
    def make(k):
        if k == fatal:
            raise Killed
        calls.append(k)
        return {"square": k * k}

    return [Job(f"squares/{k}", 10, lambda k=k: make(k)) for k in (0, 1, 2, 1)]


def test_killed_work_goes_on(tmp_path):
    calls = []
    with pytest.raises(Killed):
        Work(tmp_path, "digits", RECIPE).run(jobs(calls, fatal=1), progress=False)
    assert calls == [0]
    work = Work(tmp_path, "digits", RECIPE)
    assert [job.name for job in work.missing(jobs(calls))] == ["squares/1", "squares/2"]
    assert work.result("squares/1") is None
    work.run(jobs(calls), progress=False)
    assert calls == [0, 1, 2]
    work.run(jobs(calls), progress=False)
    assert calls == [0, 1, 2]
    assert work.result("squares/2") == {"square": 4}
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
    kept = json.loads(work.path("jobs/squares/2.json").read_text())
    assert kept["visits"] == 10
    assert work.commits(job.name for job in jobs(calls)) == [kept["commit"]]
    assert work.speed() > 0


def test_work_of_another_recipe_is_refused(tmp_path):
    Work(tmp_path, "digits", RECIPE)
    Work(tmp_path, "fashion-mnist", Recipe(1, 2, 3.0))  # beside it
    with pytest.raises(ArgumentValueError, match=r"work must be a folder for this recipe"):
        Work(tmp_path, "digits", Recipe(epochs=6, batch_size=50, learning_rate=6e-3))
