"""Coresets of data sets of torch, Hugging Face, timm and webdataset, and in FiftyOne."""

import gc
import io
import pickle
import re

import numpy as np
import pytest
import torch
from exports.fiftyone_double import Collection
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import ltc
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.integrations.timm import IndexedReader, SubsetReader
from ltc.selection import Coreset

N = 12
NAMES = [f"n{i % 3}/{i:02d}" for i in range(N)]
VALUES = np.random.default_rng(0).random(N).astype(np.float32)
CORESET = ltc.Scores(VALUES, ids=np.array(NAMES)).select(k=5, balance=None)
CHOSEN = CORESET.indices.tolist()
UNNAMED = ltc.Scores(VALUES).select(k=5, balance=None)


def test_a_subset_of_torch():
    dataset = TensorDataset(torch.arange(N) * 10)
    subset = CORESET.to_torch(ltc.IndexedDataset(dataset))
    assert isinstance(subset, torch.utils.data.Subset)
    # The index that comes with a sample still counts in the whole.
    assert [(int(x), int(i)) for x, i in subset] == [(10 * i, i) for i in CHOSEN]
    batches = list(DataLoader(CORESET.to_torch(dataset), batch_size=2))
    assert torch.cat([x for (x,) in batches]).tolist() == [10 * i for i in CHOSEN]


def test_a_data_set_of_hugging_face():
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"text": NAMES, "label": list(range(N))})
    chosen = CORESET.to_datasets(dataset)
    assert isinstance(chosen, datasets.Dataset)
    assert chosen["label"][:] == CHOSEN
    assert chosen["text"][:] == [NAMES[i] for i in CHOSEN]
    assert len(dataset) == N
    empty = Coreset(CORESET.indices[:0], None, None, CORESET.scores[:0], N)
    assert len(empty.to_datasets(dataset)) == 0


def test_what_hugging_face_has_beside_data_sets_is_refused():
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"label": list(range(N))})
    splits = datasets.DatasetDict({"train": dataset, "test": dataset})
    message = "dataset must be a datasets.Dataset, got DatasetDict; take one of its splits, train, "
    with pytest.raises(ArgumentTypeError, match=message):
        CORESET.to_datasets(splits)
    with pytest.raises(ArgumentTypeError, match=r"datasets\.Dataset, got IterableDataset$"):
        CORESET.to_datasets(dataset.to_iterable_dataset())
    with pytest.raises(ArgumentValueError, match="the training split that was scored, 12 samples"):
        CORESET.to_datasets(dataset.select(range(8)))


class Reader:
    """Of timm: files in an order."""

    class_to_idx = {"n0": 0, "n1": 1, "n2": 2}  # noqa: RUF012

    def __getitem__(self, index):
        assert type(index) is int
        return io.BytesIO(b"%d" % index), index % 3

    def __len__(self):
        return N

    def filename(self, index, basename=False, absolute=False):
        return "/" * absolute + NAMES[index].split("/")[-1 if basename else 0]


class ImageDataset:
    """Of timm: its loader sets the transform, and everything is read through `reader`."""

    def __init__(self):
        self.reader, self.transform = Reader(), None

    def __len__(self):
        return len(self.reader)

    def __getitem__(self, index):
        file, target = self.reader[index]
        return self.transform(file.read()), target


def test_an_image_data_set_of_timm():
    dataset = ImageDataset()
    chosen = CORESET.to_timm(dataset)
    chosen.transform = int
    assert len(chosen) == 5
    assert [chosen[i] for i in range(5)] == [(i, i % 3) for i in CHOSEN]
    assert (len(dataset), dataset.transform) == (N, None)
    assert chosen.reader.class_to_idx == Reader.class_to_idx
    assert chosen.reader.filenames(basename=True) == [f"{i:02d}" for i in CHOSEN]
    assert chosen.reader.filename(1, absolute=True) == f"/n{CHOSEN[1] % 3}"
    again = pickle.loads(pickle.dumps(chosen))  # for a worker
    assert again[4] == chosen[4]


