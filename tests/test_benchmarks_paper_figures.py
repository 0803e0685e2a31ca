"""The papers' figures at their smallest: digits, a few epochs, killed and gone on."""

import re
import shutil

import numpy as np
import pytest
from naive_difficulty import score as naive_score

import ltc
from benchmarks import results
from benchmarks.paper import __main__ as command
from benchmarks.paper import (
    accuracy,
    checkpoints,
    geometry,
    methods,
    models,
    modes,
    study,
    summary,
    training,
    transfer,
)
from benchmarks.paper.jobs import Work
from benchmarks.paper.recording import recorded, recording_job
from benchmarks.paper.study import Study
from benchmarks.paper.training import Recipe
from ltc.errors import ArgumentValueError

RECIPE = Recipe(epochs=10, batch_size=100, learning_rate=6e-3)
FEW = {"seeds": 1, "long_seeds": 1, "fractions": (0.02, 0.1), "long_fractions": (0.02,)}


def begin(folder, **changes):
    work = Work(folder, "digits", RECIPE)
    return Study("digits", None, RECIPE, work, **{**FEW, **changes})


def run(figure, study):
    for jobs in figure.stages(study):
        study.work.run(jobs, progress=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Work in which the runs of the smallest study have been recorded."""
    folder = tmp_path_factory.mktemp("work")
    made = begin(folder)
    made.work.run(
        [recording_job(made.case(flip, 0), made.work) for flip in made.flips], progress=False
    )
    return folder


@pytest.fixture(scope="module")
def recorded_run(folder):
    """With a tenth of the labels flipped."""
    made = begin(folder)
    return recorded(made.case(0.1, 0), made.work)


def naive_herding(points, count):
    """By trying every point, and forming the mean each time."""
    taken = []
    for _ in range(count):
        distances = [
            np.inf if i in taken else np.linalg.norm(points.mean(0) - points[[*taken, i]].mean(0))
            for i in range(len(points))
        ]
        taken.append(int(np.argmin(np.round(distances, 12))))
    return taken


def naive_k_centre(points, count):
    """By the distances of every pair."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    taken = [int(np.argmin(np.linalg.norm(points - points.mean(0), axis=1)))]
    while len(taken) < count:
        nearest = distances[:, taken].min(1)
        nearest[taken] = -1
        taken.append(int(np.argmax(np.round(nearest, 12))))
    return taken


@pytest.mark.parametrize(
    ("fast", "naive"),
    [(geometry.herding, naive_herding), (geometry.k_centre, naive_k_centre)],
)
@pytest.mark.parametrize("seed", range(3))
def test_greedy_orders_are_the_naive_ones(fast, naive, seed):
    points = np.random.default_rng(seed).normal(size=(30, 4))
    points[7] = points[3]  # a copy
    order = fast(points, 30)
    assert order.tolist() == naive(points, 30)
    assert fast(points, 11).tolist() == order[:11].tolist()


def test_an_order_is_followed_in_each_class():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 3)), np.arange(40) % 2
    scores = geometry.class_order(geometry.herding, features, labels, 0.2)
    for label in range(2):
        members = np.flatnonzero(labels == label)
        ranked = members[np.argsort(-np.nan_to_num(scores[members], nan=-np.inf), kind="stable")]
        assert ranked[:5].tolist() == members[geometry.herding(features[members], 5)].tolist()
        assert np.isnan(scores[members]).sum() == 20 - 5


def test_random_comes_first_and_names_are_unique():
    assert methods.METHODS[0].name == "random"
    assert len({method.name for method in methods.METHODS}) == len(methods.METHODS)


@pytest.mark.parametrize("method", methods.METHODS, ids=lambda method: method.name)
def test_every_method_takes_its_share_of_each_class(method, recorded_run):
    sizes = np.bincount(recorded_run.labels)
    for fraction in (0.05, 0.3):
        chosen = method.choose(recorded_run, fraction, 0)
        assert len(np.unique(chosen)) == len(chosen) == 1000 * fraction
        taken = np.bincount(recorded_run.labels[chosen], minlength=10)
        assert (np.abs(taken - fraction * sizes) < 1).all()


