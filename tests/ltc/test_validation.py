"""What a validation split is worth: shared samples, small classes, means that are unstable."""

import warnings

import numpy as np
import pytest

import ltc
from ltc.cli import main
from ltc.errors import ArgumentIndexError, ArgumentValueError
from ltc.shared_ids import shared_ids
from ltc.validation import validation_table

T = 20
RANDOM = np.random.default_rng(0)
SIZES = [40, 11, 3, 1, 0]  # of the classes in val
VAL_LABELS = RANDOM.permutation(np.repeat([0, 1, 2, 3], SIZES[:4]))
TRAIN_LABELS = np.repeat([0, 1, 2, 3, 4], 5)
COURSE = RANDOM.random((T, 5)).cumsum(axis=0)
NOISE = np.array([0.05, 2.0, 0.05, 0.05, 0.05])  # class 1 is all noise
VAL = COURSE[:, VAL_LABELS] + NOISE[VAL_LABELS] * RANDOM.normal(size=(T, VAL_LABELS.size))
TRAIN = COURSE[:, TRAIN_LABELS]


def write_run(path, val=VAL, **options):
    labels = {"train_labels": TRAIN_LABELS, "val_labels": VAL_LABELS}
    ltc.write_store(path, TRAIN, val, **{**labels, **options})
    return str(path)


def naive(val, label, signal):
    """The correlation of the halves of one class, as it is read off the definition."""
    samples = np.flatnonzero(label == VAL_LABELS)
    stored = val.astype(np.float16).astype(float)
    first, second = (np.nanmean(stored[:, samples[k::2]], axis=1) for k in (0, 1))
    if signal == "difference":
        first, second = np.diff(first), np.diff(second)
    seen = np.isfinite(first) & np.isfinite(second)
    return np.corrcoef(first[seen], second[seen])[0, 1]


@pytest.mark.parametrize("signal", ["difference", "loss"])
@pytest.mark.parametrize("memory_limit", ["512MB", 40_000])
def test_halves_are_taken_in_turn(tmp_path, signal, memory_limit):
    run = write_run(tmp_path / "run.zarr")
    found = ltc.validation_quality(run, signal=signal, memory_limit=memory_limit)
    assert found.classes.tolist() == [0, 1, 2, 3, 4]
    assert found.sizes.tolist() == SIZES
    expected = [naive(VAL, label, signal) for label in (0, 1, 2)]
    np.testing.assert_allclose(found.correlation[:3], expected, atol=1e-9)
    assert np.isnan(found.correlation[3:]).all()
    assert found.small.tolist() == [2, 3, 4]
    if signal == "difference":
        assert found.unstable.tolist() == [1]
        assert found.correlation[0] > 0.95


def test_missing_losses_and_checkpoints_are_left_out(tmp_path):
    val = VAL.copy()
    val[RANDOM.random(val.shape) < 0.3] = np.nan
    half = np.flatnonzero(VAL_LABELS == 2)[1::2]
    val[7, half] = np.nan
    val[12] = np.nan
    run = write_run(tmp_path / "run.zarr", val)
    found = ltc.validation_quality(run, signal="loss")
    with warnings.catch_warnings(action="ignore"):  # means of no samples
        expected = [naive(val, label, "loss") for label in (0, 1, 2)]
    np.testing.assert_allclose(found.correlation[:3], expected, atol=1e-9)


def test_checkpoints_are_selected_first(tmp_path):
    run = write_run(tmp_path / "run.zarr")
    found = ltc.validation_quality(run, checkpoints=slice(None, None, 2))
    expected = naive(VAL[::2], 0, "difference")
    assert found.correlation[0] == pytest.approx(expected)
    few = ltc.validation_quality(run, checkpoints=[0, 1, 2])
    assert np.isnan(few.correlation).all()  # two differences tell nothing
    with pytest.raises(ArgumentIndexError, match="checkpoints"):
        ltc.validation_quality(run, checkpoints=[20])


def test_constant_losses_have_no_correlation(tmp_path):
    run = write_run(tmp_path / "run.zarr", np.full_like(VAL, 0.3))
    assert np.isnan(ltc.validation_quality(run).correlation).all()


def test_labels_may_be_large_and_sparse(tmp_path):
    names = np.array([5, 7, 100_000_000, 2**31 - 2, 9])
    labels = {"train_labels": names[TRAIN_LABELS], "val_labels": names[VAL_LABELS]}
    found = ltc.validation_quality(write_run(tmp_path / "sparse.zarr", **labels))
    expected = ltc.validation_quality(write_run(tmp_path / "run.zarr"))
    order = np.argsort(names)
    assert found.classes.tolist() == names[order].tolist()
    assert found.sizes.tolist() == expected.sizes[order].tolist()
    np.testing.assert_array_equal(found.correlation, expected.correlation[order])


