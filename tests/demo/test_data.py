"""Splits are disjoint and reproducible; flipped labels are where they are said to be."""

import numpy as np
import pytest
from demo.test_idx import idx

from ltc.demo.data import flip_labels, load
from ltc.demo.errors import DatasetNotFoundError
from ltc.errors import ArgumentValueError


@pytest.fixture
def clothes(tmp_path):
    """A folder with 600 + 10 pictures in the four files of Fashion-MNIST."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 600), ("t10k", 10)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = rng.permutation(np.arange(count) % 10).astype(np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


def test_splits_of_digits_are_disjoint_and_complete():
    data = load("digits").split(seed=3)
    ids = np.concatenate([data.train.ids, data.val.ids, data.test.ids])
    np.testing.assert_array_equal(np.sort(ids), np.arange(1797))


def test_ids_lead_back_to_the_source():
    source = load("digits")
    val = source.split(seed=3).val
    np.testing.assert_array_equal(val.images[:, 0], source.images[val.ids] / np.float32(16))
    np.testing.assert_array_equal(val.labels, source.labels[val.ids])
    assert val.images.dtype == np.float32
    assert val.images.max() == 1


def test_the_seed_decides_the_split():
    source = load("digits")
    first, again, other = (source.split(seed).train.ids for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_flipping_spares_the_test_split_and_the_order():
    source = load("digits")
    clean, noisy = source.split(0), source.split(0, flip=0.1)
    for name, count in (("train", 100), ("val", 30), ("test", 0)):
        before, after = getattr(clean, name), getattr(noisy, name)
        np.testing.assert_array_equal(before.ids, after.ids)
        np.testing.assert_array_equal(before.labels != after.labels, after.flipped)
        assert after.flipped.sum() == count
        assert not before.flipped.any()


def test_flipped_labels_are_other_classes():
    labels = np.repeat(np.arange(10), 1000)
    changed, flipped = flip_labels(labels, 0.5, 10, np.random.default_rng(0))
    assert flipped.sum() == 5000
    np.testing.assert_array_equal(changed != labels, flipped)
    pairs = np.zeros((10, 10), int)
    np.add.at(pairs, (labels[flipped], changed[flipped]), 1)
    assert (pairs[~np.eye(10, dtype=bool)] > 0).all()


def test_fashion_mnist_keeps_the_published_test_split(clothes):
    data = load("fashion-mnist", clothes).split(seed=0)
    assert [len(split.labels) for split in (data.train, data.val, data.test)] == [500, 100, 10]
    np.testing.assert_array_equal(np.sort([*data.train.ids, *data.val.ids]), np.arange(600))
    assert data.train.images.shape == (500, 1, 28, 28)


def test_absent_fashion_mnist_says_how_to_get_it(tmp_path):
    with pytest.raises(DatasetNotFoundError) as caught:
        load("fashion-mnist", tmp_path)
    message = str(caught.value)
    assert "apt-get install dataset-fashion-mnist" in message
    assert "--data DIR" in message
    assert "\n" not in message


def test_digits_take_no_folder(tmp_path):
    with pytest.raises(ArgumentValueError, match="data must not be given for 'digits'"):
        load("digits", tmp_path)


def test_unknown_dataset():
    with pytest.raises(ArgumentValueError, match="one of digits, fashion-mnist, got 'cifar'"):
        load("cifar")
