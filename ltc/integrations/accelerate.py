"""What a loop with accelerate saves and loads: the losses of a half-finished checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltc.integrations.states import load_state, save_state

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ltc.recorder import Recorder

__all__ = ["register"]


def register(accelerator: Accelerator, recorder: Recorder) -> None:
    """Let ``accelerator.save_state`` and ``load_state`` take a recorder's state along.

    The loop calls `update`, `evaluate` and `commit` as any other. The recorder is made after the
    accelerator, which starts the processes.

    Parameters
    ----------
    accelerator : accelerate.Accelerator
        Whose states are saved and loaded.
    recorder : ltc.Recorder
        That goes on with them: a state that is loaded replaces what is pending, and commits that
        were made later are dropped.

    Examples
    --------
    >>> import ltc
    >>> from accelerate import Accelerator
    >>> accelerator = Accelerator(cpu=True)
    >>> recorder = ltc.Recorder(directory / "accelerated.zarr", num_train=3, num_val=2)
    >>> register(accelerator, recorder)
    >>> recorder.close()
    """

    def save(models: list[Any], weights: list[Any], output_dir: str) -> None:
        save_state(recorder, output_dir)

    def load(models: list[Any], input_dir: str) -> None:
        load_state(recorder, input_dir)

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)
