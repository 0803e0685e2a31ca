"""The data sets of the papers' figures are read from files of their published formats."""

import pickle

import numpy as np
import pytest
from PIL import Image

from benchmarks.paper import cifar, data, imagenet
from ltc.demo import data as demo
from ltc.demo.errors import DatasetFormatError, DatasetNotFoundError
from ltc.errors import ArgumentValueError


@pytest.mark.parametrize("flip", [0.0, 0.1])
def test_digits_are_split_as_the_demo_splits_them(flip):
    ours, theirs = data.load("digits", seed=3, flip=flip), demo.load("digits").split(3, flip=flip)
    for part in ("train", "val", "test"):
        mine, other = getattr(ours, part), getattr(theirs, part)
        np.testing.assert_array_equal(mine.images / np.float32(ours.white), other.images)
        for name in ("labels", "ids", "flipped"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))
    assert ours.train.flipped.sum() == flip * 1000


def test_fewer_samples_can_be_asked_for():
    whole = data.load("digits", seed=0)
    few = whole.first(20, val=7)
    assert (len(few.train), len(few.val), len(few.test)) == (20, 7, len(whole.test))
    np.testing.assert_array_equal(few.train.ids, whole.train.ids[:20])
    assert len(whole.first(20).val) == len(whole.val)
    with pytest.raises(ArgumentValueError, match=r"count must lie in 1\.\.1000, got 1001"):
        whole.first(1001)


def test_fashion_mnist_is_read_from_idx_files(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("t10k", 5)):
        images, labels = rng.integers(256, size=(count, 28, 28)), rng.integers(10, size=count)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            content = head + array.astype(np.uint8).tobytes()
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(content)
    read = data.load("fashion-mnist", seed=0, directory=tmp_path)
    assert read.train.images.shape == (10, 1, 28, 28)
    assert (len(read.val), len(read.test), read.white) == (2, 5, 255)
    np.testing.assert_array_equal(read.test.images[:, 0], images)
    np.testing.assert_array_equal(read.test.labels, labels)


