"""What a recorder is made with, and what of it must be the same in all processes."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.store.samples import Samples, to_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BLOCK: Final = 65536  # strings that are looked at together

Description: TypeAlias = dict[str, int | None]
"""Sizes, and checksums of labels and ids, by the names of the arguments."""


def split_size(split: str, size: int | None, labels: Any) -> int:
    """Return the number of samples that is given, else the number of labels.

    Raises
    ------
    ArgumentTypeError
        Neither is given.
    """
    if size is not None:
        return size
    if labels is None:
        raise ArgumentTypeError(f"{split}_labels or num_{split} must be given")
    shape = to_numpy(labels).shape
    return shape[0] if shape else 1  # the writer refuses labels that are not one-dimensional


def describe(arguments: dict[str, Any]) -> Description:
    """Return what must be the same in all processes, small enough to be sent.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        Sizes, labels or ids are not as they must be.
    """
    description: Description = {}
    for split in ("train", "val"):
        size, labels, ids = (arguments[name] for name in _names(split))
        samples = Samples.check(split, size, labels, ids)
        values = (samples.size, _checksum(samples.labels), _checksum(samples.ids))
        description.update(zip(_names(split), values, strict=True))
    return description


def check_same(descriptions: Sequence[Description]) -> None:
    """Check that all processes were given the same samples, in the same order.

    Raises
    ------
    ArgumentValueError
        They were not: an index would mean one sample here and another there.
    """
    first = descriptions[0]
    for rank, description in enumerate(descriptions):
        for name, value in description.items():
            if value != first[name]:
                got = ": they differ between rank 0 and"
                if name.startswith("num_"):
                    got = f", got {first[name]} on rank 0 and {value} on"
                raise ArgumentValueError(
                    f"{name} must be the same in every process{got} rank {rank}"
                )


def _names(split: str) -> tuple[str, str, str]:
    return f"num_{split}", f"{split}_labels", f"{split}_ids"


def _checksum(values: NDArray[Any] | None) -> int | None:
    if values is None:
        return None
    if values.dtype.kind == "i":
        return zlib.crc32(values.tobytes())
    checksum = 0
    for start in range(0, values.size, _BLOCK):
        text = "\0".join(values[start : start + _BLOCK].tolist())
        checksum = zlib.crc32(text.encode(errors="surrogatepass"), checksum)
    return checksum
