"""Whether an array's metadata are those of the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zarr.core.metadata import ArrayV3Metadata

from ltc.errors import StoreFormatError

if TYPE_CHECKING:
    from ltc.store.format import Document

__all__ = ["check_metadata"]


def check_metadata(path: str, document: Document, expected: Document) -> None:
    """Check that an array's metadata are as expected.

    Parameters
    ----------
    path : str
        The array's place, for messages.
    document : dict
        The metadata found.
    expected : dict
        What it must be. Where the first dimension counts checkpoints, there may be more of them.

    Raises
    ------
    StoreFormatError
        It isn't.
    """
    # What we have written is the same word for word; zarr understands the many other ways.
    same = _same_words(document, expected)
    shape = document["shape"] if same else _check_meaning(path, document, expected)
    (rows, *others), (least, *sizes) = shape, expected["shape"]
    growing = expected["dimension_names"][0] == "checkpoint"
    if others != sizes or rows < least or (rows > least and not growing):
        raise StoreFormatError(
            f"{path}: shape must be {tuple(expected['shape'])}, got {tuple(shape)}"
        )


def _same_words(document: Document, expected: Document) -> bool:
    """Whether everything but the attributes and the numbers of the shape is literally the same."""
    free = ("shape", "attributes")
    return (
        document.keys() == expected.keys()
        and all(document[name] == expected[name] for name in expected if name not in free)
        and isinstance(document["attributes"], dict)
        and isinstance(document["shape"], list)
        and [type(n) for n in document["shape"]] == [int] * len(expected["shape"])
    )


def _check_meaning(path: str, document: Document, expected: Document) -> list[int]:
    """Compare what zarr makes of both; return the shape."""
    try:
        metadata = ArrayV3Metadata.from_dict(document)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreFormatError(f"{path}/zarr.json: {error}") from error
    found, wanted = metadata.to_dict(), ArrayV3Metadata.from_dict(expected).to_dict()
    for field in ("data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs"):
        if found[field] != wanted[field]:
            raise StoreFormatError(f"{path}: {field} must be {wanted[field]}, got {found[field]}")
    return list(metadata.shape)
