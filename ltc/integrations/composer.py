"""A callback that records the losses of a Composer model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.core import Callback

from ltc.integrations.batches import index_of, targets_of
from ltc.integrations.deferred import DeferredRecorder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["LossRecorder"]


class LossRecorder(Callback):  # type: ignore[misc]  # Composer is not among what is type-checked
    """Record the losses of a fit: one checkpoint per epoch, with that epoch's evaluation.

    Batches come from :class:`ltc.IndexedDataset`, so that they are ``(inputs, targets, index)`` or
    have a key ``"index"``, and the model's ``forward`` and ``eval_forward`` return logits. It
    follows microbatches, so gradient accumulation makes no difference.

    Parameters
    ----------
    path : str or path
        The store.
    losses : callable, optional
        For all else: ``losses(outputs, batch)`` returns one loss per sample of a microbatch.
    evaluator : str
        Label of the evaluator that is the split ``"val"``.
    **arguments
        Those of :class:`ltc.Recorder`: ``train_labels``, ``val_labels``, ``resume`` and so on.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        losses: Callable[[Any, Any], Any] | None = None,
        evaluator: str = "eval",
        **arguments: Any,
    ) -> None:
        super().__init__()
        self._losses = DeferredRecorder(path, arguments)
        self._of_outputs = losses
        self._evaluator = evaluator
        self._fitting = False

    @property
    def recorder(self) -> Any:
        """The recorder, while the trainer fits."""
        return self._losses.recorder

    def fit_start(self, state: Any, logger: Any) -> None:
        """Open the store; the trainer's processes are there now."""
        self._losses.open()
        self._fitting = True

    def after_forward(self, state: Any, logger: Any) -> None:
        """Record the losses of a microbatch."""
        self._record("train", state, "training")

    def eval_start(self, state: Any, logger: Any) -> None:
        """Forget an earlier evaluation of this epoch."""
        if self._evaluates(state):
            self.recorder.drop("val")

    def eval_after_forward(self, state: Any, logger: Any) -> None:
        """Record the losses of a batch of the evaluation."""
        if self._evaluates(state):
            self._record("val", state, "evaluation")

    def epoch_checkpoint(self, state: Any, logger: Any) -> None:
        """Commit the epoch: by now it has been counted and evaluated."""
        self.recorder.commit(int(state.timestamp.epoch))

    def fit_end(self, state: Any, logger: Any) -> None:
        """Record no evaluation that comes later."""
        self._fitting = False

    def close(self, state: Any, logger: Any) -> None:
        """Release the store, also after an exception."""
        self._fitting = False
        self._losses.close()

    def state_dict(self) -> dict[str, Any]:
        """Return what is pending, for Composer's checkpoint; all processes call this."""
        return self._losses.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what was pending from Composer's checkpoint."""
        self._losses.load_state_dict(state)

    def _evaluates(self, state: Any) -> bool:
        return self._fitting and state.dataloader_label == self._evaluator

    def _record(self, split: str, state: Any, mode: str) -> None:
        if self._of_outputs is None:
            outputs = {"logits": state.outputs, "targets": targets_of(state.batch)}
        else:
            outputs = {"losses": self._of_outputs(state.outputs, state.batch)}
        self.recorder.update(split, index_of(state.batch), mode=mode, **outputs)
