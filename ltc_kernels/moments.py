"""Running moments of references: what an online score needs to know of the validation side."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ltc_kernels.algebra import CONSTANT_TOLERANCE, MINIMUM_VALUES, Signal, signal_length

Values = NDArray[np.float64]

# A sample's own mean of its reference is known to 2^-33 of the largest value; a spread around it
# below four times that is rounding.
REFERENCE_TOLERANCE: Final = 2.0**-31


@dataclass(frozen=True)
class ReferenceMoments:
    """Mean and variance of each group's reference signal so far, in float64.

    Attributes
    ----------
    signal : {"loss", "difference"}
        What is correlated.
    checkpoints : int
        How many have been seen.
    last : ndarray of float64, shape (C,)
        Reference at the last of them; NaN where missing.
    largest : ndarray of float64, shape (C,)
        Largest magnitude so far, the scale that rounding is measured by.
    counts : ndarray of float64, shape (C,)
        Signal values so far.
    means, squares : ndarray of float64, shape (C,)
        Mean of those, and the sum of their squared deviations from it.
    """

    signal: Signal
    checkpoints: int
    last: Values
    largest: Values
    counts: Values
    means: Values
    squares: Values

    @classmethod
    def start(cls, num_groups: int, signal: Signal) -> "ReferenceMoments":
        """Moments of no checkpoint at all."""
        zeros = np.zeros(num_groups)
        return cls(signal, 0, np.full(num_groups, np.nan), zeros, zeros, zeros, zeros)

    @property
    def terms(self) -> int:
        """Signal values of a trajectory without a gap."""
        return signal_length(self.checkpoints, self.signal)

    @property
    def complete(self) -> bool:
        """Whether each reference has either all signal values or none."""
        return bool(np.all((self.counts == 0) | (self.counts == self.terms)))

    @property
    def defined(self) -> NDArray[np.bool_]:
        """Which references have at least three signal values, and not all the same."""
        limit = CONSTANT_TOLERANCE * self.largest * np.sqrt(self.counts)
        return (self.counts >= MINIMUM_VALUES) & (np.sqrt(self.squares) > limit)

    def step(self, values: NDArray[Any]) -> "ReferenceStep":
        """Add a checkpoint.

        Parameters
        ----------
        values : ndarray of floats, shape (C,)
            Reference of each group there; anything that isn't finite is missing.

        Examples
        --------
        >>> moments = ReferenceMoments.start(2, "loss")
        >>> for values in ([3.0, np.nan], [1.0, 5.0]):
        ...     moments = moments.step(np.array(values)).after
        >>> moments.means, moments.squares, moments.complete
        (array([2., 5.]), array([2., 0.]), False)
        """
        values = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
        terms = values - self.last if self.signal == "difference" else values
        present = np.isfinite(terms)
        counts = self.counts + present
        deviations = np.where(present, terms - self.means, 0.0)
        means = self.means + deviations / np.maximum(counts, 1)
        after = ReferenceMoments(
            self.signal,
            self.checkpoints + 1,
            values,
            np.fmax(self.largest, np.abs(values)),
            counts,
            means,
            self.squares + deviations * np.where(present, terms - means, 0.0),
        )
        return ReferenceStep(self, after, terms)


@dataclass(frozen=True)
class ReferenceStep:
    """One checkpoint of the references: the moments before and after it, and its signal values.

    One step serves every part of the samples, as `PreparedReferences` does for whole trajectories.

    Attributes
    ----------
    before, after : ReferenceMoments
        Without the checkpoint, and with it.
    terms : ndarray of float64, shape (C,)
        The signal value that it adds; NaN where missing.
    """

    before: ReferenceMoments
    after: ReferenceMoments
    terms: Values
