"""A recorder's state in the folder of a checkpoint of the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ltc.errors import ArgumentValueError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from ltc.recorder import Recorder

__all__ = ["load_state", "save_state"]

FILE: Final = "ltc_recorder.pt"


def save_state(recorder: Recorder, folder: str | os.PathLike[str]) -> None:
    """Save the losses that aren't committed yet; of several processes all call this.

    Rank 0 writes them, whole or not at all.
    """
    import torch

    recorder.consolidate()
    state = recorder.state_dict()
    if state["rank"] == 0:
        target = Path(folder) / FILE
        part = target.with_suffix(".part")
        torch.save(state, part)
        part.replace(target)


def load_state(recorder: Recorder, folder: str | os.PathLike[str]) -> None:
    """Go on where a run was when the state was saved; of several processes all call this.

    Commits that were made later are dropped. A process that doesn't have the file may be among
    others that do.

    Raises
    ------
    ArgumentValueError
        The only process there is doesn't have it, or of several none.
    """
    import torch

    file = Path(folder) / FILE
    states: list[Mapping[str, Any]] = []
    if file.exists():
        states.append(torch.load(file, map_location="cpu", weights_only=True))
    elif recorder.state_dict()["processes"] == 1:
        raise ArgumentValueError(
            f"folder must be of a checkpoint that was saved with a recorder, which has {FILE}, got "
            f"{folder}"
        )
    recorder.load_state_dict(states, rewind=True)
