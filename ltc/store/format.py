"""What a store looks like: its arrays, their chunks and fill values, the root's attributes.

Everything here is a plain value; nothing touches a file. The layout, with its reasons:

- A row of losses is whole chunks of its own, so that adding one never rewrites another.
- Fill values are no data: NaN for losses, -1 for labels, counts and modes. A lost chunk can't read
  as a value that somebody recorded.
- Every array ends in a crc32c checksum.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ltc.errors import StoreFormatError
from ltc.store.header import Header

if TYPE_CHECKING:
    from ltc.store.header import Compression

__all__ = [
    "CHUNK_CHECKPOINTS",
    "CHUNK_SAMPLES",
    "COUNTS",
    "MODES",
    "ROOT",
    "SPLITS",
    "Document",
    "array_documents",
    "group_document",
    "group_documents",
    "parse_array",
    "parse_root",
    "root_document",
    "score_document",
    "serialise",
]

ROOT: Final = "zarr.json"
"""The name of a group's or an array's metadata; without a path before it, the root's."""

CHUNK_SAMPLES: Final = 262_144
CHUNK_CHECKPOINTS: Final = 1024

SPLITS: Final = ("train", "val")
COUNTS: Final = ("observed", "duplicate", "clipped", "nonfinite")
MODES: Final = ("none", "training", "evaluation", "array")
"""How the losses of one split at one checkpoint came; stored as the position in this tuple."""

Document: TypeAlias = dict[str, Any]
"""The JSON object in a ``zarr.json``."""


def array_documents(header: Header) -> dict[str, Document]:
    """Return the metadata of every array of a store, by its path, as it is after a commit."""
    documents = {}
    for split in SPLITS:
        documents[f"{split}/losses"] = _losses(header, split)
        documents[f"{split}/checkpoint"] = _record(header, "float64", "NaN")
        if header.num_groups is not None:
            documents[f"{split}/labels"] = _sample_array(header, split, "int32", -1)
        if header.ids(split) is not None:
            documents[f"{split}/ids"] = _ids(header, split)
        for count in COUNTS:
            documents[f"commits/{split}_{count}"] = _record(header, "int64", -1)
        meanings = {"flag_values": list(range(len(MODES))), "flag_meanings": " ".join(MODES)}
        documents[f"commits/{split}_mode"] = _record(header, "int8", -1, meanings)
    documents["commits/time"] = _record(
        header, "float64", "NaN", {"units": "seconds since 1970-01-01", "calendar": "standard"}
    )
    return documents


def group_documents() -> dict[str, Document]:
    """Return the metadata of every group below the root, by its path."""
    return {path: group_document({}) for path in (*SPLITS, "commits", "scores")}


def group_document(attributes: Document) -> Document:
    """Return the metadata of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def root_document(header: Header, others: Document | None = None) -> Document:
    """Return the metadata of the root group.

    Parameters
    ----------
    header : Header
        The attribute ``ltc``.
    others : dict, optional
        The root's other attributes, which are kept.
    """
    return group_document({**(others or {}), "ltc": header.to_attribute()})


def score_document(header: Header, attributes: Document) -> Document:
    """Return the metadata of an array of scores, float32 [sample]."""
    return _sample_array(header, "train", "float32", "NaN", attributes)


def serialise(document: Document) -> bytes:
    """Return the bytes of a ``zarr.json``."""
    return json.dumps(document, indent=2).encode()


def parse_root(data: bytes | None, place: str) -> tuple[Header, Document]:
    """Return the header in a root's ``zarr.json``, and the root's other attributes.

    Parameters
    ----------
    data : bytes or None
        The content of the file, None if there is none.
    place : str
        The store, for messages.

    Raises
    ------
    StoreFormatError
        This isn't an ltc store, or belongs to a newer format.
    """
    if data is None:
        raise StoreFormatError(f"{place}: not an ltc store, it has no {ROOT}")
    attributes = _parse(data, place, "group").get("attributes")
    if not isinstance(attributes, dict) or "ltc" not in attributes:
        raise StoreFormatError(
            f"{place}: a Zarr group, but no ltc store: the attribute ltc is missing"
        )
    try:
        header = Header.from_attribute(attributes["ltc"])
    except StoreFormatError as error:
        raise StoreFormatError(f"{place}: {error}") from error
    return header, {name: value for name, value in attributes.items() if name != "ltc"}


def parse_array(data: bytes | None, place: str) -> Document:
    """Return the content of an array's ``zarr.json``.

    Raises
    ------
    StoreFormatError
        There is none, or it isn't the metadata of a Zarr v3 array.
    """
    if data is None:
        raise StoreFormatError(f"{place}: {ROOT} is missing")
    return _parse(data, place, "array")


def _parse(data: bytes, place: str, node_type: str) -> Document:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StoreFormatError(f"{place}: {ROOT} is not JSON ({error})") from error
    if not isinstance(document, dict) or document.get("zarr_format") != 3:
        raise StoreFormatError(f"{place}: {ROOT} is not Zarr v3 metadata")
    if document.get("node_type") != node_type:
        raise StoreFormatError(
            f"{place}: must be a Zarr {node_type}, got {document.get('node_type')!r}"
        )
    return document


def _losses(header: Header, split: str) -> Document:
    size = header.size(split)
    return _array(
        (header.committed, size),
        (1, min(size, header.chunk_samples)),
        ("checkpoint", "sample"),
        data_type="float16",
        fill="NaN",
        compression=header.compression,
    )


def _record(
    header: Header, data_type: str, fill: object, attributes: Document | None = None
) -> Document:
    return _array(
        (header.committed,),
        (CHUNK_CHECKPOINTS,),
        ("checkpoint",),
        data_type=data_type,
        fill=fill,
        attributes=attributes,
    )


def _sample_array(
    header: Header, split: str, data_type: str, fill: object, attributes: Document | None = None
) -> Document:
    size = header.size(split)
    return _array(
        (size,),
        (min(size, header.chunk_samples),),
        ("sample",),
        data_type=data_type,
        fill=fill,
        attributes=attributes,
    )


def _ids(header: Header, split: str) -> Document:
    if header.ids(split) == "string":
        return _sample_array(header, split, "string", "")
    return _sample_array(header, split, "int64", -1)


def _array(
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dimensions: tuple[str, ...],
    *,
    data_type: str,
    fill: object,
    attributes: Document | None = None,
    compression: Compression | None = None,
) -> Document:
    bytes_codec = (
        {"name": "vlen-utf8"}
        if data_type == "string"
        else {"name": "bytes", "configuration": {"endian": "little"}}
    )
    zstd = {"name": "zstd", "configuration": {"level": 3, "checksum": False}}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": [bytes_codec, *([zstd] if compression else []), {"name": "crc32c"}],
        "attributes": attributes or {},
        "dimension_names": list(dimensions),
    }
