"""A kernel on one input, beside what does the same in torch on the same input."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

OURS = "ltc"
EAGER = "torch, eager"
COMPILED = "torch.compile"
TOLERANCE = 1e-5  # of a correlation, against float64


@dataclass(frozen=True)
class Work:
    """One kernel on one input.

    Attributes
    ----------
    name, shape : str
        For the table.
    amount : float
        Bytes that have to be moved, or operations that have to be done, however it is done.
    ceiling : str
        What its rate is measured against, a key of the ceilings.
    calls : dict of str to callable
        Who does it; `OURS` comes first.
    check : callable
        Raises unless a result is right; takes a name and the result.
    """

    name: str
    shape: str
    amount: float
    ceiling: str
    calls: dict[str, Callable[[], Any]]
    check: Callable[[str, Any], None]


def close(name: str, actual: Tensor, expected: NDArray[Any], tolerance: float) -> None:
    """No timing of a wrong result."""
    found = actual.cpu().numpy()
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0, err_msg=name)
