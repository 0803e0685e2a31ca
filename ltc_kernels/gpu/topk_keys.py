"""Correlations and who they belong to, in one integer: what is larger comes first.

The upper half is the float32 in an order that integers have too, the lower half counts down what
the sample counts up: of equal correlations the lower index is the larger key, and no two keys are
equal. Zero has one sign.
"""

from typing import Any, Final

import torch
import triton
import triton.language as tl

NOTHING: Final = -2139095041 << 32  # keys that hold no sample: up to 2^32 above this, -inf
NEVER: Final = 2**63 - 1  # what no sample takes the place of
MOST_SAMPLES: Final = 2**32 - 1  # that a search tells apart


@triton.jit
def key_of(value, place):
    """Key of a correlation, finite, of the sample at ``place``, 0..2^32 - 1."""
    bits = value.to(tl.int32, bitcast=True)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.to(tl.int64) << 32) | (0xFFFFFFFF - place.to(tl.int64))


@triton.jit
def value_of(key):
    """The correlation in a key; -inf where there is none."""
    ordered = (key >> 32).to(tl.int32)
    return (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True)


@triton.jit
def place_of(key):
    """The sample in a key."""
    return 0xFFFFFFFF - (key & 0xFFFFFFFF)


def empty_keys(size: int, padded: int, device: Any) -> Any:
    """Keys of ``size`` places that are free, and of others that can't be taken; int64 [padded]."""
    keys = torch.arange(padded, device=device) + NOTHING
    keys[size:] = NEVER
    return keys


def split_keys(keys: Any) -> tuple[Any, Any]:
    """Correlations and places of keys; NaN and -1 where there are none.

    Examples
    --------
    >>> split_keys(empty_keys(2, 2, "cpu"))
    (tensor([nan, nan]), tensor([-1, -1]))
    """
    ordered = (keys >> 32).to(torch.int32)
    values = (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(torch.float32)
    nobody = values == -torch.inf
    places = MOST_SAMPLES - (keys & MOST_SAMPLES)
    return values.masked_fill(nobody, torch.nan), places.masked_fill(nobody, -1)
