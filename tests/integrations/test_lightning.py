"""The callback for Lightning, in Lightning's own trainer."""

import numpy as np
import pytest
import torch
from integrations import problem
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ltc
from ltc.errors import ArgumentTypeError, ArgumentValueError, RecorderStateError

lightning = pytest.importorskip("lightning.pytorch")
from lightning.pytorch.callbacks import ModelCheckpoint  # noqa: E402 - where there is Lightning

from ltc.integrations.lightning import LossRecorder  # noqa: E402

# Of Lightning itself: what it uses of torch, loaders without workers, few batches.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning"),
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
]
BATCH = 4


class Module(lightning.LightningModule):
    def __init__(self, returns="logits"):
        super().__init__()
        self.network = problem.network()
        self.returns = returns
        self.seen = []  # losses of every training step, by sample

    def forward(self, inputs):
        return self.network(inputs)

    def training_step(self, batch):
        inputs, targets, index = batch
        logits = self(inputs)
        losses = nn.functional.cross_entropy(logits, targets, reduction="none")
        self.seen.append((self.current_epoch, index.clone(), losses.detach().clone()))
        if self.returns == "nothing":
            return losses.mean()
        return {"loss": losses.mean(), self.returns: logits if self.returns == "logits" else losses}

    def validation_step(self, batch, batch_idx, dataloader_idx=0):  # noqa: ARG002 - Lightning asks
        inputs, targets, _ = batch
        logits = self(inputs)
        if self.returns == "losses":
            return {"losses": nn.functional.cross_entropy(logits, targets, reduction="none")}
        return {"logits": logits}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


