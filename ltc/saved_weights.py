"""Weights that a run saved: which there are, and how a model gets them."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, Final, TypeAlias

from ltc.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["Saved", "load_weights", "numbered"]

Saved: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Callable[[], Any]
"""A file, what is in one, or a function that returns what is in one."""

NESTED: Final = ("state_dict", "model_state_dict", "model")
PREFIXES: Final = ("module.", "_orig_mod.")  # of DataParallel and its like, of torch.compile


def numbered(checkpoints: Any) -> dict[float, Saved]:
    """Return saved models by their numbers, ascending; in a sequence these are 0, 1, 2 and so on.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        There are none, or they are something else.
    """
    if isinstance(checkpoints, str | os.PathLike):
        raise ArgumentTypeError(
            "checkpoints must be a mapping of epochs to saved models, or a sequence of these, got "
            f"one path, {os.fspath(checkpoints)!r}"
        )
    if not isinstance(checkpoints, Mapping):
        checkpoints = dict(enumerate(checkpoints))
    for number, saved in checkpoints.items():
        if isinstance(number, bool) or not isinstance(number, Real) or not math.isfinite(number):
            raise ArgumentValueError(
                f"checkpoints must be numbered with finite numbers, got {number!r}"
            )
        if not (isinstance(saved, str | os.PathLike | Mapping) or callable(saved)):
            raise ArgumentTypeError(
                f"checkpoints[{number!r}] must be a path, a state dict or a function, got "
                f"{type(saved).__name__}"
            )
    if not checkpoints:
        raise ArgumentValueError("checkpoints must have at least one saved model, got none")
    return {float(number): checkpoints[number] for number in sorted(checkpoints)}


def load_weights(
    model: Any,
    number: float,
    saved: Saved,
    state_dict: Callable[[Any], Mapping[str, Any]] | None = None,
) -> None:
    """Give a model the weights that were saved at a checkpoint.

    Raises
    ------
    ArgumentValueError
        They are none, or another model's.
    OSError
        A file can't be read.
    """
    name = f"checkpoints[{number:g}]"
    found = _read(name, saved)
    state = state_dict(found) if state_dict is not None else _plain_state_dict(found, model)
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ArgumentValueError(f"{name} must fit the model: {reason}") from error


def _read(name: str, saved: Saved) -> Any:
    import torch

    if not isinstance(saved, str | os.PathLike):
        return saved() if callable(saved) else saved
    try:
        return torch.load(saved, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise ArgumentValueError(
            f"{name} must be a file of weights that torch.load(weights_only=True) reads, got "
            f"{os.fspath(saved)!r} ({reason}); if you trust it, give a function that loads it"
        ) from error


def _plain_state_dict(found: Any, model: Any) -> Any:
    """Return the state dict in what was saved, with the names of the model's parameters."""
    if isinstance(found, Mapping):
        nested = [key for key in NESTED if isinstance(found.get(key), Mapping)]
        found = found[nested[0]] if len(nested) == 1 else found
    while isinstance(found, Mapping) and not set(found) & set(model.state_dict()):
        prefix = next((each for each in PREFIXES if _all_begin_with(each, found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _all_begin_with(prefix: str, names: Mapping[str, Any]) -> bool:
    return bool(names) and all(name.startswith(prefix) for name in names)
