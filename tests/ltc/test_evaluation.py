"""Agreement, wrong labels, accuracy by class, datamodels: against scipy, scikit-learn, dattri."""

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.metrics import roc_auc_score

from ltc import evaluation
from ltc.errors import ArgumentTypeError, ArgumentValueError

NAN = float("nan")


def tied(size, seed):
    """Values of which many are equal, and some undefined."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, size).astype(np.float32)
    values[rng.random(size) < 0.1] = np.nan
    return values


@pytest.mark.parametrize("seed", range(3))
def test_rank_agreement_is_spearmans_over_what_both_define(seed):
    a, b = tied(300, seed), tied(300, seed + 10) + 0.3 * np.nan_to_num(tied(300, seed))
    both = ~(np.isnan(a) | np.isnan(b))
    assert 200 < both.sum() < 290
    expected = scipy.stats.spearmanr(a[both], b[both]).statistic
    assert evaluation.rank_agreement(a, b) == pytest.approx(expected, abs=1e-13)
    assert evaluation.rank_agreement(b.tolist(), a) == pytest.approx(expected, abs=1e-13)


def test_rank_agreement_of_the_same_order_is_one_and_no_more():
    values = np.random.default_rng(0).normal(size=1001)
    assert evaluation.rank_agreement(values, np.exp(values)) == 1
    assert evaluation.rank_agreement(values, -values) == -1
    assert evaluation.rank_agreement([1, 2, np.inf], [0, 5, 6]) == 1


@pytest.mark.parametrize(
    ("a", "b"),
    [([], []), ([1.0], [2.0]), ([NAN, 1, 2], [1, NAN, 2]), ([1, 1, 1], [1, 2, 3])],
    ids=["none", "one", "one in both", "constant"],
)
def test_rank_agreement_is_undefined(a, b):
    assert np.isnan(evaluation.rank_agreement(a, b))


def test_overlap():
    a, b = np.array([9, 0, 3, 5], np.int32), [3, 9, 1, 2, 8, 4]
    assert evaluation.overlap(a, b) == 2 / 4
    assert evaluation.overlap(b, a, measure="jaccard") == 2 / 8
    assert evaluation.overlap(a, a[::-1], measure="jaccard") == 1
    assert evaluation.overlap(["x", "y"], np.array(["y", "z"])) == 0.5
    assert evaluation.overlap(np.array(["x", "y"], object), ["z"]) == 0
    assert np.isnan(evaluation.overlap([], a))


@pytest.mark.parametrize("kind", ["ties", "no ties", "undefined"])
def test_flipped_auc_is_that_of_scikit_learn(kind):
    rng = np.random.default_rng(1)
    flipped = rng.random(500) < 0.1
    scores = rng.normal(size=500) - flipped
    if kind == "ties":
        scores = scores.round(0)
    if kind == "undefined":
        scores[rng.random(500) < 0.2] = np.nan
    defined = ~np.isnan(scores)
    expected = roc_auc_score(flipped[defined], -scores[defined])
    assert evaluation.flipped_auc(scores, flipped) == pytest.approx(expected, abs=1e-14)
    assert 0.6 < expected < 0.9


def test_flipped_auc_at_its_ends():
    flipped = np.array([True, False, True, False])
    assert evaluation.flipped_auc([0, 1, 0, 1], flipped) == 1
    assert evaluation.flipped_auc([1, 0, 1, 0], flipped) == 0
    assert evaluation.flipped_auc([7, 7, 7, 7], flipped) == 0.5
    assert np.isnan(evaluation.flipped_auc([NAN, 1, NAN, 0], flipped))
    assert np.isnan(evaluation.flipped_auc([1, 2, 3, 4], ~np.zeros(4, bool)))


def test_accuracy_by_class():
    predictions, labels = [0, 1, 2, 2, 7, -1], [0, 0, 2, 2, 2, 4]
    np.testing.assert_array_equal(
        evaluation.class_accuracy(predictions, labels), [1 / 2, NAN, 2 / 3, NAN, 0]
    )
    assert evaluation.worst_class_accuracy(predictions, labels) == 0
    assert evaluation.worst_class_accuracy(predictions[:5], labels[:5]) == 0.5
    nothing = np.empty(0, np.int64)
    assert np.isnan(evaluation.worst_class_accuracy(nothing, nothing))


@pytest.fixture
def models():
    """Scores [Q, N], subsets of one size [S, N], outputs [S, Q] that follow from them in part."""
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(7, 60))
    subsets = np.zeros((25, 60), bool)
    for row in subsets:
        row[rng.permutation(60)[:30]] = True
    outputs = subsets @ scores.T + 5 * rng.normal(size=(25, 7))
    return scores, subsets, outputs


def test_lds_is_that_of_dattri(models):
    metric = pytest.importorskip("dattri.metric")
    scores, subsets, outputs = models
    indices = np.stack([np.flatnonzero(row) for row in subsets])
    expected, _ = metric.lds(
        torch.from_numpy(scores.T), (torch.from_numpy(outputs), torch.from_numpy(indices))
    )
    found = evaluation.lds(scores, subsets, outputs)
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-12)
    assert found.dtype == np.float64
    assert 0.3 < found.mean() < 0.95


def test_lds_of_subsets_of_any_size_is_the_definition(models):
    scores, _, _ = models
    rng = np.random.default_rng(2)
    subsets, outputs = rng.random((40, 60)) < 0.3, rng.normal(size=(40, 7)).round(1)
    expected = [
        scipy.stats.spearmanr([scores[q][row].sum() for row in subsets], outputs[:, q]).statistic
        for q in range(7)
    ]
    np.testing.assert_allclose(evaluation.lds(scores, subsets, outputs), expected, atol=1e-12)


@pytest.mark.parametrize("unit", [0.1, 1e-300, 5e-324])
def test_equal_sums_share_their_rank_in_lds_whatever_order_they_are_added_in(models, unit):
    _, subsets, outputs = models
    ones = np.random.default_rng(1).random((7, 60)) < 0.2
    expected = evaluation.lds(ones.astype(np.int64), subsets, outputs)
    np.testing.assert_array_equal(evaluation.lds(unit * ones, subsets, outputs), expected)
    assert np.isnan(evaluation.lds(np.full((7, 60), unit), subsets, outputs)).all()


def test_small_scores_count_in_lds_beside_one_that_is_huge(models):
    """The order of the subsets without it is theirs."""
    scores, subsets, _ = models
    sums, huge = subsets @ scores.T, scores.copy()
    huge[:, 0] = 1e20
    outputs = sums + np.where(subsets[:, :1], 1e6, 0)
    expected = [
        scipy.stats.spearmanr(subsets[:, 0] * 1e6 + s * ~subsets[:, 0], o).statistic
        for s, o in zip(sums.T, outputs.T, strict=True)
    ]
    np.testing.assert_allclose(evaluation.lds(huge, subsets, outputs), expected, atol=1e-12)


def test_lds_leaves_out_models_without_an_output(models):
    scores, subsets, outputs = models
    outputs[[3, 8], 2] = np.nan
    kept = ~np.isin(np.arange(25), [3, 8])
    found = evaluation.lds(scores, subsets, outputs)
    assert found[2] == evaluation.lds(scores[[2]], subsets[kept], outputs[kept][:, [2]])[0]
    outputs[2:, 0] = np.nan
    assert np.isnan(evaluation.lds(scores, subsets, outputs)[0])


def test_an_undefined_score_moves_no_lds_of_subsets_of_one_size(models):
    """Whatever constant is added to the scores, zero has no meaning of its own."""
    scores, subsets, outputs = models
    scores[1, [0, 7, 20]] = np.nan
    found = evaluation.lds(scores, subsets, outputs)
    np.testing.assert_allclose(evaluation.lds(scores + 100, subsets, outputs), found, atol=1e-12)
    filled = scores.copy()
    filled[1, [0, 7, 20]] = np.nanmean(scores[1])
    np.testing.assert_array_equal(evaluation.lds(filled, subsets, outputs), found)
    assert np.isnan(scores[1, 0])  # the caller's array is as it was
    scores[1] = np.nan
    assert np.isnan(evaluation.lds(scores, subsets, outputs)).tolist() == [False, True] + 5 * [
        False
    ]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: evaluation.rank_agreement([1, 2], [1, 2, 3]),
            ArgumentValueError,
            r"b must have the shape of a, \(2,\), got \(3,\)",
        ),
        (
            lambda: evaluation.rank_agreement(["x"], [1]),
            ArgumentTypeError,
            "a must be real numbers, got <U1",
        ),
        (
            lambda: evaluation.rank_agreement([[1], [1, 2]], [1]),
            ArgumentValueError,
            "a must be an array",
        ),
        (
            lambda: evaluation.overlap([True, False], [1]),
            ArgumentTypeError,
            r"a must hold indices or ids, got bool; np.flatnonzero\(mask\) gives indices",
        ),
        (
            lambda: evaluation.overlap(["x"], np.array(["x", None], object)),
            ArgumentTypeError,
            "b must hold indices or ids, got objects that are no strings",
        ),
        (
            lambda: evaluation.overlap([[1], [2, 3]], [1]),
            ArgumentValueError,
            "a must be an array: ",
        ),
        (
            lambda: evaluation.overlap([1, 2], [3, 3]),
            ArgumentValueError,
            "b must hold each sample once",
        ),
        (
            lambda: evaluation.overlap([1, 2], ["1"]),
            ArgumentTypeError,
            "b must hold indices or ids as a does, int64, got <U1",
        ),
        (
            lambda: evaluation.overlap([1], [1], measure="dice"),
            ArgumentValueError,
            "measure must be one of 'share', 'jaccard', got 'dice'",
        ),
        (
            lambda: evaluation.flipped_auc([1, 2], [0, 1]),
            ArgumentTypeError,
            "flipped must be bool, got int64",
        ),
        (
            lambda: evaluation.class_accuracy([0], [-1]),
            ArgumentValueError,
            "labels must be at least 0, got -1",
        ),
        (
            lambda: evaluation.class_accuracy([0.5], [1]),
            ArgumentTypeError,
            "predictions must be integers, got float64",
        ),
        (
            lambda: evaluation.lds(np.ones((2, 3)), np.ones((4, 5), bool), np.ones((4, 2))),
            ArgumentValueError,
            r"scores must have shape \[query, sample\] with the 5 samples of subsets, "
            r"got shape \(2, 3\)",
        ),
        (
            lambda: evaluation.lds(np.ones((2, 5)), np.ones((4, 5), bool), np.ones((2, 4))),
            ArgumentValueError,
            r"outputs must have shape \[subset, query\], \(4, 2\), got shape \(2, 4\)",
        ),
        (
            lambda: evaluation.lds(np.ones((2, 5)), np.ones((4, 5)), np.ones((4, 2))),
            ArgumentTypeError,
            "subsets must be bool, got float64",
        ),
        (
            lambda: evaluation.lds([[np.inf, 0]], np.ones((4, 2), bool), np.ones((4, 1))),
            ArgumentValueError,
            "scores must be finite, or NaN where undefined, got inf",
        ),
    ],
)
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_it_needs_nothing_but_numpy():
    import subprocess
    import sys

    code = (
        "import ltc.evaluation, sys; "
        "print(sorted({'torch', 'scipy', 'sklearn', 'pandas', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names():
    assert evaluation.__all__ == sorted(evaluation.__all__)
    for name in evaluation.__all__:
        assert getattr(evaluation, name).__doc__, name
