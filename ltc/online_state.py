"""What an `OnlineScorer` knows, as a flat dictionary of plain values and arrays, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import ArgumentValueError
from ltc.store.samples import to_numpy
from ltc_kernels import OnlineState, ReferenceMoments
from ltc_kernels.online import fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ltc_kernels.algebra import Signal

__all__ = ["Progress", "pack", "unpack"]

_MOMENTS: Final = ("last", "largest", "counts", "means", "squares")


@dataclass
class Progress:
    """Which checkpoints there were.

    Attributes
    ----------
    checkpoints : int
        Updates so far.
    used, left_out : list of int
        Positions of those that count, and of those that a split has no observation of.
    missing_train, missing_val : int
        Losses that were missing where the other split had some.
    interrupted : bool
        An update has begun and not ended.
    """

    checkpoints: int = 0
    used: list[int] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    missing_train: int = 0
    missing_val: int = 0
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the entries of a state."""
        return {
            "used": np.array(self.used, np.int64),
            "left_out": np.array(self.left_out, np.int64),
            "missing": np.array([self.missing_train, self.missing_val], np.int64),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Progress:
        """Check the entries of a state.

        Raises
        ------
        ArgumentValueError
            They are missing or contradict each other.
        """
        used, left_out = (
            _entry(state, name, np.dtype(np.int64), None).tolist() for name in ("used", "left_out")
        )
        missing = _entry(state, "missing", np.dtype(np.int64), (2,)).tolist()
        if sorted(used + left_out) != list(range(len(used) + len(left_out))):
            raise ArgumentValueError(
                f"state must name each checkpoint once, got used {used} and left_out {left_out}"
            )
        return cls(len(used) + len(left_out), used, left_out, *missing)


def pack(states: Sequence[OnlineState]) -> dict[str, Any]:
    """Return the arrays of states that share their references, as copies."""
    references = states[0].references
    packed: dict[str, Any] = {
        f"references.{name}": getattr(references, name).copy() for name in _MOMENTS
    }
    for number, state in enumerate(states):
        packed[f"{number}.words"] = state.words.copy()
        packed[f"{number}.halves"] = state.halves.copy()
    return packed


def unpack(
    state: Mapping[str, Any],
    signal: Signal,
    num_groups: int,
    lengths: Sequence[int],
    checkpoints: int,
) -> list[OnlineState]:
    """Return states from the arrays of `pack`.

    Parameters
    ----------
    state : mapping
        With those arrays, or tensors.
    signal : {"loss", "difference"}
        What is correlated.
    num_groups : int
        C.
    lengths : sequence of int
        Samples of each state.
    checkpoints : int
        How many are in the moments.

    Raises
    ------
    ArgumentValueError
        An array is missing, or has another dtype or shape.
    """
    doubles = [
        _entry(state, f"references.{name}", np.dtype(np.float64), (num_groups,))
        for name in _MOMENTS
    ]
    references = ReferenceMoments(signal, checkpoints, *doubles)
    states = []
    for number, length in enumerate(lengths):
        words = _entry(state, f"{number}.words", np.dtype(np.float32), None)
        gaps = len(words) == fields(signal, gaps=True)[0]
        rows = fields(signal, gaps=gaps)
        _check_shape(f"{number}.words", words, (rows[0], length))
        halves = _entry(state, f"{number}.halves", np.dtype(np.uint16), (rows[1], length))
        states.append(OnlineState(references, gaps, words, halves))
    return states


def _entry(
    state: Mapping[str, Any], name: str, dtype: np.dtype[Any], shape: tuple[int, ...] | None
) -> NDArray[Any]:
    """Return a copy of an array, C-contiguous."""
    if name not in state:
        raise ArgumentValueError(f"state must have the entry {name!r}, and it is missing")
    array = np.array(to_numpy(state[name]), order="C")
    if array.dtype != dtype:
        raise ArgumentValueError(f"state[{name!r}] must be {dtype}, got {array.dtype}")
    if shape is not None:
        _check_shape(name, array, shape)
    return array


def _check_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ArgumentValueError(f"state[{name!r}] must have shape {shape}, got {array.shape}")
