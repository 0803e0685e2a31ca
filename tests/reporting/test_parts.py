"""What a report says, beside plain definitions of it."""

import base64
import io
import json
import zlib

import numpy as np
import pytest

import ltc
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.reporting.chosen import choose_extremes, choose_queries
from ltc.reporting.classes import EDGES, SHARES, describe_classes
from ltc.reporting.dynamics import Dynamics, cells_of
from ltc.reporting.packing import Budget, pack, pack_text, packed_scores
from ltc.reporting.pictures import picture_source
from ltc.reporting.takes import take_all

image = pytest.importorskip("PIL.Image")


@pytest.fixture
def scores():
    random = np.random.default_rng(3)
    values = random.uniform(-1, 1, 500).astype(np.float32)
    values[[3, 77]] = np.nan
    values[5], values[6] = 1, -1
    return ltc.Scores(values, random.choice([2, 4, 900], 500).astype(np.int32))


def test_classes_are_described_as_numpy_does(scores):
    found = describe_classes(scores.values, scores.labels)
    assert found.labels.tolist() == [2, 4, 900]
    for code, label in enumerate(found.labels):
        inside = scores.labels == label
        values = scores.values[inside]
        defined = values[~np.isnan(values)].astype(np.float64)
        assert found.sizes[code] == inside.sum()
        assert found.undefined[code] == np.isnan(values).sum()
        assert found.mean[code] == pytest.approx(defined.mean())
        np.testing.assert_allclose(found.quantiles[code], np.quantile(defined, SHARES))
        np.testing.assert_array_equal(found.histogram[code], np.histogram(defined, EDGES)[0])
    np.testing.assert_array_equal(found.labels[found.codes], scores.labels)
    np.testing.assert_array_equal(found.order, np.argsort(found.quantiles[:, 2]))


def test_a_class_without_scores_comes_last():
    values = np.array([np.nan, 0.5, np.nan, 0.1], np.float32)
    found = describe_classes(values, np.array([0, 1, 0, 2], np.int32))
    assert found.order.tolist() == [2, 1, 0]
    assert np.isnan(found.quantiles[0]).all()
    assert found.histogram[0].sum() == 0
    nothing = describe_classes(values[[0, 2]], None)
    assert nothing.number == 1
    assert np.isnan(nothing.quantiles).all()


def test_takes_are_what_select_takes(scores):
    classes = describe_classes(scores.values, scores.labels)
    found = take_all(scores, classes, fraction=0.2, cutoff=0.3)
    titles = ["random", "random, cutoff 0.3", "top", "stratified, cutoff 0.3"]
    assert [each.title for each in found] == titles
    for each in found:
        options = {"fraction": 0.2, "strategy": each.strategy, "cutoff": each.cutoff}
        balanced, free = scores.select(**options), scores.select(**options, balance=None)
        for code, label in enumerate(classes.labels):
            values = balanced.scores[balanced.labels == label]
            assert each.balanced[code] == values.size
            assert each.free[code] == (free.labels == label).sum()
            defined = values[~np.isnan(values)]
            assert each.histogram[code].sum() == defined.size
            assert each.mean[code] == pytest.approx(defined.mean())
    assert take_all(scores, classes, fraction=0.2, cutoff=0)[1].strategy == "top"


def test_strategies_that_need_more_take_what_select_takes(scores):
    """Beta by DUAL's scores, coverage by clusters; both are described by the scores shown."""
    classes = describe_classes(scores.values, scores.labels)
    random = np.random.default_rng(5)
    confidence, variability, dual = random.random((3, 500), np.float32)
    clusters = random.integers(0, 4, 500, dtype=np.int32)
    found = take_all(
        scores,
        classes,
        fraction=0.2,
        cutoff=0.3,
        dynamics=Dynamics(confidence, variability, dual),
        clusters=clusters,
    )
    assert [each.title for each in found][4:] == ["beta", "coverage, cutoff 0.3"]
    beta = ltc.Scores(dual, scores.labels).select(
        fraction=0.2, strategy="beta", confidence=confidence
    )
    covering = {"fraction": 0.2, "strategy": "coverage", "clusters": clusters, "cutoff": 0.3}
    for each, indices in zip(
        found[4:], (beta.indices, scores.select(**covering).indices), strict=True
    ):
        for code, label in enumerate(classes.labels):
            of_class = indices[scores.labels[indices] == label]
            values = scores.values[of_class]
            assert each.balanced[code] == of_class.size
            expected = np.histogram(values[~np.isnan(values)], EDGES)[0]
            np.testing.assert_array_equal(each.histogram[code], expected)
    free = scores.select(**covering, balance=None)
    np.testing.assert_array_equal(
        found[5].free, [(free.labels == label).sum() for label in classes.labels]
    )
    unlabelled = ltc.Scores(scores.values)
    found = take_all(
        unlabelled,
        describe_classes(unlabelled.values, None),
        fraction=0.2,
        cutoff=0,
        dynamics=Dynamics(confidence, variability, None),
    )
    assert [each.strategy for each in found] == ["random", "top", "stratified"]


