"""Names from outside, as they fit into a plot or a sentence."""

from __future__ import annotations

from typing import Final

__all__ = ["isolated", "shortened"]

_FIRST_STRONG_ISOLATE: Final = "\N{FIRST STRONG ISOLATE}"
_POP_ISOLATE: Final = "\N{POP DIRECTIONAL ISOLATE}"


def shortened(name: str, letters: int) -> str:
    r"""Return a name on one line of at most so many letters, with an ellipsis if it was longer.

    Examples
    --------
    >>> shortened("a very long\nname", 8), shortened(" short ", 8)
    ('a very …', 'short')
    """
    line = " ".join(name.split())
    return line if len(line) <= letters else f"{line[: letters - 1]}\N{HORIZONTAL ELLIPSIS}"


def isolated(name: str) -> str:
    """Return a name that leaves the direction of the text around it as it is.

    Examples
    --------
    >>> len(isolated("abc"))
    5
    """
    return f"{_FIRST_STRONG_ISOLATE}{name}{_POP_ISOLATE}"