def test_methods_take_the_highest_of_their_own_score(recorded_run):
    losses = ltc.open_store(recorded_run.passes).read("train").astype(np.float64)[1:]
    p = np.exp(-losses)
    windows = np.lib.stride_tricks.sliding_window_view(p, 5, axis=0)
    spread = windows.std(-1, ddof=1)
    expected = {
        "el2n": recorded_run.el2n,
        "forgetting": recorded_run.forgetting,
        "cumulative-loss": losses.sum(0),
        "confidence": p.mean(0),
        "variability": p.std(0),
        "dyn-unc": spread.mean(0),
        "dual": (spread * (1 - windows.mean(-1))).mean(0),
        **{
            name: np.array([naive_score(name, each) for each in losses.T])
            for name in ("forgetting-least", "forgetting-most")
        },
        "cld-top": ltc.score(recorded_run.passes).values,
        "ltc-top": ltc.score(recorded_run.passes, signal="loss").values,
        "cld-pairs": ltc.score(recorded_run.passes, reference="class-pairs").values,
    }
    chosen = {method.name: method.choose(recorded_run, 0.1, 0) for method in methods.METHODS}
    for name, values in expected.items():
        taken = np.bincount(recorded_run.labels[chosen[name]], minlength=10)
        for label, count in enumerate(taken):
            ours = chosen[name][recorded_run.labels[chosen[name]] == label]
            members = np.flatnonzero(recorded_run.labels == label)
            bound = np.sort(np.asarray(values, np.float64)[members])[-count]
            slack = 1e-5 * max(1, abs(bound))  # ties and float32
            assert (values[ours] >= bound - slack).all(), name


def test_beta_sampling_is_of_duals_scores_and_confidence(recorded_run):
    how = {"checkpoints": slice(1, None), "loss": "cross-entropy"}
    scores = ltc.difficulty(recorded_run.passes, "dual", window=5, **how)
    confidence = ltc.difficulty(recorded_run.passes, "confidence", **how)
    expected = scores.select(fraction=0.1, strategy="beta", confidence=confidence, seed=3)
    (method,) = (method for method in methods.METHODS if method.name == "dual-beta")
    np.testing.assert_array_equal(method.choose(recorded_run, 0.1, 3), expected.indices)


def test_coverage_takes_from_every_cluster_and_the_cutoff_leaves_wrong_labels(recorded_run):
    by_name = {method.name: method for method in methods.METHODS}
    clusters = ltc.clusters(recorded_run.passes)
    chosen = by_name["coverage"].choose(recorded_run, 0.3, 0)
    assert set(clusters[chosen]) == set(clusters)
    wrong = [
        recorded_run.flipped[by_name[name].choose(recorded_run, 0.1, 0)].mean()
        for name in ("coverage", "coverage-cutoff")
    ]
    assert wrong[0] > 0.05 > 0.02 > wrong[1]


