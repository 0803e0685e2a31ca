"""Reader of IDX files, the format in which MNIST and Fashion-MNIST are published."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ltc.demo.errors import DatasetFormatError, DatasetNotFoundError

__all__ = ["read_idx"]

_UNSIGNED_BYTE = 8


def read_idx(directory: Path, name: str, *, ndim: int) -> NDArray[np.uint8]:
    """Read ``directory/name`` or ``directory/name.gz``: an IDX file of unsigned bytes.

    Parameters
    ----------
    directory : Path
        Where the file lies.
    name : str
        Its name, without ``.gz``.
    ndim : int
        How many dimensions it must have.

    Returns
    -------
    uint8 array
        With `ndim` dimensions.

    Raises
    ------
    DatasetNotFoundError
        Neither file exists.
    DatasetFormatError
        The file is not IDX, has another type or number of dimensions, or is cut off.

    Examples
    --------
    >>> header = bytes([0, 0, 8, 1]) + (3).to_bytes(4, "big")
    >>> _ = (directory / "labels").write_bytes(header + bytes([7, 0, 9]))
    >>> read_idx(directory, "labels", ndim=1)
    array([7, 0, 9], dtype=uint8)
    """
    path, content = _content(directory, name)
    dimensions = 4 + 4 * ndim
    if len(content) < dimensions or content[:4] != bytes([0, 0, _UNSIGNED_BYTE, ndim]):
        raise DatasetFormatError(
            f"{path} must be an IDX file of unsigned bytes in {ndim} dimensions, "
            f"got the first bytes {content[:4].hex(' ')!r}"
        )
    shape = tuple(int(size) for size in np.frombuffer(content[4:dimensions], ">u4"))
    values = np.frombuffer(content, np.uint8, offset=dimensions)
    if values.size != np.prod(shape, dtype=np.int64):
        raise DatasetFormatError(
            f"{path} must hold {' x '.join(map(str, shape))} bytes, got {values.size}"
        )
    return values.reshape(shape)


def _content(directory: Path, name: str) -> tuple[Path, bytes]:
    plain, compressed = directory / name, directory / f"{name}.gz"
    if plain.is_file():
        return plain, plain.read_bytes()
    if not compressed.is_file():
        raise DatasetNotFoundError(f"neither {plain} nor {compressed} exists")
    try:
        return compressed, gzip.decompress(compressed.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetFormatError(f"{compressed} must be a gzip file, got: {error}") from error