def test_classes_of_val_alone_are_not_asked_for(tmp_path):
    labels = np.where(TRAIN_LABELS == 0, 1, TRAIN_LABELS)
    found = ltc.validation_quality(write_run(tmp_path / "run.zarr", train_labels=labels))
    assert found.classes.tolist() == [1, 2, 3, 4]
    assert found.sizes.tolist() == SIZES[1:]


def test_memory_is_limited(tmp_path):
    run = write_run(tmp_path / "run.zarr")
    with pytest.raises(ArgumentValueError, match="memory_limit must hold two trajectories for ea"):
        ltc.validation_quality(run, memory_limit=1000)


# Shared ids


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        ([7, 5, 3, 3], [1, 3, 5, 5], [3, 5]),
        (["a", "b", "cc"], ["cc", "d", "a"], ["a", "cc"]),
        ([1, 2], ["1", "2"], []),
        ([1, 2], [3], []),
        (["a"], ["b"], []),
        (None, [1], None),
        ([1], None, None),
    ],
)
def test_ids_of_both_splits(train, val, expected):
    found = shared_ids(train, val)
    assert (None if found is None else found.tolist()) == expected


def test_the_recorder_warns_of_them_at_once(tmp_path):
    ids = {"train_ids": [4, 5, 6, 7, 8], "val_ids": [8, 7, 6, 5]}
    with pytest.warns(UserWarning, match=r"4 ids are in both splits \(5, 6, 7, \.\.\.\): if an id"):
        ltc.Recorder(tmp_path / "run.zarr", num_train=5, num_val=4, **ids).close()
    ids["val_ids"] = ["8", "7", "6", "5"]
    ltc.Recorder(tmp_path / "run.zarr", num_train=5, num_val=4, **ids).close()


# What a user reads


def lines_after_the_tables(run, capsys):
    assert main(["info", run]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert max(map(len, lines[1:])) <= 80
    return lines[lines.index("validation split") :]


def test_info_warns(tmp_path, capsys):
    ids = {"train_ids": np.arange(25), "val_ids": np.arange(18, 73)}
    run = write_run(tmp_path / "run.zarr", **ids)
    low = ltc.validation_quality(run).correlation[1]
    high = ltc.validation_quality(run).correlation[0]
    assert lines_after_the_tables(run, capsys) == [
        "validation split",
        "ids in both   7: 18, 19, 20, 21, ...",
        "class sizes   0 to 40 samples",
        f"class halves  correlation {low:.2f} to {high:.2f}, of differences of their means",
        "warning: where an id names the same sample in both splits, its validation",
        "  loss tells nothing of generalisation",
        "warning: 3 of 5 classes with fewer than 10 validation samples",
        "  class (samples): 4 (0), 3 (1), 2 (3)",
        "warning: 1 of 5 classes with an unstable mean, halves correlated below 0.8",
        f"  class (correlation): 1 ({low:.2f})",
    ]


def test_info_of_a_good_split_warns_of_nothing(tmp_path, capsys):
    labels = np.arange(VAL.shape[1]) % 2
    run = write_run(
        tmp_path / "run.zarr", COURSE[:, labels], val_labels=labels, train_labels=[0] * 25
    )
    assert lines_after_the_tables(run, capsys) == [
        "validation split",
        "ids in both   not known, as the splits don't both have ids",
        "class sizes   28 to 28 samples",
        "class halves  correlation 1.00 to 1.00, of differences of their means",
    ]
    bare = write_run(tmp_path / "bare.zarr", train_labels=None, val_labels=None)
    assert len(lines_after_the_tables(bare, capsys)) == 2


def test_info_of_a_damaged_run_shows_what_there_is(tmp_path, capsys):
    run = write_run(tmp_path / "run.zarr")
    chunk = tmp_path / "run.zarr/val/losses/c/3/0"
    chunk.write_bytes(b"x" + chunk.read_bytes()[1:])
    assert main(["info", run]) == 0
    out, _ = capsys.readouterr()
    assert "samples      25 train, 55 val" in out
    assert "\nvalidation split: can't be looked at: " in out
    assert "val/losses/c/3/0" in out


def test_many_classes_are_shortened():
    quality = ltc.ValidationQuality(
        None, np.arange(50), np.full(50, 3), np.linspace(-1, 0.5, 50), "loss"
    )
    assert "50 of 50 classes with an unstable mean" in validation_table(quality)
    assert "class (samples): 0 (3), 1 (3), 2 (3), 3 (3), ...\n" in validation_table(quality)
