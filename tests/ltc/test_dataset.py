"""Samples that carry their index, alone, in subsets and through loaders with worker processes."""

from collections import UserDict, namedtuple

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from ltc.dataset import IndexedDataset
from ltc.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError

Pair = namedtuple("Pair", "image label")


class Batched(Dataset):
    """A data set that fetches many samples at once and counts the calls."""

    def __init__(self, size):
        self.size = size
        self.calls = []

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return (float(index),)

    def __getitems__(self, indices):
        self.calls.append(list(indices))
        return [(float(index),) for index in indices]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (("x", 1), ("x", 1, 0)),
        (("x",), ("x", 0)),
        (Pair("x", 1), ("x", 1, 0)),
        ({"x": 1}, {"x": 1, "index": 0}),
        (UserDict(x=1), {"x": 1, "index": 0}),
        (["x", 1], (["x", 1], 0)),
        ("text", ("text", 0)),
        (7, (7, 0)),
        (None, (None, 0)),
    ],
)
def test_where_the_index_goes(sample, expected):
    found = IndexedDataset([sample])[0]
    assert found == expected
    assert type(found) is type(expected)


def test_a_sample_is_not_changed():
    sample = {"x": 1}
    assert IndexedDataset([sample])[0] is not sample
    assert sample == {"x": 1}


def test_a_mapping_with_an_index_of_its_own_is_an_error():
    dataset = IndexedDataset([{"x": 1}, {"index": 17}])
    with pytest.raises(ArgumentValueError, match=r"key 'index' already.*sample 1 has the value 17"):
        dataset[1]


@pytest.mark.parametrize("index", [-1, np.int64(-1), torch.tensor(-1), np.int32(2)])
def test_an_index_is_normalised_to_a_plain_integer(index):
    sample = IndexedDataset([("a",), ("b",), ("c",)])[index]
    assert sample == ("c", 2)
    assert type(sample[1]) is int


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_out_of_range_is_an_error(index):
    with pytest.raises(ArgumentIndexError, match=rf"index must lie in -3\.\.2, got {index}"):
        IndexedDataset("abc")[index]


@pytest.mark.parametrize("index", [1.0, "1", slice(0, 2), None])
def test_an_index_of_another_type_is_an_error(index):
    with pytest.raises(ArgumentTypeError, match="index must be an integer, got"):
        IndexedDataset("abc")[index]


def test_iteration_ends():
    assert list(IndexedDataset("ab")) == [("a", 0), ("b", 1)]
    assert len(IndexedDataset("ab")) == 2
    assert repr(IndexedDataset("ab")) == "IndexedDataset('ab')"


class Stream(IterableDataset):
    def __len__(self):
        return 3

    def __iter__(self):
        return iter(range(3))


@pytest.mark.parametrize("dataset", [Stream(), iter([1]), (i for i in range(3)), {1, 2}])
def test_an_iterable_data_set_is_refused(dataset):
    with pytest.raises(ArgumentTypeError, match="dataset must have __len__ and __getitem__"):
        IndexedDataset(dataset)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shuffled_loader_pairs_each_sample_with_its_index(workers):
    values = torch.arange(10, 27)
    loader = DataLoader(
        IndexedDataset(TensorDataset(values, -values)),
        batch_size=5,
        shuffle=True,
        num_workers=workers,
        generator=torch.Generator().manual_seed(0),
    )
    seen = []
    for value, negative, index in loader:
        assert index.dtype == torch.int64
        assert torch.equal(values[index], value)
        assert torch.equal(-value, negative)
        seen += index.tolist()
    assert sorted(seen) == list(range(17))
    assert seen != list(range(17))


def test_mappings_collate():
    dataset = IndexedDataset([{"x": float(i)} for i in range(4)])
    (batch,) = DataLoader(dataset, batch_size=4)
    assert batch["index"].tolist() == [0, 1, 2, 3]


def test_several_samples_are_fetched_in_one_call():
    batched = Batched(6)
    batches = list(DataLoader(IndexedDataset(batched), batch_size=3))
    assert batched.calls == [[0, 1, 2], [3, 4, 5]]
    assert [batch[1].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5]]
    assert IndexedDataset(batched).__getitems__([-1, 0]) == [(5.0, 5), (0.0, 0)]


def test_the_order_of_wrapping_says_which_index_space_is_meant():
    full, chosen = TensorDataset(torch.arange(100, 110)), [7, 2, 9]
    positions_in_full = Subset(IndexedDataset(full), chosen)
    positions_in_subset = IndexedDataset(Subset(full, chosen))
    assert [int(i) for _, i in positions_in_full] == [7, 2, 9]
    assert [int(i) for _, i in positions_in_subset] == [0, 1, 2]
    for dataset in (positions_in_full, positions_in_subset):
        (batch,) = DataLoader(dataset, batch_size=3)
        assert batch[0].tolist() == [107, 102, 109]
