"""The part of FFCV that its example uses, as its documentation describes it; it needs a compiler.

The writer keeps tuples, in the order of the fields. The loader gives a tuple of tensors per batch,
integers as [B, 1] until they are squeezed.
"""

from types import ModuleType

import torch

_FILES = {}


class DatasetWriter:
    def __init__(self, path, fields):
        self._path, self._fields = path, list(fields)

    def from_indexed_dataset(self, dataset):
        samples = [dataset[i] for i in range(len(dataset))]
        assert all(len(sample) == len(self._fields) for sample in samples)
        _FILES[self._path] = self._fields, samples


class Loader:
    def __init__(self, path, *, batch_size, pipelines, seed=None):
        self._fields, self._samples = _FILES[path]
        self._size, self._pipelines, self._seed = batch_size, pipelines, seed

    def __iter__(self):
        order = torch.arange(len(self._samples))
        if self._seed is not None:
            self._seed += 1
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(self._seed))
        for chosen in order.split(self._size):
            columns = zip(*(self._samples[i] for i in chosen), strict=True)
            batch = []
            for name, values in zip(self._fields, columns, strict=True):
                for operation in self._pipelines[name]:
                    values = operation(values)
                batch.append(values)
            yield tuple(batch)


def _integers(values):
    return torch.tensor(values)[:, None]


def modules():
    """What the imports of the example find."""
    made = {}
    for name, members in {
        "ffcv": {},
        "ffcv.fields": {"IntField": object},
        "ffcv.fields.decoders": {"IntDecoder": lambda: _integers},
        "ffcv.loader": {"Loader": Loader},
        "ffcv.transforms": {
            "Squeeze": lambda: lambda values: values.squeeze(1),
            "ToTensor": lambda: torch.as_tensor,
        },
        "ffcv.writer": {"DatasetWriter": DatasetWriter},
    }.items():
        made[name] = ModuleType(name)
        vars(made[name]).update(members)
    return made
