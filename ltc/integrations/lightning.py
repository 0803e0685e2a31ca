"""A callback that records the losses of a Lightning module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from ltc.errors import ArgumentValueError
from ltc.integrations.deferred import DeferredRecorder

if TYPE_CHECKING:
    import os

    from lightning.pytorch import LightningModule, Trainer

    from ltc.recorder.passes import Step

__all__ = ["LossRecorder"]

MODES = ("training", "evaluation")


class LossRecorder(Callback):
    """Record the losses of a fit: one checkpoint per epoch, with that epoch's last validation.

    Batches come from :class:`ltc.IndexedDataset`, so that they are ``(inputs, targets, index)`` or
    have a key ``"index"``. ``training_step`` and ``validation_step`` return a dict with
    ``"logits"``, or with ``"losses"``, one per sample; ``training_step`` with ``"loss"`` too. What
    gradients are accumulated over makes no difference, and of several processes each records what
    it saw.

    Its state is a part of Lightning's checkpoints, and goes on with them: a run that resumes in the
    middle of an epoch keeps the losses of its first part, and later commits are dropped.

    Parameters
    ----------
    path : str or path
        The store.
    train : {"training", "evaluation"}
        Whether training losses are those of the training steps, or come from a pass of their own
        over the training loader at the end of each epoch.
    before_training : bool
        Whether a pass over both splits records checkpoint 0 before the first step.
    step : callable, optional
        For these passes, ``step(module, batch) -> (losses, index)``, as for
        :meth:`ltc.Recorder.evaluate`; by default the module is called with the inputs and returns
        logits. A run that resumes from a checkpoint saved between the last step of an epoch and its
        validation, which Lightning then skips, takes such a pass in its place.
    val_loader : int
        Which of several validation loaders is that of the split ``"val"``.
    **arguments
        Those of :class:`ltc.Recorder`: ``train_labels``, ``val_labels``, ``resume`` and so on.

    Attributes
    ----------
    recorder : ltc.Recorder
        While the trainer fits.

    Raises
    ------
    ArgumentValueError
        `train` is none of those.

    Examples
    --------
    >>> from lightning.pytorch import Trainer
    >>> recorder = LossRecorder("run.zarr", train_labels=[0, 1, 1], val_labels=[0, 1])
    >>> trainer = Trainer(
    ...     callbacks=[recorder], max_epochs=4, logger=False, enable_progress_bar=False,
    ...     enable_model_summary=False, enable_checkpointing=False, accelerator="cpu",
    ... )
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        train: str = "training",
        before_training: bool = False,
        step: Step | None = None,
        val_loader: int = 0,
        **arguments: Any,
    ) -> None:
        if train not in MODES:
            raise ArgumentValueError(f"train must be one of {', '.join(MODES)}, got {train!r}")
        self._losses = DeferredRecorder(path, arguments)
        self._train = train
        self._before_training = before_training
        self._step = step
        self._val_loader = val_loader
        self._epoch = 0
        self._validated = False  # since the last commit
        self._half_finished: int | None = None  # the epoch that a loaded state is of

    @property
    def recorder(self) -> Any:
        """The recorder, while the trainer fits."""
        return self._losses.recorder

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the store; the trainer's processes are there now."""
        self._losses.open()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record checkpoint 0, if that was asked for and this is the beginning."""
        if self._before_training and trainer.global_step == 0 and not self.recorder.checkpoints:
            self._pass("train", trainer, pl_module)
            self._pass("val", trainer, pl_module)
            self.recorder.commit(0)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Commit the epoch before, if the run resumed after its last step and before its end."""
        # Not when an epoch starts: Lightning doesn't tell so of the one in which a run resumes.
        self._epoch = trainer.current_epoch
        self._finish(trainer, pl_module, before=self._epoch)
        self._half_finished = None

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Record the losses of a training step; one that returned None left its batch out."""
        if self._train == "training" and outputs is not None:
            self._losses.update("train", outputs, batch, mode="training")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier validation of this epoch."""
        if _validates_a_fit(trainer):
            self.recorder.drop("val")

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Record the losses of a validation step."""
        if _validates_a_fit(trainer) and dataloader_idx == self._val_loader:
            self._losses.update("val", outputs, batch, mode="evaluation")
            self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Commit the epoch, counted from 1."""
        self._commit(trainer, pl_module, trainer.current_epoch)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Commit the last epoch, if the run resumed after its last step."""
        self._finish(trainer, pl_module, before=trainer.current_epoch + 1)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Release the store."""
        self._losses.close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Release the store."""
        self._losses.close()

    def state_dict(self) -> dict[str, Any]:
        """Return what is pending, for Lightning's checkpoint; all processes call this."""
        state = self._losses.state_dict()
        return (
            {"epoch": self._epoch, "validated": self._validated, "recorder": state} if state else {}
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what was pending from Lightning's checkpoint."""
        self._losses.load_state_dict(state_dict["recorder"])
        self._validated = state_dict["validated"]
        self._half_finished = state_dict["epoch"] if state_dict["recorder"]["pending"] else None

    def _finish(self, trainer: Trainer, module: LightningModule, *, before: int) -> None:
        epoch = self._half_finished
        if epoch is not None and epoch < before:
            if not self._validated and trainer.val_dataloaders is not None:
                self._pass("val", trainer, module)
            self._commit(trainer, module, epoch)

    def _commit(self, trainer: Trainer, module: LightningModule, epoch: int) -> None:
        if self._train == "evaluation":
            self._pass("train", trainer, module)
        self.recorder.commit(epoch + 1)
        self._validated = False
        self._half_finished = None

    def _pass(self, split: str, trainer: Trainer, module: LightningModule) -> None:
        loader: Any = trainer.train_dataloader
        if split == "val":
            loader = trainer.val_dataloaders
            if isinstance(loader, list | tuple):
                loader = loader[self._val_loader]
        # A pass must not change which random numbers training sees.
        with torch.random.fork_rng():
            self.recorder.evaluate(split, module, loader, step=self._step)


def _validates_a_fit(trainer: Trainer) -> bool:
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
