"""Reader of ImageNet as a folder: ``train/CLASS/*.JPEG`` and ``val/CLASS/*.JPEG``.

Pictures are cropped to their middle square and reduced to 32 x 32 pixels, the small form in which
ImageNet is often used for such comparisons (arXiv 1707.08819): 1.28 million of them are 3.9 GB,
and decoding them takes hours. It is done once: what was read is kept in the user's cache.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.cifar import Files
from ltc.atomic import atomic_file
from ltc.demo.errors import DatasetFormatError, DatasetNotFoundError

PIXELS = 32
SUFFIXES = {".jpeg", ".jpg", ".png"}
CACHE = Path("~/.cache/ltc-paper")


def read(directory: Path, cache: Path | None = None) -> Files:
    """Return training images and labels, test images and labels, and the names of the classes.

    Images are uint8 [n, 3, 32, 32]; those of ``val``, whose labels are published, are for testing.

    Raises
    ------
    DatasetNotFoundError
        A folder is not there, or has no pictures.
    DatasetFormatError
        The two folders have other classes, or a file is no picture.
    """
    classes = _classes(directory / "train")
    if (others := _classes(directory / "val")) != classes:
        differing = sorted(set(classes) ^ set(others))
        raise DatasetFormatError(
            f"{directory} must have the same classes in train and val, got {differing[0]} in one"
        )
    cache = (cache or CACHE).expanduser()
    train, test = (_part(directory / part, classes, cache) for part in ("train", "val"))
    return *train, *test, classes


def _classes(folder: Path) -> tuple[str, ...]:
    found = folder.iterdir() if folder.is_dir() else ()
    names = sorted(each.name for each in found if each.is_dir())
    if not names:
        raise DatasetNotFoundError(
            f"imagenet: {folder} has no folders of classes; --data takes the folder of train/ and "
            "val/, with the pictures of val sorted into folders of classes as those of train are"
        )
    return tuple(names)


def _part(
    folder: Path, classes: tuple[str, ...], cache: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(f for f in (folder / name).iterdir() if f.suffix.lower() in SUFFIXES)
        if not found:
            raise DatasetNotFoundError(f"imagenet: {folder / name} has no pictures")
        files += found
        labels += [label] * len(found)
    return _pictures(files, cache), np.array(labels, np.int64)


def _pictures(files: list[Path], cache: Path) -> NDArray[np.uint8]:
    """Read all files, or what an earlier call kept of the same ones."""
    listed = "\n".join(f"{path.resolve()} {path.stat().st_size}" for path in files)
    known = hashlib.sha256(f"{PIXELS} {listed}".encode()).hexdigest()[:16]
    kept = cache / f"imagenet-{known}.npy"
    if not kept.exists():
        images = np.stack([_picture(path) for path in files])
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_file(kept) as file:
            np.save(file, images)
    return np.load(kept, mmap_mode="r")


def _picture(path: Path) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            square = ImageOps.fit(opened.convert("RGB"), (PIXELS, PIXELS), Image.Resampling.BOX)
    except OSError as error:
        raise DatasetFormatError(f"{os.fspath(path)} must be a picture, got: {error}") from error
    return np.asarray(square).transpose(2, 0, 1)
