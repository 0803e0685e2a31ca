"""The callback for transformers, in its own trainer."""

import numpy as np
import pytest
import torch
from integrations import problem
from torch import nn
from torch.utils.data import Dataset

import ltc
from ltc.errors import ArgumentTypeError, ArgumentValueError

transformers = pytest.importorskip("transformers")

from ltc.integrations.huggingface import LossRecorder  # noqa: E402 - where there is transformers

# Of transformers itself: what it uses of others.
pytestmark = pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")
BATCH = 4


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = problem.network()
        self.seen = []  # what every training step was given, and its losses

    def forward(self, inputs, labels=None):
        logits = self.network(inputs)
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        if self.training:
            self.seen.append((inputs.clone(), losses.detach().clone()))
        return {"loss": losses.mean(), "logits": logits}


class Mappings(Dataset):
    """Samples as mappings, with a column that no model takes."""

    def __init__(self, split):
        self.inputs, self.labels = problem.tensors(split)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {"inputs": self.inputs[i], "labels": self.labels[i], "comment": i + 0.5}


def trainer(folder, model=None, data=Mappings, **kwargs):
    arguments = {
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "num_train_epochs": 4,
        "learning_rate": 0.5,
        "optim": "sgd",
        "lr_scheduler_type": "constant",
        **kwargs,
    }
    return transformers.Trainer(
        model=model or Classifier(),
        args=transformers.TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            **arguments,
        ),
        train_dataset=ltc.IndexedDataset(data("train")),
        eval_dataset=ltc.IndexedDataset(data("val")),
    )


def train(path, training, recorder_arguments=None, resume_from=None, **kwargs):
    arguments = recorder_arguments or problem.arguments()
    with ltc.Recorder(path, **arguments, resume=resume_from is not None) as recorder:
        training.add_callback(LossRecorder(training, recorder, **kwargs))
        training.train(resume_from_checkpoint=resume_from)
    return ltc.open_store(path)


def steps_losses(model, epochs):
    """Losses of every training step, by sample; inputs tell which."""
    inputs, _ = problem.tensors("train")
    expected = np.full((epochs, problem.NUM_TRAIN), np.nan, np.float16)
    per_epoch = len(model.seen) // epochs
    for number, (batch, losses) in enumerate(model.seen):
        index = [int((inputs == row).all(1).nonzero()) for row in batch]
        expected[number // per_epoch, index] = losses.numpy().astype(np.float16)
    return expected


@pytest.mark.parametrize("when", ["epoch", "steps"])
def test_losses_of_every_step_and_of_the_last_evaluation(tmp_path, when):
    model = Classifier()
    training = trainer(
        tmp_path, model, eval_strategy=when, eval_steps=3, gradient_accumulation_steps=2
    )
    store = train(tmp_path / "run.zarr", training)
    assert store.checkpoints.tolist() == [1, 2, 3, 4]
    problem.assert_same_losses(store.read("train"), steps_losses(model, 4))
    problem.assert_same_losses(store.read("val")[-1], problem.losses(model.network, "val"))
    last = store.commits[-1]
    assert (last.train.mode, last.val.mode) == ("training", "evaluation")
    assert last.train.duplicate == last.val.duplicate == 0


def test_the_checkpoint_before_training_and_nothing_else_changes(tmp_path):
    plain, recorded = Classifier(), Classifier()
    trainer(tmp_path / "plain", plain, remove_unused_columns=True).train()
    store = train(
        tmp_path / "run.zarr", trainer(tmp_path / "recorded", recorded), before_training=True
    )
    assert store.checkpoints.tolist() == [0, 1, 2, 3, 4]
    for split in ("train", "val"):
        expected = problem.losses(problem.network(), split)
        problem.assert_same_losses(store.read(split)[0], expected)
    assert torch.equal(plain.network.weight, recorded.network.weight)


@pytest.mark.parametrize("steps", [4, 6, 7, 24])
def test_a_run_that_resumes_has_the_store_of_one_that_was_not_interrupted(tmp_path, steps):
    """Six steps in an epoch: within one, at its end, and right after it."""
    saving = {"save_strategy": "steps", "save_steps": steps, "eval_strategy": "steps"}
    saving["eval_steps"] = 1
    whole = train(tmp_path / "whole.zarr", trainer(tmp_path / "a", **saving))
    train(tmp_path / "run.zarr", trainer(tmp_path / "b", **saving, max_steps=min(steps + 3, 24)))
    saved = str(tmp_path / "b" / f"checkpoint-{steps}")
    resumed = train(tmp_path / "run.zarr", trainer(tmp_path / "b", **saving), resume_from=saved)
    assert resumed.checkpoints.tolist() == whole.checkpoints.tolist()
    np.testing.assert_array_equal(resumed.read("train"), whole.read("train"))
    np.testing.assert_array_equal(resumed.read("val"), whole.read("val"))


def test_only_evaluation_within_a_training_is_recorded(tmp_path):
    training = trainer(tmp_path, eval_strategy="no")
    store = train(tmp_path / "run.zarr", training)
    assert [commit.val.mode for commit in store.commits] == ["none"] * 4
    training.evaluate()
    training.predict(training.eval_dataset)  # the recorder is closed: nothing reaches it


class Sequences(Dataset):
    """Token sequences of several lengths."""

    def __init__(self, split):
        self.size = {"train": 8, "val": 4}[split]

    def __len__(self):
        return self.size

    def __getitem__(self, i):
        tokens = (torch.arange(6) * (i + 1)) % 11
        return {"input_ids": tokens, "labels": tokens.where(torch.arange(6) < 2 + i % 4, -100)}


def language_model():
    torch.manual_seed(6)
    config = transformers.GPT2Config(
        vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=1,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


@pytest.mark.parametrize("tokens", ["mean", "sum"])
def test_sequences_have_the_loss_that_was_chosen_of_their_tokens(tmp_path, tokens):
    model = language_model()
    training = trainer(tmp_path, model, Sequences, num_train_epochs=1)
    sizes = {"num_train": 8, "num_val": 4}
    store = train(tmp_path / "run.zarr", training, sizes, tokens=tokens)
    expected = []
    for i in range(4):
        sample = {name: value[None] for name, value in Sequences("val")[i].items()}
        with torch.no_grad():
            mean = model.eval()(**sample).loss.item()
        places = int((sample["labels"][:, 1:] != -100).sum())
        expected.append(mean if tokens == "mean" else mean * places)
    problem.assert_same_losses(store.read("val")[0], np.array(expected))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(ArgumentValueError, match="tokens must be 'mean' or 'sum'"):
        train(
            tmp_path / "a.zarr",
            trainer(tmp_path, language_model(), Sequences),
            {"num_train": 8, "num_val": 4},
        )
    training = trainer(tmp_path)
    training.train_dataset = Mappings("train")
    with pytest.raises(ArgumentTypeError, match="must have the column 'index'"):
        train(tmp_path / "b.zarr", training)
    with pytest.raises(ArgumentValueError, match="tokens must be one of mean, sum, or None"):
        LossRecorder(training, None, tokens="max")