def test_indices_count_where_the_reader_is_wrapped():
    inside = SubsetReader(IndexedReader(Reader()), CORESET.indices)
    outside = IndexedReader(SubsetReader(Reader(), CORESET.indices))
    assert [inside[i][1][1] for i in range(5)] == CHOSEN
    assert [outside[i][1][1] for i in range(5)] == [0, 1, 2, 3, 4]


# webdataset leaves its files to be closed when they are collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_keys_of_webdataset(tmp_path, workers):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.ShardWriter(f"{tmp_path}/%d.tar", maxcount=7, verbose=0) as sink:
        for i, name in enumerate(NAMES):
            sink.write({"__key__": name, "y.cls": i})
    shards = sorted(map(str, tmp_path.glob("*.tar")))
    assert len(shards) == 2
    for keep in (CORESET.key_filter(), UNNAMED.key_filter(NAMES)):
        dataset = webdataset.WebDataset(
            shards, shardshuffle=False, empty_check=False, workersplitter=None
        )
        dataset = dataset.select(keep).decode().to_tuple("y.cls")
        loader = DataLoader(dataset, batch_size=None, num_workers=workers)
        assert [int(label) for (label,) in loader] == CHOSEN
    gc.collect()


def test_lists_of_names(tmp_path):
    CORESET.save_names(tmp_path / "ids.txt")
    assert (tmp_path / "ids.txt").read_text() == "".join(f"{NAMES[i]}\n" for i in CHOSEN)
    files = [f"images/é {name}.png" for name in NAMES]
    UNNAMED.save_names(tmp_path / "files.txt", files)
    written = (tmp_path / "files.txt").read_text(encoding="utf-8")
    assert written.splitlines() == [files[i] for i in CHOSEN]
    UNNAMED.save_names(tmp_path / "files.txt", np.array(files))
    assert (tmp_path / "files.txt").read_text(encoding="utf-8") == written


