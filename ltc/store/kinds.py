"""What the losses of a split are, checkpoint by checkpoint: hard-label cross-entropy or whatever.

A store keeps it in its one attribute, as runs of equal checkpoints, so that it is committed with
the number of checkpoints. A store that says nothing, as earlier ones do, knows nothing.
"""

from __future__ import annotations

from itertools import chain, groupby, repeat
from typing import TYPE_CHECKING, Final, TypeAlias

from ltc.errors import ArgumentValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["CROSS_ENTROPY", "GIVEN", "LOSSES", "UNKNOWN", "Runs", "claimed_loss", "common_loss"]

UNKNOWN: Final = "unknown"
GIVEN: Final = "given"
CROSS_ENTROPY: Final = "cross-entropy"
LOSSES: Final = (UNKNOWN, GIVEN, CROSS_ENTROPY)
"""Nothing is known; given by the user, who did not say what they are; hard-label cross-entropy."""

Runs: TypeAlias = tuple[tuple[str, int], ...]
"""One of `LOSSES`, and how many checkpoints in a row have it."""


def claimed_loss(loss: object, otherwise: str = UNKNOWN) -> str:
    """Return what losses are that come as numbers: what the user says of them, if anything.

    Raises
    ------
    ArgumentValueError
        Neither None nor ``"cross-entropy"``.
    """
    if loss is None:
        return otherwise
    if loss != CROSS_ENTROPY:
        raise ArgumentValueError(f"loss must be {CROSS_ENTROPY!r} or None, got {loss!r}")
    return CROSS_ENTROPY


def common_loss(losses: Iterable[str | None]) -> str | None:
    """Return what losses are that are put together; None where there are none.

    Examples
    --------
    >>> common_loss([None, "cross-entropy"]), common_loss(["cross-entropy", "given"])
    ('cross-entropy', 'given')
    """
    found = {loss for loss in losses if loss is not None}
    # Of several kinds, the one that promises least.
    return min(found, key=LOSSES.index, default=None)


def to_runs(losses: Sequence[str]) -> Runs | None:
    """Return runs of equal checkpoints, None where nothing is known of any.

    Examples
    --------
    >>> to_runs(["given", "given", "unknown"]), to_runs(["unknown"])
    ((('given', 2), ('unknown', 1)), None)
    """
    if set(losses) <= {UNKNOWN}:
        return None
    return tuple((loss, len(list(same))) for loss, same in groupby(losses))


def from_runs(runs: Runs | None, committed: int) -> list[str]:
    """Return what the losses of each checkpoint are.

    Examples
    --------
    >>> from_runs((("given", 2), ("unknown", 1)), 3), from_runs(None, 1)
    (['given', 'given', 'unknown'], ['unknown'])
    """
    if runs is None:
        return [UNKNOWN] * committed
    return list(chain.from_iterable(repeat(loss, count) for loss, count in runs))
