"""Drawing without replacement, with unequal chances, from the raw bits of a generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def waiting_times(log_weights: NDArray[np.float64], raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return when each is drawn: who has the lowest value is first.

    Each waits an exponentially distributed time at the rate of its weight. The order in which these
    times end is that of draws one after the other without replacement, with chances proportional to
    the weights of those that are left, and within any part it is a draw from that part (Efraimidis
    and Spirakis, Information Processing Letters 97, 2006).

    Parameters
    ----------
    log_weights : float64 [n]
        Logarithms, up to a common constant; -inf for no chance.
    raw : uint64 [n]
        Random bits. NumPy promises that those of a bit generator stay the same from version to
        version, but not what is made of them.

    Returns
    -------
    float64 [n]
        Logarithms of the times; inf where there is no chance.

    Examples
    --------
    >>> raw = np.array([2**62, 2**63, 2**62], np.uint64)
    >>> waiting_times(np.array([0.0, 0.0, -np.inf]), raw).round(2)
    array([ 0.33, -0.37,   inf])
    """
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # never 0 or 1
    return np.log(-np.log(uniform)) - log_weights
