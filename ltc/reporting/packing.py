"""Arrays and texts as a page holds them: deflated, in base64, and only as many as fit."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Budget", "pack", "pack_text", "packed_scores"]

_LEVEL: Final = 6
_WORTH_TRYING: Final = 8  # nothing that is packed here gets smaller by more


def pack(array: NDArray[Any]) -> str:
    r"""Return the bytes of an array, little-endian, deflated, in base64.

    Examples
    --------
    >>> zlib.decompress(base64.b64decode(pack(np.arange(3, dtype=np.uint16))))
    b'\x00\x00\x01\x00\x02\x00'
    """
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return _deflated(little.tobytes())


def pack_text(text: str) -> str:
    """Return a text as UTF-8, deflated, in base64; what UTF-8 can't hold is a question mark."""
    return _deflated(text.encode("utf-8", "replace"))


def packed_scores(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return scores in steps of 1/127, which is two digits: 128 for none; 0 where undefined.

    Examples
    --------
    >>> packed_scores(np.array([-1, 0, 1, np.nan], np.float32))
    array([  1, 128, 255,   0], dtype=uint8)
    """
    steps = np.rint(np.clip(values, -1, 1) * 127) + 128
    return np.where(np.isnan(values), 0, steps).astype(np.uint8)


class Budget:
    """Bytes that a page has left; what doesn't fit into them is left out.

    Parameters
    ----------
    size : int
        Bytes.
    """

    def __init__(self, size: int) -> None:
        self.left = size

    def spend(self, packed: str) -> str | None:
        """Return what was packed if it fits, and take it from what is left."""
        if len(packed) > self.left:
            return None
        self.left -= len(packed)
        return packed

    def pack(self, array: NDArray[Any]) -> str | None:
        """Pack an array, if it fits."""
        return self.spend(pack(array)) if array.nbytes <= _WORTH_TRYING * self.left else None

    def pack_strings(self, strings: NDArray[Any]) -> str | None:
        """Pack ids as a JSON list of texts, if it fits."""
        if strings.size > self.left:  # each takes more than a byte
            return None
        text = json.dumps(list(map(str, strings.tolist())), ensure_ascii=False)
        return self.spend(pack_text(text)) if len(text) <= _WORTH_TRYING * self.left else None


def _deflated(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, _LEVEL)).decode("ascii")
