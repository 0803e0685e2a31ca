"""Evaluation passes: gradients off, the model in evaluation mode and left as it was found."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.recorder.passes import evaluating, pass_batches

INPUTS = torch.eye(4)
TARGETS = torch.tensor([0, 1, 2, 0])
BATCHES = [(INPUTS[:3], TARGETS[:3], torch.arange(3)), [INPUTS[3:], TARGETS[3:], torch.tensor([3])]]


def collect(model, loader, step=None):
    with evaluating(model):
        return list(pass_batches(model, loader, step, size=4))


def modes(model):
    return {name: module.training for name, module in model.named_modules()}


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)))


def test_a_pass_gives_the_losses_of_the_model_in_evaluation_mode(model):
    first, second = collect(model, BATCHES)
    model.eval()
    with torch.no_grad():
        expected = nn.functional.cross_entropy(model(INPUTS), TARGETS, reduction="none")
    assert first.index.tolist() == [0, 1, 2]
    assert second.index.tolist() == [3]
    assert first.losses.tolist() == pytest.approx(expected[:3].tolist(), abs=1e-6)
    assert second.losses.tolist() == pytest.approx(expected[3:].tolist(), abs=1e-6)


def test_nothing_of_the_model_changes(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    collect(model, BATCHES)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("frozen", [[], ["1.0"], ["1"], ["0", "1.1"]])
def test_the_mode_of_every_submodule_is_restored(model, root, frozen):
    model.train(root)
    for name in frozen:
        model.get_submodule(name).train(not root)
    before = modes(model)
    with evaluating(model):
        assert not any(modes(model).values())
    assert modes(model) == before


def test_modes_and_gradients_are_restored_after_an_exception(model):
    model.get_submodule("1.0").eval()
    before = modes(model)
    with pytest.raises(KeyboardInterrupt), evaluating(model):
        raise KeyboardInterrupt
    assert modes(model) == before
    assert torch.is_grad_enabled()


def test_a_submodule_in_two_places_keeps_its_mode():
    shared = nn.Dropout()
    model = nn.ModuleList([nn.Sequential(shared), nn.Sequential(shared)])
    model[1].eval()
    shared.train()
    before = modes(model)
    with evaluating(model):
        pass
    assert modes(model) == before


def test_what_a_train_method_does_beside_the_flag_is_undone():
    class Merging(nn.Module):
        """Merges its low-rank weights for evaluation, as adapters do."""

        merged = False

        def train(self, mode=True):
            self.merged = not mode
            return super().train(mode)

    class Frozen(nn.BatchNorm1d):
        """Never leaves evaluation mode by `train`."""

        def train(self, mode=True):
            super().train(mode)
            return super().train(mode=False)

    model = nn.Sequential(Merging(), Frozen(2))
    model.train()
    model[1].training = True
    with evaluating(model):
        assert model[0].merged
    assert not model[0].merged
    assert modes(model) == {"": True, "0": True, "1": True}


def test_what_a_module_caches_in_a_pass_can_be_trained_with():
    class Caching(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))
            self.table = None

        def forward(self, inputs):
            if self.table is None:
                self.table = inputs.new_ones(3)
            return inputs[:, :3] * self.weight * self.table

    model = Caching()
    collect(model, BATCHES)
    model(INPUTS).sum().backward()
    assert model.weight.grad is not None


def test_inputs_go_to_the_device_of_the_model_and_keep_their_structure():
    Pair = namedtuple("Pair", "left right")
    seen = []

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("place", torch.empty(1, device="meta"))

        def forward(self, inputs):
            seen.append(inputs)
            return torch.empty(2, 3, device="meta")

    inputs = {"ids": torch.zeros(2), "pair": Pair(torch.ones(1), [torch.ones(1), "text"])}
    (batch,) = collect(Model(), [(inputs, torch.tensor([0, 1]), torch.tensor([0, 1]))])
    assert batch.losses.device.type == "meta"
    (given,) = seen
    assert given["ids"].device.type == given["pair"].left.device.type == "meta"
    assert isinstance(given["pair"], Pair)
    assert given["pair"].right[0].device.type == "meta"
    assert given["pair"].right[1] == "text"
    assert inputs["ids"].device.type == "cpu"


def test_a_step_covers_everything_else(model):
    def step(model, batch):
        assert not torch.is_grad_enabled()
        assert not model.training
        return model(batch["x"])[:, 0], batch["index"]

    (batch,) = collect(model, [{"x": INPUTS, "index": [3, 2, 1, 0]}], step)
    assert batch.index.tolist() == [3, 2, 1, 0]
    assert batch.losses.shape == (4,)


def test_a_model_may_be_any_function():
    (batch,) = collect(lambda inputs: inputs[:, :3], BATCHES[:1])
    assert batch.losses.shape == (3,)


@pytest.mark.parametrize(
    ("batch", "got"),
    [((INPUTS, TARGETS), "a tuple of 2"), ({"x": INPUTS}, "a dict"), (INPUTS, "a Tensor")],
)
def test_other_batches_need_a_step(model, batch, got):
    with pytest.raises(ArgumentTypeError, match=rf"\(inputs, targets, index\).*step=\. Got {got}"):
        collect(model, [batch])


def test_a_model_that_returns_no_logits_needs_a_step():
    with pytest.raises(ArgumentTypeError, match=r"logits as a tensor.*step=\. Got dict"):
        collect(lambda inputs: {"logits": inputs}, BATCHES)


@pytest.mark.parametrize("result", [torch.ones(4), (torch.ones(4),), None])
def test_a_step_returns_losses_and_index(model, result):
    with pytest.raises(ArgumentTypeError, match=r"step must return \(losses, index\), got"):
        collect(model, BATCHES, step=lambda _model, _batch: result)


def test_a_loader_that_is_used_up_is_an_error(model):
    loader = iter(BATCHES)
    collect(model, loader)
    with pytest.raises(ArgumentValueError, match="loader must yield at least one batch, got none"):
        collect(model, loader)
