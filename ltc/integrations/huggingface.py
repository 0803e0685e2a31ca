"""A callback that records the losses of a model that transformers' `Trainer` trains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import TrainerCallback
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.integrations.batches import INDEX
from ltc.integrations.states import load_state, save_state
from ltc.integrations.tokens import REDUCTIONS, sequence_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

    from ltc.recorder import Recorder

__all__ = ["LossRecorder"]


class LossRecorder(TrainerCallback):
    """Record the losses of a training: one checkpoint per epoch, with its last evaluation.

    Both data sets are wrapped in :class:`ltc.IndexedDataset`, which adds a column ``"index"``; it
    survives ``remove_unused_columns`` and doesn't reach the model. What gradients are accumulated
    over makes no difference, and of several processes each records what it saw.

    What is pending is saved with each of the trainer's checkpoints, and goes on with them: a run
    that resumes in the middle of an epoch keeps the losses of its first part, and later commits are
    dropped.

    Parameters
    ----------
    trainer : transformers.Trainer
        Whose training is recorded; give the callback to its ``add_callback``.
    recorder : ltc.Recorder
        Made by the caller, with ``resume=True`` where the training resumes.
    tokens : {"mean", "sum"}, optional
        For sequence models, with logits ``[B, L, vocabulary]``, which have to choose: the loss of a
        sample is the mean over its tokens that count, or their sum. Logits of causal language
        models are shifted, as the trainer does.
    losses : callable, optional
        For all else: ``losses(outputs, labels)`` returns one loss per sample.
    before_training : bool
        Whether a pass over both splits records checkpoint 0 before the first step.
    val_name : str, optional
        Which of several evaluation data sets is the split ``"val"``.

    Raises
    ------
    ArgumentTypeError, ArgumentValueError
        The trainer's version is not known, or an argument is not as described.

    Examples
    --------
    A training with these two lines more than without::

        with ltc.Recorder("run.zarr", train_labels=y, val_labels=v, resume=True) as recorder:
            trainer.add_callback(LossRecorder(trainer, recorder))
            trainer.train(resume_from_checkpoint=...)
    """

    def __init__(
        self,
        trainer: Trainer,
        recorder: Recorder,
        *,
        tokens: str | None = None,
        losses: Callable[[Any, Any], Any] | None = None,
        before_training: bool = False,
        val_name: str | None = None,
    ) -> None:
        if tokens is not None and tokens not in REDUCTIONS:
            raise ArgumentValueError(
                f"tokens must be one of {', '.join(REDUCTIONS)}, or None, got {tokens!r}"
            )
        self._trainer = trainer
        self._recorder = recorder
        self._tokens = tokens
        self._of_outputs = losses
        self._before_training = before_training
        self._prefix = "eval" if val_name is None else f"eval_{val_name}"
        self._resumed_from: str | None = None
        self._due: float | None = None  # an epoch that is over and not committed
        self._split: _Split | None = _TRAINING
        _keep_index(trainer)
        self._compute_loss = trainer.compute_loss
        self._evaluation_loop = trainer.evaluation_loop
        self._train = trainer.train
        # No hook of a callback sees a batch, its outputs, or where a training resumes.
        for name, wrapper in (
            ("compute_loss", self._recording_loss),
            ("evaluation_loop", self._recording_evaluation),
            ("train", self._train_from),
        ):
            setattr(trainer, name, wrapper)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Go on with the checkpoint that training resumes from, or record checkpoint 0."""
        self._due = None
        if self._resumed_from is not None:
            load_state(self._recorder, self._resumed_from)
            # A checkpoint between the last step of an epoch and the end of it.
            if float(state.epoch or 0).is_integer() and state.global_step > 0:
                self._due = state.epoch
        elif self._before_training and not self._recorder.checkpoints:
            trainer = self._trainer
            self._pass(_Split("train", "evaluation"), trainer.train_dataset)
            val = trainer.eval_dataset
            name = self._prefix.removeprefix("eval_")
            self._pass(_Split("val", "evaluation"), val[name] if isinstance(val, dict) else val)
            self._recorder.commit(0)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Commit the epoch before, which has been evaluated by now."""
        self._commit_due()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Note that the epoch is over; the trainer evaluates it after this."""
        self._due = state.epoch

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Save what is pending with the model."""
        self._commit_due()
        folder = f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        save_state(self._recorder, Path(args.output_dir or ".") / folder)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Commit the last epoch."""
        self._commit_due()

    def _commit_due(self) -> None:
        if self._due is not None and self._due not in self._recorder.checkpoints:
            self._recorder.commit(self._due)
        self._due = None

    def _train_from(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as the trainer does, knowing where it resumes."""
        folder = resume_from_checkpoint
        if resume_from_checkpoint is True:
            folder = get_last_checkpoint(  # type: ignore[no-untyped-call]
                self._trainer.args.output_dir
            )
        self._resumed_from = folder or None
        return self._train(resume_from_checkpoint, *args, **kwargs)

    def _recording_evaluation(
        self, dataloader: Any, description: str, *args: Any, **kw: Any
    ) -> Any:
        """Evaluate as the trainer does, and record that of the split ``"val"`` while training."""
        before = self._split
        prefix = kw.get("metric_key_prefix", args[2] if len(args) > 2 else "eval")
        if self._split is _TRAINING:
            records = self._trainer.is_in_train and prefix == self._prefix
            self._split = _Split("val", "evaluation") if records else None
        if self._split is not None:
            self._recorder.drop(self._split.name)
        try:
            return self._evaluation_loop(dataloader, description, *args, **kw)
        finally:
            self._split = before

    def _recording_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **kwargs: Any
    ) -> Any:
        """Compute the loss as the trainer does, and record those of the samples."""
        index = inputs.pop(INDEX, None)
        labels = inputs.get("labels")
        loss, outputs = self._compute_loss(model, inputs, return_outputs=True, **kwargs)
        if self._split is not None:
            if index is None:
                raise ArgumentTypeError(
                    "a batch must have the column 'index', which IndexedDataset adds, got "
                    f"{', '.join(inputs)}"
                )
            found = self._losses(outputs, labels)
            self._recorder.update(self._split.name, index, mode=self._split.mode, **found)
        return (loss, outputs) if return_outputs else loss

    def _losses(self, outputs: Any, labels: Any) -> dict[str, Any]:
        if self._of_outputs is not None:
            return {"losses": self._of_outputs(outputs, labels)}
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[1]
        if labels is None:
            raise ArgumentTypeError("a batch must have the column 'labels', or give losses=")
        if logits.ndim != 3:
            return {"logits": logits, "targets": labels}
        if self._tokens is None:
            raise ArgumentValueError(
                "tokens must be 'mean' or 'sum' for a sequence model: the loss of a sample is the "
                "mean over its tokens, or their sum; got None"
            )
        name = type(self._trainer.accelerator.unwrap_model(self._trainer.model)).__name__
        shift = name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
        return {"losses": sequence_losses(logits, labels, reduction=self._tokens, shift=shift)}

    def _pass(self, split: _Split, dataset: Any) -> None:
        loader = self._trainer.get_eval_dataloader(dataset)
        before, self._split = self._split, split
        try:
            # A pass must not change which random numbers training sees.
            with torch.random.fork_rng():
                self._trainer.evaluation_loop(loader, "Checkpoint 0", prediction_loss_only=True)
        finally:
            self._split = before


class _Split(NamedTuple):
    """Where the losses of what runs now belong."""

    name: str
    mode: str


_TRAINING = _Split("train", "training")


def _keep_index(trainer: Trainer) -> None:
    """Let the trainer keep the column of indices, which isn't one of the model's arguments."""
    if trainer.args.remove_unused_columns:
        try:
            trainer._set_signature_columns_if_needed()
            columns: Any = trainer._signature_columns
            columns.append(INDEX)
        except AttributeError as error:
            raise ArgumentTypeError(
                "trainer must be one of a version whose unused columns are known here; with this "
                "one, pass remove_unused_columns=False in its arguments"
            ) from error
