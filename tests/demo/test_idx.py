"""IDX files: those that are right, and what is said of the others."""

import gzip

import numpy as np
import pytest

from ltc.demo.errors import DatasetFormatError, DatasetNotFoundError
from ltc.demo.idx import read_idx


def idx(values):
    header = bytes([0, 0, 8, values.ndim])
    return header + np.array(values.shape, ">u4").tobytes() + values.tobytes()


@pytest.fixture
def values():
    return np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_plain_file(tmp_path, values):
    (tmp_path / "images").write_bytes(idx(values))
    np.testing.assert_array_equal(read_idx(tmp_path, "images", ndim=3), values, strict=True)


def test_compressed_file(tmp_path, values):
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx(values)))
    np.testing.assert_array_equal(read_idx(tmp_path, "images", ndim=3), values, strict=True)


def test_absent_file(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"neither .*images nor .*images\.gz exists"):
        read_idx(tmp_path, "images", ndim=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be an IDX file"),
        (b"\x00\x00\x08\x03", "must be an IDX file"),
        (b"\x00\x00\x0d\x03" + bytes(12), "must be an IDX file of unsigned bytes in 3 dimensions"),
        (idx(np.zeros((3, 4), np.uint8)) + bytes(4), "must be an IDX file"),
        (idx(np.zeros((2, 3, 4), np.uint8))[:-1], "must hold 2 x 3 x 4 bytes, got 23"),
        (idx(np.zeros((2, 3, 4), np.uint8)) + b"x", "must hold 2 x 3 x 4 bytes, got 25"),
    ],
)
def test_broken_file(tmp_path, content, message):
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(DatasetFormatError, match=message):
        read_idx(tmp_path, "images", ndim=3)


@pytest.mark.parametrize("keep", [2, 15, -4])
def test_broken_compression(tmp_path, values, keep):
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx(values))[:keep])
    with pytest.raises(DatasetFormatError, match="must be a gzip file"):
        read_idx(tmp_path, "images", ndim=3)