class Resumable(DataLoader):
    """A loader that goes on in the middle of an epoch, as Lightning lets a loader do."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.taken = self.start = 0

    def __iter__(self):
        start, self.start = self.start, 0
        self.taken = start
        for number, batch in enumerate(super().__iter__()):
            if number >= start:
                self.taken += 1
                yield batch

    def state_dict(self):
        return {"taken": self.taken % len(self)}

    def load_state_dict(self, state):
        self.start = state["taken"]


def loader(split, *, shuffle=False, kind=DataLoader):
    generator = torch.Generator().manual_seed(4)
    dataset = ltc.IndexedDataset(TensorDataset(*problem.tensors(split)))
    return kind(dataset, batch_size=BATCH, shuffle=shuffle, generator=generator)


def trainer(*callbacks, epochs=4, **kwargs):
    return lightning.Trainer(
        callbacks=list(callbacks),
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(each, ModelCheckpoint) for each in callbacks),
        **kwargs,
    )


def recorded(module, epochs):
    """What the training steps of a module had as losses, as a store holds them."""
    expected = np.full((epochs, problem.NUM_TRAIN), np.nan, np.float16)
    for epoch, index, losses in module.seen:
        expected[epoch, index.numpy()] = losses.numpy().astype(np.float16)
    return expected


@pytest.mark.parametrize("returns", ["logits", "losses"])
def test_losses_of_every_step_and_of_the_last_validation(tmp_path, returns):
    module = Module(returns)
    recorder = LossRecorder(tmp_path / "run.zarr", **problem.arguments())
    # Two validations in an epoch: the second is the epoch's.
    trainer(recorder, val_check_interval=0.5, accumulate_grad_batches=3).fit(
        module, loader("train", shuffle=True), loader("val")
    )
    store = ltc.open_store(tmp_path / "run.zarr")
    assert store.checkpoints.tolist() == [1, 2, 3, 4]
    problem.assert_same_losses(store.read("train"), recorded(module, 4))
    problem.assert_same_losses(store.read("val")[-1], problem.losses(module, "val"))
    last = store.commits[-1]
    assert (last.train.mode, last.val.mode) == ("training", "evaluation")
    assert last.val.duplicate == last.train.duplicate == 0


def test_a_pass_of_its_own_and_the_checkpoint_before_training(tmp_path):
    module, before = Module(), problem.network()
    recorder = LossRecorder(
        tmp_path / "run.zarr", train="evaluation", before_training=True, **problem.arguments()
    )
    trainer(recorder).fit(module, loader("train", shuffle=True), loader("val"))
    store = ltc.open_store(tmp_path / "run.zarr")
    assert store.checkpoints.tolist() == [0, 1, 2, 3, 4]
    for split in ("train", "val"):
        problem.assert_same_losses(store.read(split)[0], problem.losses(before, split))
        problem.assert_same_losses(store.read(split)[-1], problem.losses(module, split))
    assert {commit.train.mode for commit in store.commits} == {"evaluation"}
    assert module.training


def test_recording_changes_nothing_of_the_training(tmp_path):
    weights = []
    for callbacks in (
        [],
        [LossRecorder(tmp_path / "run.zarr", before_training=True, **problem.arguments())],
    ):
        torch.manual_seed(5)
        module = Module()
        loaders = [
            DataLoader(
                ltc.IndexedDataset(TensorDataset(*problem.tensors(split))),
                batch_size=BATCH,
                shuffle=True,
            )
            for split in ("train", "val")
        ]
        trainer(*callbacks).fit(module, *loaders)
        weights.append(module.network.weight.detach())
    assert torch.equal(*weights)


@pytest.mark.parametrize("steps", [1, 6, 7, 17, 24])
def test_a_run_that_resumes_has_the_store_of_one_that_was_not_interrupted(tmp_path, steps):
    """Six steps in an epoch: within one, at its end, and right after it."""

    def fit(name, path, limits=None, **kwargs):
        recorder = LossRecorder(tmp_path / path, **problem.arguments())
        saver = ModelCheckpoint(tmp_path / name, save_top_k=-1, every_n_train_steps=steps)
        trainer(recorder, saver, **limits or {}).fit(
            Module(), loader("train", kind=Resumable), loader("val"), weights_only=False, **kwargs
        )
        return ltc.open_store(tmp_path / path)

    whole = fit("whole", "whole.zarr")
    # The run goes on past the checkpoint that the next one resumes from, and is stopped there.
    fit("stopped", "run.zarr", limits={"max_steps": min(steps + 3, 24)})
    (saved,) = (tmp_path / "stopped").glob(f"*step={steps}.ckpt")
    resumed = fit("stopped", "run.zarr", ckpt_path=saved)
    assert resumed.checkpoints.tolist() == whole.checkpoints.tolist()
    np.testing.assert_array_equal(resumed.read("train"), whole.read("train"))
    np.testing.assert_array_equal(resumed.read("val"), whole.read("val"))
    assert [commit.train for commit in resumed.commits] == [c.train for c in whole.commits]


def test_only_validation_within_a_fit_is_recorded(tmp_path):
    recorder = LossRecorder(tmp_path / "run.zarr", **problem.arguments())
    fitting = trainer(recorder, num_sanity_val_steps=2)
    fitting.validate(Module(), loader("val"), verbose=False)
    assert not (tmp_path / "run.zarr").exists()
    fitting.fit(Module(), loader("train"), [loader("val"), loader("train")])
    assert ltc.open_store(tmp_path / "run.zarr").commits[0].val.duplicate == 0
    with pytest.raises(RecorderStateError, match="only while the trainer fits"):
        _ = recorder.recorder


def test_a_step_that_tells_only_its_mean_loss_is_an_error(tmp_path):
    recorder = LossRecorder(tmp_path / "run.zarr", **problem.arguments())
    with pytest.raises(ArgumentTypeError, match=r"must return a dict with 'losses'.*keys loss"):
        trainer(recorder, num_sanity_val_steps=0).fit(
            Module("nothing"), loader("train"), loader("val")
        )
    with pytest.raises(ArgumentValueError, match="train must be one of training, evaluation"):
        LossRecorder(tmp_path / "run.zarr", train="both")
