"""What a store looks like: its arrays, their chunks and fill values, the root's attributes.

Everything here is a plain value; nothing touches a file. The layout, with its reasons:

- A row of losses is whole chunks of its own, so that adding one never rewrites another.
- Fill values are no data: NaN for losses, -1 for labels, counts and modes. A lost chunk can't read
  as a value that somebody recorded.
- Every array ends in a crc32c checksum.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from ltc.errors import StoreFormatError

__all__ = [
    "CHUNK_CHECKPOINTS",
    "CHUNK_SAMPLES",
    "COUNTS",
    "FORMAT",
    "MODES",
    "ROOT",
    "SPLITS",
    "Compression",
    "Document",
    "Header",
    "IdType",
    "array_documents",
    "group_documents",
    "parse_array",
    "parse_root",
    "root_document",
    "score_document",
    "serialise",
]

FORMAT: Final = 1
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

IdType = Literal["int64", "string"]
Compression = Literal["zstd"]


@dataclass(frozen=True)
class Header:
    """The attribute ``ltc`` of the root group.

    Attributes
    ----------
    committed : int
        Number of checkpoints; rows beyond it don't exist, whatever the arrays hold.
    num_train, num_val : int
        Number of samples.
    num_groups : int or None
        One more than the largest label of both splits; None without labels.
    train_ids, val_ids : {"int64", "string"} or None
        Type of the ids, None where there are none.
    compression : {"zstd"} or None
        What the losses are compressed with.
    chunk_samples : int
        Number of samples in a chunk, unless there are fewer in all.
    revision : str
        Changes whenever a row that was committed may change: when the store is made, and at a
        rewind.
    """

    committed: int
    num_train: int
    num_val: int
    num_groups: int | None
    train_ids: IdType | None
    val_ids: IdType | None
    compression: Compression | None
    chunk_samples: int
    revision: str

    def __post_init__(self) -> None:
        """Check every value, which may come from a file that anything has written."""
        for name in ("committed", "num_train", "num_val", "num_groups", "chunk_samples"):
            value, least = getattr(self, name), 0 if name == "committed" else 1
            if value is None and name == "num_groups":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise StoreFormatError(f"ltc.{name} must be an integer from {least}, got {value!r}")
        for name in ("train_ids", "val_ids"):
            if getattr(self, name) not in (None, *get_args(IdType)):
                raise StoreFormatError(
                    f"ltc.{name} must be null, int64 or string, got {getattr(self, name)!r}"
                )
        if self.compression not in (None, *get_args(Compression)):
            raise StoreFormatError(
                f"ltc.compression must be null or zstd, got {self.compression!r}"
            )
        if not isinstance(self.revision, str):
            raise StoreFormatError(f"ltc.revision must be a string, got {self.revision!r}")

    def size(self, split: str) -> int:
        """Return the number of samples of ``"train"`` or ``"val"``."""
        return self.num_train if split == "train" else self.num_val

    def ids(self, split: str) -> IdType | None:
        """Return the type of the ids of ``"train"`` or ``"val"``."""
        return self.train_ids if split == "train" else self.val_ids

    def with_committed(self, committed: int) -> Header:
        """Return the same header with another number of checkpoints."""
        return replace(self, committed=committed)

    def to_attribute(self) -> Document:
        """Return the JSON value of the attribute ``ltc``."""
        return {"format": FORMAT, "dtype": "float16", **vars(self)}

    @classmethod
    def from_attribute(cls, value: object) -> Header:
        """Check the JSON value of the attribute ``ltc``.

        Raises
        ------
        StoreFormatError
            It isn't one, or belongs to a newer format.
        """
        if not isinstance(value, dict):
            raise StoreFormatError(f"ltc must be an object, got {value!r}")
        version = value.get("format")
        if not isinstance(version, int) or version < 1:
            raise StoreFormatError(f"ltc.format must be an integer from 1, got {version!r}")
        if version > FORMAT:
            raise StoreFormatError(
                f"format {version} is newer than this version of ltc reads (up to {FORMAT}); "
                "install a newer ltc"
            )
        if value.get("dtype") != "float16":
            raise StoreFormatError(f"ltc.dtype must be float16, got {value.get('dtype')!r}")
        missing = [name for name in cls.__dataclass_fields__ if name not in value]
        if missing:
            raise StoreFormatError(f"the attribute ltc lacks {', '.join(missing)}")
        return cls(**{name: value[name] for name in cls.__dataclass_fields__})


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
    return {path: _group({}) for path in (*SPLITS, "commits", "scores")}


def root_document(header: Header, others: Document | None = None) -> Document:
    """Return the metadata of the root group.

    Parameters
    ----------
    header : Header
        The attribute ``ltc``.
    others : dict, optional
        The root's other attributes, which are kept.
    """
    return _group({**(others or {}), "ltc": header.to_attribute()})


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
    except ValueError as error:
        raise StoreFormatError(f"{place}: {ROOT} is not JSON ({error})") from error
    if not isinstance(document, dict) or document.get("zarr_format") != 3:
        raise StoreFormatError(f"{place}: {ROOT} is not Zarr v3 metadata")
    if document.get("node_type") != node_type:
        raise StoreFormatError(
            f"{place}: must be a Zarr {node_type}, got {document.get('node_type')!r}"
        )
    return document


def _group(attributes: Document) -> Document:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


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