@pytest.mark.parametrize("name", ["random", "dual-beta", "coverage", "coverage-cutoff"])
def test_chosen_by_seed(name, recorded_run):
    (method,) = (method for method in methods.METHODS if method.name == name)
    first, again, other = (method.choose(recorded_run, 0.1, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


class Killed(BaseException):
    pass


def test_a_figure_that_was_killed_goes_on_and_tells_the_same(folder, tmp_path, monkeypatch):
    few = tuple(m for m in methods.METHODS if m.name in ("random", "cld-top", "el2n", "herding"))
    monkeypatch.setattr(accuracy, "METHODS", few)
    monkeypatch.setattr(accuracy, "BEST", 2)
    trained = []
    fit = training.fit

    def counted(*arguments):
        if len(trained) == fatal:
            raise Killed
        trained.append(arguments)
        return fit(*arguments)

    monkeypatch.setattr(study, "fit", counted)
    fatal = None
    whole = begin(folder)
    run(accuracy, whole)
    # 4 methods of 2 sizes and 2 shares; then random and 2 methods, of 1 size.
    assert len(trained) == 4 * 2 * 2 + 3 * 2

    for name in ("runs", "jobs/runs"):
        shutil.copytree(folder / "digits" / name, tmp_path / "digits" / name)
    trained.clear()
    fatal = 9
    with pytest.raises(Killed):
        run(accuracy, begin(tmp_path))
    fatal = None
    broken = begin(tmp_path)
    assert "not done" in "\n".join(map(str, accuracy.tables(broken)))
    run(accuracy, broken)
    assert len(trained) == 4 * 2 * 2 + 3 * 2
    assert list(map(str, accuracy.tables(broken))) == list(map(str, accuracy.tables(whole)))


def test_figure_3_says_what_its_jobs_found(folder, monkeypatch, tmp_path):
    few = tuple(m for m in methods.METHODS if m.name in ("random", "cld-top", "el2n", "herding"))
    monkeypatch.setattr(accuracy, "METHODS", few)
    monkeypatch.setattr(accuracy, "BEST", 2)
    made = begin(folder)
    run(accuracy, made)
    tables = accuracy.tables(made)
    assert "not done" not in "\n".join(map(str, tables))
    assert [row[1] for row in tables[0].rows] == [method.label for method in few]
    name = "epochs/cnn/flip-0/seed-0/cld-top/0.1"
    result = made.work.result(name)
    assert tables[0].rows[1][3] == f"{100 * result['accuracy']:.1f}"
    random = made.work.result(name.replace("cld-top", "random"))
    assert tables[1].rows[0][3] == f"{100 * (result['accuracy'] - random['accuracy']):+.1f}"
    assert result["samples"] == 100
    # EL2N takes wrong labels for hard samples, herding does not.
    (contents,) = (t for t in tables if "Coresets of" in t.title and "flipped, " in t.title)
    wrong = {row[1]: float(row[2]) for row in contents.rows}
    assert wrong["EL2N"] > 50 > 20 > wrong["herding"]
    best = accuracy.best_methods(made)
    assert "el2n" not in {method.name for method in best}
    assert len(best) == 2
    assert accuracy.draw(made, tmp_path / "plot.png").stat().st_size > 10_000


@pytest.mark.parametrize("figure", [modes, checkpoints])
def test_ways_to_score_are_compared(figure, folder, tmp_path):
    made = begin(folder, flips=(0.1,))
    run(figure, made)
    (table,) = figure.tables(made)
    assert "not done" not in str(table)
    first, *others = table.rows
    assert [float(cell) for cell in first[1:3]] == [1, 1]
    assert all(-1 <= float(row[1]) < 1 and 0 <= float(row[2]) < 1 for row in others)
    assert all(0 < float(row[3]) < 1 for row in table.rows)  # AUC
    assert float(first[3]) > 0.8
    assert [float(cell) for cell in first[6:8]] == [0, 0]
    assert figure.draw(made, tmp_path / "plot.png").stat().st_size > 10_000


def test_modes_score_the_stores_they_name(recorded_run):
    scores = [variant.score(recorded_run).values for variant in modes.VARIANTS]
    np.testing.assert_array_equal(scores[0], ltc.score(recorded_run.passes).values)
    np.testing.assert_array_equal(scores[1], ltc.score(recorded_run.steps).values)
    later = ltc.score(recorded_run.steps, signal="loss", checkpoints=slice(1, None))
    np.testing.assert_array_equal(scores[5], later.values)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (
            11,
            {
                "all (11)": range(11),
                "first half (6)": range(6),
                "last half (6)": range(5, 11),
                "every second (6)": range(0, 11, 2),
                "every third (4)": (0, 3, 6, 9),
                "none before training (10)": range(1, 11),
                "first third (4)": range(4),
            },
        ),
        (5, {"all (5)": range(5), "none before training (4)": range(1, 5)}),
    ],
)
def test_checkpoints_are_picked_where_they_suffice(count, expected):
    picked = {
        label: list(range(count))[which] for label, which in checkpoints.picks(count).values()
    }
    assert picked == {label: list(which) for label, which in expected.items()}


