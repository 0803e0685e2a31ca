"""Sums that keep what each addition loses (Kahan 1965), for Numba kernels only."""

from typing import Any

from numba import njit


@njit(inline="always")
def add(total: Any, part: Any, lost: Any) -> Any:
    """Add ``part``, and what the last addition lost, to ``total``; return what this one loses."""
    more = part - lost
    new = total + more
    return new, (new - total) - more
