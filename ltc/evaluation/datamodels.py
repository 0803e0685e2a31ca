"""Whether scores between pairs foretell what training on a subset does to a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ltc.errors import ArgumentValueError
from ltc.evaluation.agreement import spearman
from ltc.evaluation.arrays import marks, numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_FEWEST = 3  # Spearman's correlation of two subsets is 1 or -1, whatever the scores


def lds(scores: ArrayLike, subsets: ArrayLike, outputs: ArrayLike) -> NDArray[np.float64]:
    r"""Return the linear datamodeling score of each query.

    Models are trained on S subsets of the training samples, and each is asked about Q queries.
    Scores are good if the sum over a subset of a query's scores orders the subsets as the models'
    outputs do: for query q with scores :math:`\tau_q` and outputs :math:`f_q`, it is Spearman's
    correlation over the subsets :math:`S_j` of :math:`f_q(S_j)` and
    :math:`\sum_{i \in S_j} \tau_{q,i}` (Park et al., TRAK: Attributing Model Behavior at Scale,
    ICML 2023, arXiv 2303.14186, definition 2.3).

    Parameters
    ----------
    scores : numbers [Q, N]
        Of every training sample for every query, higher where the sample is to raise the output.
        ``ltc.correlation(run, queries, samples)`` is of this shape. An undefined one, NaN, counts
        as the mean of its query's defined scores.
    subsets : bool [S, N]
        Which training samples each model was trained on.
    outputs : numbers [S, Q]
        What each model says of each query: a margin or a log-probability of its right class, or a
        loss with its sign changed. A NaN leaves this subset out for this query. Where several
        models were trained on one subset, their mean.

    Returns
    -------
    float64 [Q]
        In -1..1, where 0 is chance. NaN where fewer than three subsets have an output, where all
        outputs or all sums are the same, or where a query has no defined score.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        Arrays of other types or of shapes that don't fit each other; an infinite score.

    Examples
    --------
    Outputs that are such sums:

    >>> from ltc import evaluation
    >>> rng = np.random.default_rng(0)
    >>> scores, subsets = rng.normal(size=(2, 40)), rng.random((30, 40)) < 0.5
    >>> outputs = subsets @ scores.T
    >>> evaluation.lds(scores, subsets, outputs)
    array([1., 1.])
    >>> evaluation.lds(scores, subsets, -outputs)
    array([-1., -1.])
    """
    taken = marks("subsets", subsets, ("subset", "sample"))
    tau = numbers("scores", scores, ("query", "sample"))
    found = numbers("outputs", outputs, ("subset", "query"))
    if tau.shape[1] != taken.shape[1]:
        raise ArgumentValueError(
            f"scores must have shape [query, sample] with the {taken.shape[1]:,} samples of "
            f"subsets, got shape {tau.shape}"
        )
    if found.shape != (len(taken), len(tau)):
        raise ArgumentValueError(
            f"outputs must have shape [subset, query], {(len(taken), len(tau))}, "
            f"got shape {found.shape}"
        )
    if np.isinf(tau).any():
        raise ArgumentValueError("scores must be finite, or NaN where undefined, got inf")
    sums = _sums(taken.astype(np.float64), _filled(tau))
    return np.array([_agreement(sums[:, q], found[:, q]) for q in range(len(tau))], np.float64)


def _agreement(sums: NDArray[np.float64], outputs: NDArray[np.float64]) -> float:
    defined = ~(np.isnan(outputs) | np.isnan(sums))
    if np.count_nonzero(defined) < _FEWEST:
        return float("nan")
    return spearman(sums[defined], outputs[defined])


def _sums(taken: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of a query's scores over each subset, [S, Q]; equal sums are the same bits.

    In which order a product of matrices adds depends on the place, so that its rounding would order
    subsets whose sums are equal. Here nothing is rounded but the scores themselves: to multiples of
    a step by which all sums are whole numbers below 2^53, and what that leaves of each score once
    more, for what is small beside the largest.
    """
    bits = 53 - int(scores.shape[1]).bit_length()
    sums = np.zeros((len(taken), len(scores)))
    for _ in range(2):
        largest = np.frexp(np.abs(scores).max(axis=1, initial=0.0))[1]
        exponents = (bits - largest)[:, None]
        multiples = np.rint(np.ldexp(scores, exponents))
        sums += np.ldexp(taken @ multiples.T, -exponents.T)
        scores = scores - np.ldexp(multiples, -exponents)
    return sums


def _filled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put the mean of its query for each undefined score, in place; it stays NaN without any."""
    undefined = np.isnan(scores)
    counts = np.count_nonzero(~undefined, axis=1)
    sums = np.where(undefined, 0.0, scores).sum(axis=1)
    means = np.divide(sums, counts, out=np.full(len(scores), np.nan), where=counts > 0)
    np.copyto(scores, means[:, None], where=undefined)
    return scores
