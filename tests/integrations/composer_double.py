"""Composer's callbacks and the events of its training loop, as its documentation describes them.

Its releases don't install beside this torch. So the callback is tested with a loop that calls the
same methods in the same order: per microbatch `after_forward`, per epoch `epoch_end`, the
evaluation, `epoch_checkpoint`; `close` at the end, whatever happened.
"""

from types import ModuleType, SimpleNamespace

import torch
from torch import nn


class Callback:
    """A base whose methods do nothing."""

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda _state, _logger: None


def modules():
    """What ``import composer.core`` finds."""
    package, core = ModuleType("composer"), ModuleType("composer.core")
    package.core, core.Callback = core, Callback
    return {"composer": package, "composer.core": core}


def fit(callback, network, train, val, *, epochs, microbatch, stop_at=None, resume=None):
    """Train; return the state saved after ``stop_at`` batches, where training stops then."""
    state = SimpleNamespace(
        timestamp=SimpleNamespace(epoch=0), dataloader_label=None, batch=None, outputs=None
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    first = 0
    if resume is not None:
        network.load_state_dict(resume["network"])
        first = resume["batch"]
        callback.load_state_dict(resume["callback"])
    try:
        callback.fit_start(state, None)
        for epoch in range(epochs):
            batches = list(train)
            for number, batch in enumerate(batches, 1 + epoch * len(batches)):
                if number > first:
                    _batch(callback, state, network, optimizer, batch, microbatch)
                if number == stop_at:
                    saved = {name: value.clone() for name, value in network.state_dict().items()}
                    return {"network": saved, "batch": number, "callback": callback.state_dict()}
            if first >= (epoch + 1) * len(batches):
                continue
            state.timestamp.epoch = epoch + 1
            callback.epoch_end(state, None)
            _evaluate(callback, state, network, "other", train)
            _evaluate(callback, state, network, "eval", val)
            callback.epoch_checkpoint(state, None)
        callback.fit_end(state, None)
        _evaluate(callback, state, network, "eval", val)
    finally:
        callback.close(state, None)


def _batch(callback, state, network, optimizer, batch, microbatch):
    state.dataloader_label = "train"
    for parts in zip(*(part.split(microbatch) for part in batch), strict=True):
        state.batch = parts
        state.outputs = network(parts[0])
        callback.after_forward(state, None)
        nn.functional.cross_entropy(state.outputs, parts[1]).backward()
    optimizer.step()
    optimizer.zero_grad()
    callback.batch_end(state, None)


def _evaluate(callback, state, network, label, loader):
    state.dataloader_label = label
    callback.eval_start(state, None)
    with torch.no_grad():
        for state.batch in loader:
            state.outputs = network(state.batch[0])
            callback.eval_after_forward(state, None)
    callback.eval_end(state, None)