def test_coresets_are_carried_from_the_smallest_architecture(folder, monkeypatch, tmp_path):
    two = {name: models.ARCHITECTURES[name] for name in ("cnn", "lenet")}
    monkeypatch.setattr(transfer, "ARCHITECTURES", two)
    monkeypatch.setattr(transfer, "FRACTIONS", (0.1,))
    assert models.smallest((1, 8, 8), 10) == "lenet"
    assert models.smallest((1, 28, 28), 10) == models.SMALLEST
    chosen = {}
    choose = transfer.CHOSEN["cld-top"].choose

    def watched(run, fraction, seed):
        chosen[run.passes.parts[-4]] = indices = choose(run, fraction, seed)
        return indices

    watching = methods.Method("cld-top", "top", "LTC", watched)
    monkeypatch.setattr(transfer, "CHOSEN", {**transfer.CHOSEN, "cld-top": watching})
    monkeypatch.setattr(transfer, "COMPARED", ("cld-top",))
    made = begin(folder)
    run(transfer, made)
    (table,) = transfer.tables(made)
    assert "not done" not in str(table)
    assert "the lenet's above its own at 10 %" in table.columns
    cnn, lenet = table.rows
    assert lenet[0] == "lenet"
    assert lenet[3] == lenet[4]  # its own is the smallest one's
    names = [job.name for jobs in transfer.stages(made) for job in jobs]
    (carried,) = (name for name in names if "-of-lenet" in name)
    assert carried == "epochs/cnn/flip-0/seed-0/cld-top-of-lenet/0.1"
    assert cnn[4] == f"{100 * made.work.result(carried)['accuracy']:.1f}"
    # What was carried is what the smallest architecture's own run gives.
    case = made.case(0, 0, "lenet")
    indices = methods.METHODS[1].choose(recorded(case, made.work), 0.1, 0)
    np.testing.assert_array_equal(chosen["lenet"], indices)
    model = training.fit(made.case(0, 0).data, "cnn", RECIPE, 0, indices)
    expected = training.evaluate(model, made.case(0, 0).data).accuracy
    assert made.work.result(carried)["accuracy"] == expected
    assert transfer.draw(made, tmp_path / "plot.png").stat().st_size > 10_000


def test_cells_are_means_with_intervals_of_complete_seeds():
    values = np.array([[0.5, 0.1], [0.7, 0.1], [np.nan, 0.9]])
    assert summary.cells(values)[1] == "10.0 (10.0 to 10.0)"
    assert re.fullmatch(r"60\.0 \(50\.0 to 70\.0\)", summary.cells(values)[0])
    assert summary.cells(values[:1]) == ["50.0", "10.0"]
    assert summary.cells(values[:1] - 0.2, sign=True) == ["+30.0", "-10.0"]
    assert summary.cells(values[:1], scale=1) == ["0.500", "0.100"]
    assert summary.cells(values[2:]) == ["not done", "not done"]


def test_the_command_plans_and_keeps(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "FOLDER", tmp_path / "kept")
    monkeypatch.setattr(modes, "VARIANTS", modes.VARIANTS[:2])
    usual = ["modes", "--work", str(tmp_path), "--seeds", "1", "--epochs", "4"]
    assert command.main([*usual, "--plan"]) == 0
    # 2 runs, and of each 2 comparisons and 2 sizes of 2 ways.
    assert "stage 1: 14 jobs, 14 missing" in capsys.readouterr().out
    assert command.main([*usual, "--keep"]) == 0
    assert "| differences of training steps" in capsys.readouterr().out
    assert command.main([*usual, "--plan"]) == 0
    assert "14 jobs, 0 missing" in capsys.readouterr().out
    text = (tmp_path / "kept" / "digits-modes.md").read_text()
    assert re.search(r"- commit: [0-9a-f]{10}.*; tables: [0-9a-f]{10}", text) or "unknown" in text
    assert "- training: 4 epochs of batches of 50" in text
    assert (tmp_path / "kept" / "digits-modes.png").stat().st_size > 10_000
    assert results.FOLDER / "paper" != command.FOLDER

    assert command.main([*usual[:-1], "5"]) == 2
    assert "error: work must be a folder for this recipe" in capsys.readouterr().err
    assert command.main(["modes", "--dataset", "imagenet", "--work", str(tmp_path)]) == 2
    assert "error: data must be the directory" in capsys.readouterr().err


def test_studies_are_checked(tmp_path):
    for changes, message in (
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"fractions": (0.1, 1)}, "fractions must lie between 0 and 1, got 1"),
        ({"long_share": 0}, r"long_share must lie in 0\.\.1, got 0"),
    ):
        with pytest.raises(ArgumentValueError, match=message):
            begin(tmp_path, **changes)


def test_long_training_is_told_apart_in_names(folder):
    case = begin(folder).case(0, 0)
    names = {
        begin(folder, long_share=share).coreset_name(case, "random", 0.1, match)
        for share in (1.0, 0.2)
        for match in training.MATCHES
    }
    assert names == {
        "epochs/cnn/flip-0/seed-0/random/0.1",
        "iterations-of-1/cnn/flip-0/seed-0/random/0.1",
        "iterations-of-0.2/cnn/flip-0/seed-0/random/0.1",
    }
