"""The public kernel for scores of difficulty: arguments are checked here, once."""

import math
from collections.abc import Sequence
from typing import Any, Final

from ltc_kernels import reference_difficulty
from ltc_kernels.backends import as_numpy, choose
from ltc_kernels.checks import check_losses
from ltc_kernels.difficulty_kinds import FORGETTING, KINDS, WINDOWED
from ltc_kernels.errors import ArgumentTypeError, ArgumentValueError

RIGHT_BELOW: Final = math.log(2)
"""The loss of p = 1/2: below it, no other class has more."""
WINDOW: Final = 10


def difficulty(
    losses: Any,
    kinds: Sequence[str],
    *,
    window: int = WINDOW,
    certain: tuple[float, float] | None = None,
    backend: str = "auto",
) -> Any:
    """Scores of single trajectories that say how hard a sample is to learn; one pass for all kinds.

    What is missing is left out of a trajectory; T' of its T losses x remain, and p = exp(-x).
    `ltc.difficulty` tells where each kind comes from.

    Parameters
    ----------
    losses : array of float16 or float32, shape (T, N)
        Trajectories, checkpoint-major; not finite means missing. NumPy array, or torch tensor on
        the CPU.
    kinds : sequence of str
        Any of

        - ``"mean-loss"``, ``"final-loss"``, ``"least-loss"``: of x, the last and the smallest;
          ``"cumulative-loss"``: T times the mean, which is the sum where nothing is missing;
        - ``"confidence"``, ``"variability"``: mean and population standard deviation of p;
        - ``"dyn-unc"``: the mean over all windows of consecutive values of p of their standard
          deviation, with ``window - 1`` degrees of freedom; ``"dual"``: of that times one minus
          their mean;
        - ``"forgetting-least"``, ``"forgetting-most"``: bounds of how often a right state is
          followed by a wrong one; T' for a sample that is never right.
    window : int
        Values in a window, at least 2.
    certain : pair of float
        A state is right for certain below the first loss, wrong above the second, and may be either
        between them; needed for forgetting.
    backend : {"auto", "reference", "cpu"}
        As in `group_correlation`; there is no form for a GPU.

    Returns
    -------
    array of float32, shape (K, N)
        One row for each of `kinds`. NaN where nothing was observed, fewer than 2 values for
        variability and forgetting, or fewer than `window` for those over windows; and, for all
        that is made of p, where a loss is negative. Within 1e-5 of the float64 definition, of that
        share of it where it is larger than one.

    Raises
    ------
    ArgumentValueError
        An unknown kind, a shape, a window or bounds that can't be.
    ArgumentTypeError
        A dtype or a type other than those above.
    BackendUnavailableError
        The array lies on a device that no backend here serves.

    Examples
    --------
    >>> losses = np.log([[4, 1], [2, 4], [1, 2]]).astype(np.float16)
    >>> difficulty(losses, ["confidence", "dyn-unc"], window=2).round(3)
    array([[0.583, 0.583],
           [0.265, 0.354]], dtype=float32)
    >>> bounds = ["forgetting-least", "forgetting-most"]
    >>> difficulty(losses, bounds, certain=(np.log(2), np.log(3)))
    array([[0., 1.],
           [0., 1.]], dtype=float32)
    """
    implementation = choose(backend, losses, served=("reference", "cpu"))
    array, restore = as_numpy(losses)
    array = check_losses("losses", array)
    names = check_kinds(kinds)
    size = check_window(window) if set(names) & set(WINDOWED) else 2
    bounds = _check_certain(certain) if set(names) & set(FORGETTING) else (0.0, 0.0)
    if implementation == "reference":
        return restore(reference_difficulty.difficulty(array, names, window=size, certain=bounds))
    from ltc_kernels.cpu.difficulty import difficulty as described

    return restore(described(array, names, size, bounds))


def check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the names of scores, each of them known."""
    names = tuple(kinds)
    for name in names:
        if name not in KINDS:
            raise ArgumentValueError(f"kinds must be of {', '.join(KINDS)}, got {name!r}")
    return names


def check_window(window: object) -> int:
    """Return the number of values in a window."""
    if isinstance(window, bool) or not hasattr(window, "__index__"):
        raise ArgumentTypeError(f"window must be an integer, got {window!r}")
    size = int(window.__index__())
    if size < 2:
        raise ArgumentValueError(f"window must be at least 2, got {size}")
    return size


def _check_certain(certain: object) -> tuple[float, float]:
    if not isinstance(certain, tuple | list) or len(certain) != 2:
        raise ArgumentTypeError(f"certain must be a pair of losses for forgetting, got {certain!r}")
    right, wrong = map(float, certain)
    if not 0 <= right <= wrong < math.inf:
        raise ArgumentValueError(f"certain must be two losses in ascending order, got {certain!r}")
    return right, wrong
