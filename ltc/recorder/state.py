"""A half-finished checkpoint as a dictionary of plain values and tensors, and back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.recorder.buffers import GUARDS
from ltc.recorder.reports import common_mode
from ltc.recorder.splits import PENDING
from ltc.store.kinds import LOSSES, UNKNOWN, common_loss
from ltc.store.samples import to_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ltc.recorder.splits import SplitBuffer

_FORMAT: Final = 1


@dataclass(frozen=True)
class Origin:
    """Where a state comes from.

    Attributes
    ----------
    name : str
        Every state has its own.
    rank, processes : int
        Which process made it, and of how many.
    whole : bool
        The other processes had nothing that was not committed.
    pending : bool
        The state has losses.
    committed : int
        Number of checkpoints in the store.
    history : str
        What these were, see :class:`ltc.recorder.destination.Destination`.
    """

    name: str
    rank: int
    processes: int
    whole: bool
    pending: bool
    committed: int
    history: str


@dataclass(frozen=True)
class State:
    """What one process had recorded since the last commit.

    Attributes
    ----------
    origin : Origin
        Where it comes from.
    modes : dict of str to (str or None)
        One of :data:`ltc.recorder.splits.PENDING` for each split.
    losses : dict of str to (str or None)
        What the pending losses are, one of :data:`ltc.store.kinds.LOSSES`.
    words : dict of str to (float32 array [2, N + 3] or None)
        Sums and counts as in :mod:`ltc.recorder.buffers`; None where nothing is pending.
    """

    origin: Origin
    modes: dict[str, str | None]
    losses: dict[str, str | None]
    words: dict[str, NDArray[np.float32] | None]

    @classmethod
    def from_dict(cls, state: object, sizes: Mapping[str, int]) -> State:
        """Check the dictionary that :func:`to_dict` made.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            It isn't one, or is of a run with other samples.
        """
        if not isinstance(state, Mapping):
            raise ArgumentTypeError(
                f"state must be a mapping, from state_dict, got {type(state).__name__}"
            )
        if state.get("format") != _FORMAT:
            raise ArgumentValueError(
                f"state must be what state_dict returned, with format {_FORMAT}, got format "
                f"{state.get('format')!r}"
            )
        for split, size in sizes.items():
            if _entry(state, f"num_{split}", int) != size:
                raise ArgumentValueError(
                    f"state must be of a run with {size} {split} samples, got "
                    f"{state[f'num_{split}']}"
                )
        kinds = {"str": str, "int": int, "bool": bool}
        fields = Origin.__dataclass_fields__.items()
        origin = Origin(**{n: _entry(state, n, kinds[str(f.type)]) for n, f in fields})
        if not 0 <= origin.rank < origin.processes or origin.committed < 0:
            raise ArgumentValueError(
                f"state must be of a rank in 0..{origin.processes - 1} and after 0 checkpoints or "
                f"more, got rank {origin.rank} and {origin.committed} checkpoints"
            )
        modes = {split: _mode(state, f"{split}.mode") for split in sizes}
        words = {s: _words(state, f"{s}.words", n + GUARDS) for s, n in sizes.items()}
        losses = {split: _loss(state, f"{split}.loss") for split in sizes}
        return cls(origin, modes, losses, words)


def to_dict(
    splits: Mapping[str, SplitBuffer],
    *,
    rank: int,
    processes: int,
    whole: bool,
    committed: int,
    history: str,
) -> dict[str, Any]:
    """Return a copy of what is pending, with tensors on the CPU."""
    import torch

    pending = any(buffer.pending for buffer in splits.values())
    origin = Origin(uuid.uuid4().hex, rank, processes, whole, pending, committed, history)
    state: dict[str, Any] = {"format": _FORMAT, **asdict(origin)}
    for split, buffer in splits.items():
        state[f"num_{split}"] = buffer.size
        state[f"{split}.mode"] = buffer.mode
        state[f"{split}.loss"] = buffer.loss
        words = torch.from_numpy(buffer.words()) if buffer.pending else None
        state[f"{split}.words"] = words
    return state


def share_out(origins: Sequence[Sequence[Origin]]) -> tuple[Origin, dict[str, int]]:
    """Check that states make up one moment of a run, and decide which process takes which.

    Parameters
    ----------
    origins : sequence [rank] of sequences of Origin
        Of the states that each process was given. One that several were given counts once.

    Returns
    -------
    origin : Origin
        One of them.
    takers : dict of str to int
        The rank that takes each state, by the state's name.

    Raises
    ------
    ArgumentValueError
        There are none, they come from different moments, or some are missing.
    """
    takers: dict[str, int] = {}
    ranks: dict[int, str] = {}
    found = [(rank, origin) for rank, given in enumerate(origins) for origin in given]
    if not found:
        raise ArgumentValueError("state must be given to one process at least, got none")
    first = found[0][1]
    for taker, origin in found:
        if _moment(origin) != _moment(first):
            raise ArgumentValueError(
                "states must be of one moment of one run, got some after "
                f"{first.committed} checkpoints of {first.processes} processes and after "
                f"{origin.committed} of {origin.processes}"
                + ("" if origin.history == first.history else ", with other commits before")
            )
        if ranks.setdefault(origin.rank, origin.name) != origin.name:
            raise ArgumentValueError(
                f"states must be of one moment of one run, got two of rank {origin.rank}"
            )
        takers.setdefault(origin.name, taker)
    missing = sorted(set(range(first.processes)) - set(ranks))
    if missing and any(origin.pending and not origin.whole for _, origin in found):
        raise ArgumentValueError(
            f"states must be those of all {first.processes} processes that recorded the half-"
            f"finished checkpoint, got none of rank {', '.join(map(str, missing))}; give them all, "
            "in a list, or call consolidate before state_dict and save that of rank 0"
        )
    return first, takers


def restore(splits: Mapping[str, SplitBuffer], states: Sequence[State]) -> None:
    """Put what states have, one or several of them, in the place of what is pending."""
    states = sorted(states, key=lambda state: state.origin.rank)
    for split, buffer in splits.items():
        buffer.clear()
        mode = common_mode([state.modes[split] for state in states])
        for state in states:
            words = state.words[split]
            if words is not None and mode != "failed":
                buffer.restore(words)
        buffer.mode = mode
        if buffer.pending:
            buffer.loss = common_loss(state.losses[split] for state in states)


def _moment(origin: Origin) -> tuple[int, int, str]:
    return origin.processes, origin.committed, origin.history


def _entry(state: Mapping[str, Any], name: str, kind: type) -> Any:
    value = state.get(name)
    if type(value) is not kind:
        raise ArgumentTypeError(
            f"state[{name!r}] must be of type {kind.__name__}, got {type(value).__name__}"
        )
    return value


def _mode(state: Mapping[str, Any], name: str) -> str | None:
    mode: str | None = state.get(name, "missing")
    if mode not in PENDING:
        raise ArgumentValueError(f"state[{name!r}] must be one of {PENDING}, got {mode!r}")
    return mode


def _loss(state: Mapping[str, Any], name: str) -> str | None:
    loss: str | None = state.get(name, UNKNOWN)  # states of earlier versions don't say
    if loss not in (None, *LOSSES):
        raise ArgumentValueError(f"state[{name!r}] must be one of {LOSSES} or None, got {loss!r}")
    return loss


def _words(state: Mapping[str, Any], name: str, length: int) -> NDArray[np.float32] | None:
    value = state.get(name)
    if value is None:
        return None
    words = to_numpy(value)
    if words.dtype != np.float32 or words.shape != (2, length):
        raise ArgumentValueError(
            f"state[{name!r}] must be float32 of shape (2, {length}), got {words.dtype} of shape "
            f"{words.shape}"
        )
    return words