def test_cells_of_the_map_are_a_histogram(scores):
    random = np.random.default_rng(6)
    confidence, variability = random.random(500, np.float32), random.random(500, np.float32) / 2
    confidence[4], variability[4] = 1, 0.5  # the last edges count below
    confidence[8] = variability[8] = np.nan
    found = cells_of(Dynamics(confidence, variability, None), scores.values, 7)
    edges = (np.linspace(0, 0.5, 8), np.linspace(0, 1, 8))
    place = ~np.isnan(confidence)
    where = (variability[place], confidence[place])
    counts = np.histogram2d(*where, edges)[0]
    assert found.number.sum() == 499
    assert (counts > 0).sum() == found.number.size
    np.testing.assert_array_equal(counts[found.columns, found.rows], found.number)
    values = scores.values[place].astype(np.float64)
    known = ~np.isnan(values)
    places = tuple(each[known] for each in where)
    with np.errstate(invalid="ignore"):
        means = np.histogram2d(*places, edges, weights=values[known])[0]
        means /= np.histogram2d(*places, edges)[0]
    np.testing.assert_allclose(found.mean, means[found.columns, found.rows])
    classes = describe_classes(scores.values, scores.labels)
    by_class = found.by_class(classes.codes, classes.number)
    for code, label in enumerate(classes.labels):
        inside = scores.labels[place] == label
        counts = np.histogram2d(*(each[inside] for each in where), edges)[0]
        np.testing.assert_array_equal(by_class[code], counts[found.columns, found.rows])


def test_extremes_are_ranked_by_value_then_index():
    values = np.array([0.5, -0.5, np.nan, 0.9, 0.9, -0.5, 0.0], np.float32)
    found = choose_extremes(values, 3)
    assert found["highest"].tolist() == [3, 4, 0]
    assert found["lowest"].tolist() == [1, 5, 6]
    assert found["undecided"].tolist() == [6, 0, 1]
    assert choose_extremes(values[[2]], 3)["lowest"].size == 0


def test_queries_are_of_different_classes_while_there_are_some(tmp_path):
    last = np.array([9, 8, 7, 1, 1.1, 0.9, 1.2, np.nan])
    val = np.stack([np.ones(8), last, np.full(8, np.nan)])  # nothing at the last checkpoint
    labels = {"train_labels": [0, 1], "val_labels": [0, 0, 1, 1, 0, 1, 0, 1]}
    ltc.write_store(tmp_path / "run.zarr", np.ones((3, 2)), val, **labels)
    hard, typical = choose_queries(ltc.open_store(tmp_path / "run.zarr"), 4)
    assert hard.tolist() == [0, 2]
    assert typical.tolist() == [6, 3]  # nearest to the median, 1.2
    hard, typical = choose_queries(ltc.open_store(tmp_path / "run.zarr"), 6)
    assert hard.tolist() == [0, 2, 1]


def unpacked(text):
    return zlib.decompress(base64.b64decode(text))


def test_what_is_packed_can_be_read():
    array = np.arange(7, dtype=">u2")
    assert unpacked(pack(array)) == array.astype("<u2").tobytes()
    assert unpacked(pack_text("é\u2028")).decode() == "é\u2028"
    values = np.linspace(-1, 1, 999).astype(np.float32)
    read = (packed_scores(values).astype(np.float64) - 128) / 127
    np.testing.assert_allclose(read, values, atol=0.5001 / 127)


def test_a_budget_leaves_out_what_does_not_fit():
    budget = Budget(100)
    noise = np.random.default_rng(0).integers(0, 256, 60, dtype=np.uint8)
    assert budget.pack(noise) is not None
    left = budget.left
    assert budget.pack(noise) is None
    assert budget.pack(np.zeros(10_000, np.uint8)) is None  # not even tried
    assert budget.left == left
    assert json.loads(unpacked(Budget(100).pack_strings(np.array([2**60, 1])))) == [f"{2**60}", "1"]
    assert Budget(3).pack_strings(np.array(["a"])) is None


def shown(source):
    kind, _, data = source.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return image.open(io.BytesIO(base64.b64decode(data)))


def test_pictures_of_every_kind_become_small_ones():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(np.asarray(shown(picture_source(grey, "it"))), grey)
    real = picture_source(grey / 7 - 1, "it")
    assert np.asarray(shown(real)).min() == 0
    assert np.asarray(shown(real)).max() == 255
    for channels in (1, 3, 4):
        last = np.zeros((8, 6, channels), np.uint8)
        assert shown(picture_source(last, "it")).size == (6, 8)
        assert shown(picture_source(np.moveaxis(last, 2, 0), "it")).size == (6, 8)
    photograph = image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 600, 3), np.uint8))
    assert shown(picture_source(photograph, "it")).size == (96, 48)
    assert photograph.size == (600, 300)
    file = io.BytesIO()
    photograph.convert("P").save(file, "gif")
    assert shown(picture_source(file.getvalue(), "it")).size == (96, 48)


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (b"GIF89a", ArgumentValueError, "bytes of a file that PIL reads, got others for it"),
        (np.zeros(3), ArgumentValueError, r"\[H, W, C\].* got shape \(3,\) for it"),
        (np.zeros((2, 2, 7)), ArgumentValueError, r"got shape \(2, 2, 7\)"),
        (np.zeros((0, 2)), ArgumentValueError, r"got shape \(0, 2\)"),
        (np.full((2, 2), np.nan), ArgumentValueError, "finite numbers, got others for it"),
        ("cat.png", ArgumentTypeError, "PIL images, bytes or arrays of numbers, got str for it"),
    ],
)
def test_what_is_no_picture_is_refused(picture, error, message):
    with pytest.raises(error, match=message):
        picture_source(picture, "it")
