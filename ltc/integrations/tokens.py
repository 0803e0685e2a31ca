"""One loss per sequence, from the losses of its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ltc.errors import ArgumentValueError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["REDUCTIONS", "Reduction", "sequence_losses"]

Reduction = Literal["mean", "sum"]
REDUCTIONS: Final[tuple[str, ...]] = get_args(Reduction)


def sequence_losses(
    logits: Any,
    targets: Any,
    *,
    reduction: str,
    shift: bool = False,
    ignore_index: int = -100,
) -> Tensor:
    """Reduce the cross-entropy of tokens to one loss per sequence.

    Parameters
    ----------
    logits : floating tensor [B, L, vocabulary]
        Output of the model, in any precision.
    targets : integer tensor [B, L]
        The token of each place; `ignore_index` where none counts.
    reduction : {"mean", "sum"}
        The mean over a sequence's tokens that count, which compares sequences of any length, or
        their sum: the negative logarithm of the sequence's probability.
    shift : bool
        Whether the logits of a place predict the next place's token, as those of causal language
        models do.
    ignore_index : int
        Marks places that don't count, padding among them.

    Returns
    -------
    float32 tensor [B]
        Detached; NaN, which is recorded as missing, for a sequence without a token that counts.

    Raises
    ------
    ArgumentValueError
        A shape or the reduction is none of those.

    Examples
    --------
    >>> import torch
    >>> logits = torch.zeros(2, 3, 4)  # every token has a probability of 1/4
    >>> targets = torch.tensor([[1, 2, 3], [1, -100, -100]])
    >>> sequence_losses(logits, targets, reduction="mean")
    tensor([1.3863, 1.3863])
    >>> sequence_losses(logits, targets, reduction="sum")
    tensor([4.1589, 1.3863])
    """
    import torch

    if reduction not in REDUCTIONS:
        raise ArgumentValueError(
            f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}"
        )
    if logits.ndim != 3 or targets.shape != logits.shape[:2]:
        raise ArgumentValueError(
            "logits must have shape [sequence, token, vocabulary] and targets the first two of "
            f"these, got {tuple(logits.shape)} and {tuple(targets.shape)}"
        )
    logits, targets = logits.detach(), targets.detach()
    if shift:
        logits, targets = logits[:, :-1], targets[:, 1:]
    losses = torch.nn.functional.cross_entropy(
        logits.float().transpose(1, 2), targets.long(), reduction="none", ignore_index=ignore_index
    )
    counted: Tensor = (targets != ignore_index).sum(1)
    sums: Tensor = losses.sum(1)
    if reduction == "mean":
        return sums / counted  # 0 / 0 is NaN
    return sums.masked_fill(counted == 0, torch.nan)