class Python2(pickle._Pickler):
    """Writes what Python 2 wrote: its strings are bytes."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_bytes(self, text):
        if isinstance(text, str):
            text = text.encode()
        self.write(pickle.BINSTRING + len(text).to_bytes(4, "little") + text)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_bytes


def write_cifar(folder, rng):
    """Tiny files of the published format; returns the pixels and labels of both parts."""
    written = []
    for name, count in (("train", 40), ("test", 10)):
        pixels = rng.integers(256, size=(count, 3072)).astype(np.uint8)
        labels = rng.integers(5, size=count).tolist()
        content = {"data": pixels, "fine_labels": labels, "coarse_labels": [0] * count}
        dump(folder / name, content)
        written += [pixels, labels]
    dump(folder / "meta", {"fine_label_names": [f"class {k}" for k in range(5)]})
    return written


def dump(path, content):
    with path.open("wb") as file:
        Python2(file, 2).dump(content)
    # The module that NumPy 1 names in its pickles.
    path.write_bytes(path.read_bytes().replace(b"numpy._core.", b"numpy.core."))


def test_cifar_is_read_from_its_pickles(tmp_path):
    pixels, labels, test_pixels, test_labels = write_cifar(tmp_path, np.random.default_rng(0))
    assert b"numpy.core.multiarray" in (tmp_path / "train").read_bytes()
    read = data.load("cifar-100", seed=1, directory=tmp_path)
    assert (len(read.train), len(read.val), len(read.test)) == (36, 4, 10)
    assert read.classes == ("class 0", "class 1", "class 2", "class 3", "class 4")
    for part in (read.train, read.val):
        np.testing.assert_array_equal(part.images.reshape(-1, 3072), pixels[part.ids])
        np.testing.assert_array_equal(part.labels, np.array(labels)[part.ids])
    # Red, then green, then blue, row by row.
    assert read.test.images[2, 1, 3, 4] == test_pixels[2, 1024 + 3 * 32 + 4]
    np.testing.assert_array_equal(read.test.labels, test_labels)


class Malicious:
    def __reduce__(self):
        return print, ("called",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"data": Malicious()}, 4), "must be a pickle of arrays, got: builtins.print"),
        (b"no pickle", "must be a pickle of arrays"),
        (pickle.dumps([1], 2), "must hold a dict, got list"),
        (pickle.dumps({b"data": [0]}), "must hold uint8 pixels under 'data'"),
    ],
)
def test_other_files_are_not_cifar(tmp_path, content, message, capsys):
    write_cifar(tmp_path, np.random.default_rng(0))
    (tmp_path / "train").write_bytes(content)
    with pytest.raises(DatasetFormatError, match=message):
        cifar.read(tmp_path)
    assert "called" not in capsys.readouterr().out


def test_cifar_checks_its_arrays(tmp_path):
    write_cifar(tmp_path, np.random.default_rng(0))
    pixels = np.zeros((3, 3072), np.uint8)
    dump(tmp_path / "train", {"data": pixels, "fine_labels": [0, 1]})
    with pytest.raises(DatasetFormatError, match=r"3072 pixels for each of its 2 labels"):
        cifar.read(tmp_path)
    dump(tmp_path / "train", {"data": pixels, "fine_labels": [0, 1, 5]})
    with pytest.raises(DatasetFormatError, match=r"labels in 0\.\.4"):
        cifar.read(tmp_path)


@pytest.fixture
def pictures(tmp_path):
    """Two classes, three pictures each for training, one for testing, of different sizes."""
    for part, count in (("train", 3), ("val", 1)):
        for label, name in enumerate(("n01", "n02")):
            (tmp_path / "files" / part / name).mkdir(parents=True)
            for k in range(count):
                colour = (100 * label, 50, 10 * k)
                image = Image.new("RGB", (48 + k, 40), colour)
                image.save(tmp_path / "files" / part / name / f"{k}.JPEG", quality=95)
    return tmp_path / "files"


def test_imagenet_is_read_from_its_folders_once(pictures, tmp_path, monkeypatch):
    images, labels, test_images, test_labels, classes = imagenet.read(pictures, tmp_path / "cache")
    assert images.shape == (6, 3, 32, 32)
    assert images.dtype == np.uint8
    assert classes == ("n01", "n02")
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert (len(test_images), test_labels.tolist()) == (2, [0, 1])
    expected = np.array([[100 * label, 50, 10 * k] for label in range(2) for k in range(3)])
    np.testing.assert_allclose(images.mean((2, 3)), expected, atol=3)  # JPEG rounds

    monkeypatch.setattr(imagenet, "_picture", None)  # nothing is decoded again
    again = imagenet.read(pictures, tmp_path / "cache")
    np.testing.assert_array_equal(again[0], images)


def test_imagenet_tells_what_is_missing(pictures, tmp_path):
    (pictures / "val" / "n03").mkdir()
    with pytest.raises(DatasetFormatError, match="same classes in train and val, got n03 in one"):
        imagenet.read(pictures, tmp_path)
    (pictures / "train" / "n03").mkdir()
    with pytest.raises(DatasetNotFoundError, match="train/n03 has no pictures"):
        imagenet.read(pictures, tmp_path)
    (pictures / "train" / "n03" / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetFormatError, match=r"a\.jpg must be a picture"):
        imagenet.read(pictures, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar-100", r"meta does not exist; --data takes the folder 'cifar-100-python'"),
        ("imagenet", r"train has no folders of classes; --data takes the folder of train/"),
        ("fashion-mnist", r"apt-get install dataset-fashion-mnist"),
    ],
)
def test_missing_files_are_named(name, message, tmp_path):
    with pytest.raises(DatasetNotFoundError, match=message):
        data.load(name, seed=0, directory=tmp_path)


def test_arguments_are_checked():
    with pytest.raises(ArgumentValueError, match=r"dataset must be one of digits, .* got 'mnist'"):
        data.load("mnist", seed=0)
    with pytest.raises(ArgumentValueError, match="data must be the directory of the files of cifa"):
        data.load("cifar-100", seed=0)
    with pytest.raises(ArgumentValueError, match=r"flip must lie in 0\.\.1, 1 excluded, got 1"):
        data.load("digits", seed=0, flip=1)
