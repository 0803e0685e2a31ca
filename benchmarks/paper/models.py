"""Four small architectures, for pictures of any size: quick enough for two cores."""

import torch
from torch import Tensor, nn

from ltc.errors import ArgumentValueError

SMALLEST = "cnn"  # of these, on pictures of 28 pixels and more
HIDDEN = 64


class _Residual(nn.Module):
    """Two convolutions round a connection that passes them by."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return as many channels and pixels as come in."""
        return torch.relu(inputs + self.second(torch.relu(self.first(inputs))))


def _cnn(channels: int, width: int) -> list[nn.Module]:
    patch = _patch(width)
    return [
        nn.Conv2d(channels, 16, patch, stride=patch),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.ReLU(),
    ]


def _mlp(channels: int, width: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(channels * width**2, 128), nn.ReLU()]


def _lenet(channels: int, width: int) -> list[nn.Module]:  # noqa: ARG001
    return [
        nn.Conv2d(channels, 8, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 5, stride=2, padding=2),
        nn.ReLU(),
    ]


def _resnet(channels: int, width: int) -> list[nn.Module]:
    patch = _patch(width)
    return [
        nn.Conv2d(channels, 16, patch, stride=patch),
        nn.ReLU(),
        _Residual(16),
        nn.MaxPool2d(2, ceil_mode=True),
        _Residual(16),
    ]


ARCHITECTURES = {
    "cnn": (_cnn, "a convolution of patches, one strided by 2, a hidden layer of 64 units"),
    "mlp": (_mlp, "hidden layers of 128 and 64 units"),
    "lenet": (_lenet, "two strided convolutions of 5 x 5, a hidden layer of 64 units"),
    "resnet": (_resnet, "two residual blocks on patches, a hidden layer of 64 units"),
}


def build(architecture: str, shape: tuple[int, ...], classes: int, seed: int) -> nn.Sequential:
    """Return a new model for pictures of a shape (channels, height, width), heights like widths.

    The last module is the linear one that gives the logits: ``model[:-1]`` gives the features that
    it sees, float32 [n, 64]. The initial weights depend on nothing but the seed.
    """
    if architecture not in ARCHITECTURES:
        raise ArgumentValueError(
            f"architecture must be one of {', '.join(ARCHITECTURES)}, got {architecture!r}"
        )
    channels, height, width = shape
    if height != width:
        raise ArgumentValueError(f"shape must be of square pictures, got {height} x {width}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = nn.Sequential(*ARCHITECTURES[architecture][0](channels, width), nn.Flatten())
        with torch.no_grad():
            inputs = first(torch.zeros(1, *shape)).shape[1]
        return nn.Sequential(
            *first, nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes)
        )


def smallest(shape: tuple[int, ...], classes: int) -> str:
    """Return the architecture with the fewest parameters for pictures of a shape."""
    sizes = {name: parameters(build(name, shape, classes, seed=0)) for name in ARCHITECTURES}
    return min(sizes, key=sizes.__getitem__)


def parameters(model: nn.Module) -> int:
    """Return how many numbers a model learns."""
    return sum(each.numel() for each in model.parameters())


def _patch(width: int) -> int:
    """Side of the patches that leave about 7 x 7 of them."""
    return max(1, width // 7)
