"""Scores in a store: an array of its own for each name, replaced as a whole.

An array is several objects, which can't be replaced at once. So new scores are written elsewhere,
whole, and take the place of the old ones by a rename of the directory. A checksum over all values
tells a reader that opened the metadata of the ones and reads the chunks of the others.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    StoreCorruptError,
    StoreFormatError,
    StoreLockedError,
)
from ltc.store.encoding import Encoder, encode
from ltc.store.format import ROOT, parse_array, score_document, serialise
from ltc.store.pipeline import ArrayReader, read_bytes
from ltc.store.places import existing_header, locate

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from zarr.abc.store import Store as ZarrStore

    from ltc.store.header import Header
    from ltc.store.places import Objects, Place

__all__ = [
    "OWN",
    "SCORE_NAME",
    "SavedScores",
    "check_score_name",
    "json_values",
    "open_scores",
    "read_scores",
    "write_scores",
]

SCORE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
OWN: Final = "ltc"
"""The attribute with what is the store's own."""
PATIENCE: Final = 10.0  # seconds to wait for others that save scores


def write_scores(
    path: str | os.PathLike[str] | Place,
    name: str,
    values: NDArray[np.float32],
    attributes: Mapping[str, Any],
) -> None:
    """Save scores in a store, in place of any of that name.

    A recording into the same store may go on meanwhile.

    Parameters
    ----------
    path : str, os.PathLike or Place
        The store, on a local disk or at an ``s3://`` or ``gs://`` address.
    name : str
        Letters, digits, ``.``, ``_`` and ``-``, beginning with a letter or digit.
    values : float32 array [sample]
        One per training sample, NaN where undefined.
    attributes : mapping
        Whatever JSON can hold.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        An argument has a wrong type, shape or value.
    StoreNotFoundError, StoreFormatError
        There is no store with commits.
    StoreLockedError
        Another process has been saving scores in this store for ten seconds, as one does that has
        a cluster score; at an address, scores of this name.
    OSError
        The disk is full; scores of that name are as they were then. Or an address gave no answer;
        there are none of that name then.
    """
    place = locate(path, writing=True)
    header = existing_header(place)
    check_score_name(name)
    _check_values(values, header.num_train)
    checked = json_values(attributes)
    array = f"scores/{name}"
    objects = _locked(place, f"{array}/{ROOT}")
    try:
        own = {"crc32": _checksum(values), "revision": header.revision}
        if objects.owner is not None:
            own["writer"] = objects.owner
        document = score_document(header, {**checked, OWN: own})
        chunks = encode([(Encoder(array, document), values)])
        parts = {c.key.removeprefix(f"{array}/"): c.data.as_buffer_like() for c in chunks}
        objects.replace_all(array, {**parts, ROOT: serialise(document)})
    finally:
        objects.release()


def _locked(place: Place, switch: str) -> Objects:
    """Lock the scores; wait a while for others that save some, which takes them a moment.

    Several processes that score a run by different measures end at the same time easily, and what
    they have computed would be lost.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return place.lock("scores", switch, fsync=False)
        except StoreLockedError:
            if time.monotonic() >= until:
                raise
        time.sleep(0.02)


def open_scores(store: ZarrStore, name: str, header: Header) -> tuple[ArrayReader, dict[str, Any]]:
    """Return a reader for saved scores, and all of their attributes.

    Raises
    ------
    StoreFormatError
        There are none of that name, or they are something else.
    """
    path = f"scores/{name}"
    document = parse_array(read_bytes(store, f"{path}/{ROOT}"), path)
    attributes = document.get("attributes", {})
    if not isinstance(attributes.get(OWN), dict):
        raise StoreFormatError(f"{path}: not scores of ltc, the attribute {OWN} is missing")
    return ArrayReader(store, path, document, score_document(header, {})), attributes


class SavedScores:
    """Scores in a store, of which a range is read at a time.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Where.
    name : str
        Theirs.
    header : Header
        Of the store.

    Attributes
    ----------
    attributes : dict
        As given when they were saved.
    crc32 : int
        The checksum of all values, by which one save is told from the next.

    Raises
    ------
    StoreFormatError
        There are none of that name, or they are something else.
    """

    def __init__(self, store: ZarrStore, name: str, header: Header) -> None:
        self._store = store
        self._name = name
        self._header = header
        self._reader, attributes = open_scores(store, name, header)
        self.crc32: int = attributes[OWN]["crc32"]
        self.attributes = {key: value for key, value in attributes.items() if key != OWN}

    def read(self, samples: slice) -> NDArray[np.float32]:
        """Return the scores of a range of samples.

        Raises
        ------
        StoreCorruptError
            A chunk is lost or changed, or other scores have taken their place.
        """
        try:
            values: NDArray[np.float32] = self._reader.read_all(samples)
        except StoreCorruptError:
            self._check_there()  # which explains whatever is lost
            raise
        # A chunk that was read before this was still theirs: metadata go first, or all at once.
        self._check_there()
        return values

    def _check_there(self) -> None:
        try:
            _, attributes = open_scores(self._store, self._name, self._header)
            crc32 = attributes[OWN].get("crc32")
        except StoreFormatError:
            crc32 = None
        if crc32 != self.crc32:
            raise StoreCorruptError(
                f"{self._reader.path}: the scores were replaced since they were opened"
            )


def read_scores(
    store: ZarrStore, name: str, header: Header
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Return saved scores, float32 [sample], and the attributes given with them.

    Raises
    ------
    StoreFormatError
        There are none of that name, or they are something else.
    StoreCorruptError
        A chunk is lost or changed, or they are being replaced.
    """
    reader, attributes = open_scores(store, name, header)
    values: NDArray[np.float32] = reader.read_all()
    if _checksum(values) != attributes[OWN].get("crc32"):
        raise StoreCorruptError(
            f"{reader.path}: the values are not those that were saved, or are just being replaced"
        )
    return values, {key: value for key, value in attributes.items() if key != OWN}


def check_score_name(name: str) -> None:
    """Raise an error unless scores can have this name."""
    if not isinstance(name, str):
        raise ArgumentTypeError(f"name must be a str, got {type(name).__name__}")
    if not SCORE_NAME.fullmatch(name) or name == ROOT:
        raise ArgumentValueError(
            "name must consist of letters, digits, '.', '_' and '-', and begin with a letter or "
            f"digit, got {name!r}"
        )


def _check_values(values: NDArray[np.float32], size: int) -> None:
    if not isinstance(values, np.ndarray) or values.dtype != np.float32:
        kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise ArgumentTypeError(f"values must be a float32 array, got {kind}")
    if values.shape != (size,):
        raise ArgumentValueError(
            f"values must have one entry per training sample, shape ({size},), got {values.shape}"
        )


def json_values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of attributes, which JSON must be able to hold."""
    if OWN in attributes:
        raise ArgumentValueError(f"attributes must not contain {OWN!r}, which is the store's own")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(attributes), allow_nan=False))
    except TypeError as error:
        raise ArgumentTypeError(f"attributes must be what JSON can hold: {error}") from error
    except ValueError as error:
        raise ArgumentValueError(f"attributes must be what JSON can hold: {error}") from error
    return copy


def _checksum(values: NDArray[np.float32]) -> int:
    return zlib.crc32(np.ascontiguousarray(values, "<f4").data)
