"""Queries as one side of a product on tensor cores: unit signals, split in two parts.

Made once in float64, by the rules of `ltc_kernels.algebra`. Scaled by 2^14, a unit signal's values
stay in float16's range; the parts hold 22 bits of them, and the low one is a normal number down to
values of 2^-17.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch

from ltc_kernels.algebra import CONSTANT_TOLERANCE, MINIMUM_VALUES, Signal, signal_length
from ltc_kernels.gpu.pairs_plan import BLOCK_TERMS, QUERIES

SCALE_EXPONENT: Final = 14  # of the power of two that weights are multiplied by
FLOAT64_BYTES: Final = 64 * 2**20  # of what is prepared at once in float64, before its temporaries


@dataclass(frozen=True)
class Queries:
    """Validation samples as one side of a product.

    Attributes
    ----------
    signal : {"loss", "difference"}
        What is correlated.
    losses : tensor of float16 or float32, shape (T, M)
        Their trajectories.
    weights : tensor of float16, shape (2, M or more, S or more)
        High and low parts of the scaled unit signals, rows and columns filled up with zeros; NaN
        where not complete, or not defined.
    defined : tensor of bool, shape (M,)
        Whether a query can have a correlation at all.
    complete : tensor of bool, shape (M,)
        Whether its unit signal is there.
    """

    signal: Signal
    losses: Any
    weights: Any
    defined: Any
    complete: Any

    @property
    def size(self) -> int:
        """Number of queries."""
        return int(self.losses.shape[1])

    @property
    def num_terms(self) -> int:
        """Values of a signal."""
        return signal_length(len(self.losses), self.signal)


def prepare_queries(losses: Any, *, signal: Signal) -> Queries:
    """Make the weights of validation samples [T, M]."""
    num_checkpoints, num_queries = losses.shape
    length = signal_length(num_checkpoints, signal)
    shape = (2, _padded(num_queries, QUERIES), _padded(length, BLOCK_TERMS))
    weights = torch.zeros(shape, dtype=torch.float16, device=losses.device)
    defined = torch.zeros(num_queries, dtype=torch.bool, device=losses.device)
    complete = torch.zeros_like(defined)
    step = max(FLOAT64_BYTES // (8 * max(num_checkpoints, 1)), 1)
    for begin in range(0, num_queries, step):
        some = slice(begin, min(begin + step, num_queries))
        units, defined[some] = unit_signals(losses[:, some], signal=signal)
        complete[some] = ~torch.isnan(units).any(dim=0) & defined[some]
        scaled = units.T * 2.0**SCALE_EXPONENT
        high = scaled.to(torch.float16)
        weights[0, some, :length] = high
        weights[1, some, :length] = (scaled - high.to(torch.float64)).to(torch.float16)
    return Queries(signal, losses, weights, defined, complete)


def unit_signals(losses: Any, *, signal: Signal) -> tuple[Any, Any]:
    """Centred signals of unit norm, as `ltc_kernels.algebra.unit_signals` defines them.

    Parameters
    ----------
    losses : tensor of float16 or float32, shape (T, n)
        Anything that isn't finite is missing.
    signal : {"loss", "difference"}
        What is taken of each trajectory.

    Returns
    -------
    units : tensor of float64, shape (S, n)
        Columns of NaN where a value is missing or the signal doesn't vary.
    defined : tensor of bool, shape (n,)
        Whether at least three values are there, and not all the same.
    """
    trajectories = losses.to(torch.float64)
    values = torch.diff(trajectories, dim=0) if signal == "difference" else trajectories
    if not values.numel():
        return values, torch.zeros(losses.shape[1], dtype=torch.bool, device=losses.device)
    present = torch.isfinite(values)
    count = present.sum(dim=0)
    mean = torch.where(present, values, 0.0).sum(dim=0) / count.clamp(min=1)
    centred = torch.where(present, values - mean, 0.0)
    norm = centred.square().sum(dim=0).sqrt()
    largest = torch.where(torch.isfinite(trajectories), trajectories.abs(), 0.0).amax(dim=0)
    varies = norm > CONSTANT_TOLERANCE * largest * count.sqrt()
    defined = (count >= MINIMUM_VALUES) & varies
    usable = defined & (count == len(values))
    return torch.where(usable, centred / norm, torch.nan), defined


def _padded(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
