"""What a batch, and what a model made of it, hold: the index, the targets, the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ltc.errors import ArgumentTypeError

__all__ = ["index_of", "losses_of", "targets_of"]

INDEX: Final = "index"
TARGETS: Final = ("targets", "target", "labels", "label")


def index_of(batch: Any) -> Any:
    """Return the indices that :class:`ltc.IndexedDataset` has put into a batch.

    Raises
    ------
    ArgumentTypeError
        There are none.

    Examples
    --------
    >>> index_of(("inputs", "targets", [4, 2])), index_of({"x": "inputs", "index": [4, 2]})
    ([4, 2], [4, 2])
    """
    if isinstance(batch, Mapping) and INDEX in batch:
        return batch[INDEX]
    if isinstance(batch, tuple | list) and len(batch) >= 2:
        return batch[-1]
    raise ArgumentTypeError(
        "a batch must end with the indices of its samples or have them under the key 'index', as "
        f"batches of an IndexedDataset do, got {_describe(batch)}"
    )


def targets_of(batch: Any) -> Any:
    """Return the targets of a batch: the second of ``(inputs, targets, index)``, or by their name.

    Raises
    ------
    ArgumentTypeError
        There are none.
    """
    if isinstance(batch, Mapping):
        for name in TARGETS:
            if name in batch:
                return batch[name]
    elif isinstance(batch, tuple | list) and len(batch) == 3:
        return batch[1]
    raise ArgumentTypeError(
        "a batch must be (inputs, targets, index) or have its targets under one of the keys "
        f"{', '.join(TARGETS)}, got {_describe(batch)}"
    )


def losses_of(outputs: Any, batch: Any) -> dict[str, Any]:
    """Return the arguments of :meth:`ltc.Recorder.update` that a step's outputs tell.

    Parameters
    ----------
    outputs : mapping
        With the key ``"losses"``, one per sample; or ``"logits"``, and ``"targets"`` where those of
        the batch aren't meant.
    batch : mapping, tuple or list
        What the outputs were made from.

    Raises
    ------
    ArgumentTypeError
        Neither is there.

    Examples
    --------
    >>> losses_of({"loss": 0.5, "losses": [0.4, 0.6]}, ("inputs", "targets", [4, 2]))
    {'losses': [0.4, 0.6]}
    >>> losses_of({"logits": "logits"}, ("inputs", "targets", [4, 2]))
    {'logits': 'logits', 'targets': 'targets'}
    """
    if isinstance(outputs, Mapping):
        if "losses" in outputs:
            return {"losses": outputs["losses"]}
        if "logits" in outputs:
            targets = outputs["targets"] if "targets" in outputs else targets_of(batch)
            return {"logits": outputs["logits"], "targets": targets}
    raise ArgumentTypeError(
        "a step must return a dict with 'losses', one per sample, or 'logits', beside the loss "
        f"that it minimises, which is a mean over samples; got {_describe(outputs)}"
    )


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with the keys {', '.join(map(str, value))}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
