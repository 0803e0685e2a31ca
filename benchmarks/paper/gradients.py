"""What gradients say of training samples: dattri's attributors, as scores ``[query, sample]``.

dattri (Deng et al., dattri: A Library for Efficient Data Attribution, NeurIPS 2024) computes all of
them. Each is higher where a training sample is to help a query more.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

METHODS = ("gradient dot product", "gradient cosine", "TracIn", "TRAK")
BATCH = 1000  # samples whose gradients are in memory

State = dict[str, Tensor]


@dataclass(frozen=True)
class Weights:
    """What a training run leaves for these methods.

    Attributes
    ----------
    model : Module
        Of the architecture that was trained; its own weights don't matter.
    final : dict of Tensor
        The weights after training.
    passed : list of dict of Tensor
        Weights at some checkpoints on the way, for TracIn.
    rates : list of float
        The learning rate at each of those.
    """

    model: nn.Module
    final: State
    passed: list[State]
    rates: list[float]


def gradient_scores(
    method: str,
    weights: Weights,
    train: tuple[Tensor, Tensor],
    queries: tuple[Tensor, Tensor],
    *,
    projection: int,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Score every training sample for every query.

    Parameters
    ----------
    method : str
        One of `METHODS`. The first two take the gradients of the loss at the final weights. TracIn
        adds up dot products over checkpoints, each times its learning rate (Pruthi et al., 2020:
        TracInCP). TRAK takes gradients of the margin, projected at random (Park et al., 2023).
    weights : Weights
        Of one run.
    train, queries : pair of Tensor
        Inputs ``[n, ...]`` and classes ``[n]``.
    projection : int
        Directions that TRAK keeps of the parameters, below the number of training samples. Nothing
        else projects.
    seed : int
        Of TRAK's projection.

    Returns
    -------
    float32 [Q, N]
    """
    from_samples = _loader(train), _loader(queries)
    if method == "TRAK":
        found = _trak(weights, *from_samples, projection, seed)
    elif method == "TracIn":
        found = _dot_products(weights, weights.passed, weights.rates, *from_samples)
    elif method in METHODS:
        cosine = method == "gradient cosine"
        found = _dot_products(weights, [weights.final], [1.0], *from_samples, cosine=cosine)
    else:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    return np.ascontiguousarray(found.detach().numpy().T, dtype=np.float32)


def margin(logits: Tensor, targets: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of the right class, [n].

    As the right logit less the log of the sum over the others: exact where p rounds to 1.

    Examples
    --------
    >>> margin(torch.tensor([[0.0, 100.0, 0.0]]), torch.tensor([1])).item()
    99.30685424804688
    """
    # Not one_hot, which looks at values and so can't be mapped over samples.
    right = torch.arange(logits.shape[-1]) == targets[..., None]
    others = torch.logsumexp(logits.masked_fill(right, -torch.inf), dim=-1)
    return logits.gather(-1, targets[..., None]).squeeze(-1) - others


def _loader(samples: tuple[Tensor, Tensor]) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(*samples), batch_size=BATCH)


def _dot_products(
    weights: Weights,
    states: list[State],
    factors: list[float],
    train: DataLoader[tuple[Tensor, ...]],
    queries: DataLoader[tuple[Tensor, ...]],
    *,
    cosine: bool = False,
) -> Tensor:
    attribution = _dattri()
    attributor = attribution.TracInAttributor(
        attribution.AttributionTask(_of_sample(weights.model, _loss), weights.model, states),
        weight_list=torch.tensor(factors),
        normalized_grad=cosine,
        # Said in full: dattri keeps what an earlier call has said in its defaults.
        projector_kwargs={
            "proj_dim": 1,
            "proj_max_batch_size": 32,
            "proj_seed": 0,
            "proj_type": "identity",
            "device": "cpu",
        },
    )
    return attributor.attribute(train, queries)


def _trak(
    weights: Weights,
    train: DataLoader[tuple[Tensor, ...]],
    queries: DataLoader[tuple[Tensor, ...]],
    projection: int,
    seed: int,
) -> Tensor:
    attribution = _dattri()

    def probability(params: State, sample: tuple[Tensor, Tensor]) -> Tensor:
        return torch.exp(-_of_sample(weights.model, _loss)(params, sample))

    task = attribution.AttributionTask(
        _of_sample(weights.model, _margin), weights.model, [weights.final]
    )
    attributor = attribution.TRAKAttributor(
        task,
        probability,
        projector_kwargs={
            "proj_dim": projection,
            "proj_max_batch_size": 32,
            "proj_seed": seed,
            "proj_type": "normal",
            "device": "cpu",
        },
    )
    return attributor.attribute(queries, train)


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, targets)


def _margin(logits: Tensor, targets: Tensor) -> Tensor:
    return margin(logits, targets).squeeze(0)


def _of_sample(
    model: nn.Module, measure: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[State, tuple[Tensor, Tensor]], Tensor]:
    """Return a measure of one sample as a function of the weights."""

    def measured(params: State, sample: tuple[Tensor, Tensor]) -> Tensor:
        inputs, target = sample
        logits = torch.func.functional_call(model, params, inputs[None])
        return measure(logits, target[None])

    return measured


@dataclass(frozen=True)
class _Dattri:
    """The parts of dattri that are used."""

    AttributionTask: Any
    TracInAttributor: Any
    TRAKAttributor: Any


def _dattri() -> _Dattri:
    with warnings.catch_warnings():
        # It decorates a function with torch.compile, which loads deprecated parts of torch.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        from dattri.algorithm.tracin import TracInAttributor
        from dattri.algorithm.trak import TRAKAttributor
        from dattri.task import AttributionTask
    return _Dattri(AttributionTask, TracInAttributor, TRAKAttributor)
