"""The one attribute of a store: its sizes, and the number of commits that everything rests on."""

from __future__ import annotations

import json
import uuid
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ltc.errors import StoreFormatError
from ltc.store.kinds import LOSSES, Runs, from_runs, to_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FORMAT", "Compression", "Header", "IdType", "new_revision"]

FORMAT: Final = 1
_CHECKSUM: Final = "crc32"  # stores of earlier versions have none
_RUNS: Final = ("train_loss", "val_loss")
_OPTIONAL: Final = ("writer", *_RUNS)  # not there where they are None

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
    train_loss, val_loss : tuple of (str, int) or None
        What the losses are, see :mod:`ltc.store.kinds`; None where nothing is known.
    writer : str or None
        On an object store the writer that has it, see :mod:`ltc.store.objects`; None elsewhere.
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
    train_loss: Runs | None = None
    val_loss: Runs | None = None
    writer: str | None = None

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
        for name in _RUNS:
            _check_runs(name, getattr(self, name), self.committed)
        if not isinstance(self.revision, str):
            raise StoreFormatError(f"ltc.revision must be a string, got {self.revision!r}")
        if not isinstance(self.writer, str | None):
            raise StoreFormatError(f"ltc.writer must be a string, got {self.writer!r}")

    def size(self, split: str) -> int:
        """Return the number of samples of ``"train"`` or ``"val"``."""
        return self.num_train if split == "train" else self.num_val

    def ids(self, split: str) -> IdType | None:
        """Return the type of the ids of ``"train"`` or ``"val"``."""
        return self.train_ids if split == "train" else self.val_ids

    def losses(self, split: str) -> list[str]:
        """Return what the losses of ``"train"`` or ``"val"`` are at each checkpoint."""
        runs = self.train_loss if split == "train" else self.val_loss
        return from_runs(runs, self.committed)

    def with_committed(self, train: Sequence[str], val: Sequence[str]) -> Header:
        """Return the same header with other checkpoints, given what their losses are."""
        return replace(self, committed=len(train), train_loss=to_runs(train), val_loss=to_runs(val))

    def rewound(self, committed: int) -> Header:
        """Return the same header with fewer checkpoints, or as many, and another history."""
        kept = (self.losses(split)[:committed] for split in ("train", "val"))
        return replace(self.with_committed(*kept), revision=new_revision())

    def to_attribute(self) -> dict[str, Any]:
        """Return the JSON value of the attribute ``ltc``."""
        values = {"format": FORMAT, "dtype": "float16", **vars(self)}
        for name in _OPTIONAL:
            if values[name] is None:
                del values[name]
        return {**values, _CHECKSUM: _checksum(values)}

    @classmethod
    def from_attribute(cls, value: object) -> Header:
        """Check the JSON value of the attribute ``ltc``.

        Raises
        ------
        StoreFormatError
            It isn't one, was changed, or belongs to a newer format.
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
        names = cls.__dataclass_fields__.keys()
        missing = [name for name in names if name not in value and name not in _OPTIONAL]
        if missing:
            raise StoreFormatError(f"the attribute ltc lacks {', '.join(missing)}")
        known = {name: value[name] for name in names if name in value}
        for name in _RUNS:
            known[name] = _as_runs(known.get(name))
        header = cls(**known)
        if value.get(_CHECKSUM, _checksum(value)) != _checksum(value):
            raise StoreFormatError(
                "the attribute ltc was changed after it was written (its checksum differs)"
            )
        return header


def _as_runs(value: Any) -> Any:
    """Return a list of lists, which JSON makes of runs, as tuples; anything else as it is."""
    if not isinstance(value, list):
        return value
    return tuple(tuple(each) if isinstance(each, list) else each for each in value)


def _check_runs(name: str, runs: object, committed: int) -> None:
    if runs is None:
        return
    pairs = runs if isinstance(runs, tuple) else ()
    for pair in pairs:
        well = isinstance(pair, tuple) and len(pair) == 2 and type(pair[1]) is int
        if not (well and pair[0] in LOSSES and pair[1] > 0):
            raise StoreFormatError(
                f"ltc.{name} must hold pairs of one of {', '.join(LOSSES)} and a number of "
                f"checkpoints, got {pair!r}"
            )
    if not pairs or sum(count for _, count in pairs) != committed:
        raise StoreFormatError(f"ltc.{name} must tell of all {committed} checkpoints, got {runs!r}")


def new_revision() -> str:
    """Return a name that no other history of commits has."""
    return uuid.uuid4().hex


def _checksum(values: dict[str, Any]) -> int:
    """CRC-32 of an attribute without its checksum, whatever the order and the spaces in a file."""
    rest = {name: value for name, value in values.items() if name != _CHECKSUM}
    return zlib.crc32(json.dumps(rest, sort_keys=True).encode())