def test_names_in_a_column_of_pandas_count_by_their_place(tmp_path):
    """Of a frame that was shuffled, names[3] is what had been in its row 3 before."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"file": NAMES[::-1]}).iloc[::-1]
    assert frame.file.tolist() == NAMES != [frame.file[i] for i in range(N)]
    UNNAMED.save_names(tmp_path / "files.txt", frame.file)
    written = (tmp_path / "files.txt").read_text(encoding="utf-8")
    assert written.splitlines() == [NAMES[i] for i in CHOSEN]
    assert UNNAMED.key_filter(frame.file).keys == {NAMES[i] for i in CHOSEN}


def test_fields_and_tags_of_fiftyone():
    order = np.random.default_rng(1).permutation(N)
    paths = [NAMES[i] for i in order] + ["of/another"]
    samples = Collection(
        id=[f"{i:x}" for i in range(N + 1)],
        filepath=paths,
        tags=[["old"] if i % 2 else None for i in range(N)] + [["coreset", "val"]],
    )
    values = VALUES.copy()
    values[3] = np.nan
    scores = ltc.Scores(values, ids=np.array(NAMES))
    assert scores.to_fiftyone(samples, field="ltc", key="filepath") == N
    expected = [None if i == 3 else float(values[i]) for i in order]
    assert samples.fields["ltc"] == [*expected, None]

    assert CORESET.to_fiftyone(samples, key="filepath") == 5
    before = [["old"] if i % 2 else [] for i in range(N)]
    assert samples.fields["tags"] == [
        *(
            tags + ["coreset"] * (i in CHOSEN)
            for tags, i in zip(before, order.tolist(), strict=True)
        ),
        ["val"],
    ]
    assert CORESET.to_fiftyone(samples, key="filepath") == 5
    assert samples.fields["tags"][-1] == ["val"]
    assert sum("coreset" in tags for tags in samples.fields["tags"]) == 5


def test_fiftyone_with_integer_ids_in_a_part_of_the_samples():
    scores = ltc.Scores(VALUES, ids=np.arange(N) + 100)
    samples = Collection(id=["a", "b", "c"], number=[105, 7, 100], tags=[[], [], []])
    assert scores.to_fiftyone(samples, key="number") == 2
    assert samples.fields["ltc"] == [float(VALUES[5]), None, float(VALUES[0])]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(N))


def length_error(length):
    return re.escape(
        f"dataset must be the training split that was scored, 12 samples, got {length}"
    )


WRONG = [
    (lambda: CORESET.to_torch(range(13)), ArgumentValueError, length_error(13)),
    (lambda: CORESET.to_torch(range(5)), ArgumentValueError, length_error(5)),
    (
        lambda: CORESET.to_torch(Stream()),
        ArgumentTypeError,
        "dataset must have a length and samples at positions, got Stream",
    ),
    (
        lambda: Coreset(np.array([3, 9]), None, None, np.zeros(2, np.float32)).to_torch(range(9)),
        ArgumentValueError,
        "dataset must have a sample at index 9, got 9 samples",
    ),
    (
        lambda: CORESET.to_timm(TensorDataset(torch.zeros(N))),
        ArgumentTypeError,
        "dataset must be an ImageDataset of timm, whose reader has an order, got TensorDataset",
    ),
    (lambda: UNNAMED.key_filter(), ArgumentValueError, "keys must be given .* got no ids"),
    (
        lambda: ltc.Scores(VALUES, ids=np.arange(N)).select(k=1, balance=None).key_filter(),
        ArgumentValueError,
        "keys must be given where the run was not recorded with names as ids, got integers",
    ),
    (
        lambda: UNNAMED.key_filter(NAMES[:5]),
        ArgumentValueError,
        "keys must be the training split that was scored, 12 samples, got 5",
    ),
    (
        lambda: UNNAMED.key_filter([NAMES[0], *NAMES[:-1]]),
        ArgumentValueError,
        "keys must be unique",
    ),
    (lambda: UNNAMED.key_filter(range(N)), ArgumentTypeError, "keys must be strings, got 0"),
    (
        lambda: UNNAMED.key_filter([[name] for name in NAMES]),
        ArgumentTypeError,
        "keys must be strings, got ",
    ),
    (lambda: UNNAMED.key_filter(set(NAMES)), ArgumentTypeError, "must have an order, got set"),
    (
        lambda: UNNAMED.key_filter(dict.fromkeys(NAMES)),
        ArgumentTypeError,
        "keys must have an order, got dict",
    ),
    (
        lambda: UNNAMED.save_names("x.txt", [f"{i}\udcff" for i in range(N)]),
        ArgumentValueError,
        r"names must be text that UTF-8 can hold, got '\d+\\udcff'",
    ),
    (
        lambda: UNNAMED.save_names("x.csv", NAMES),
        ArgumentValueError,
        "path must end in .txt, got 'x.csv'",
    ),
    (
        lambda: UNNAMED.save_names("x.txt", [f"{i}\n" if i else "\n" for i in range(N)]),
        ArgumentValueError,
        "names must be of one line each, got",
    ),
    (
        lambda: UNNAMED.to_fiftyone(Collection(id=["a"], tags=[[]])),
        ArgumentValueError,
        "ids must be recorded to find the samples, got none",
    ),
    (
        lambda: CORESET.to_fiftyone(Collection(id=["a"], tags=[[]])),
        ArgumentValueError,
        "key must name a field that holds the ids of the run, such as 'n./..', got 'id', which "
        "holds 'a'",
    ),
    (
        lambda: ltc.Scores(VALUES * np.float32("nan"), ids=np.array(NAMES)).to_fiftyone(
            Collection(id=NAMES)
        ),
        ArgumentValueError,
        "scores must be defined for at least one of the samples",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
