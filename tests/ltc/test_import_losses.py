"""Losses that something else has recorded, from every kind of source: all of it, or an error."""

import json
import pickle
import re
import zipfile

import numpy as np
import pytest

import ltc
from ltc.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    SourceFormatError,
    StoreExistsError,
)
from ltc.importers import import_losses, json_lines, spool
from ltc.store.files import LocalFiles

T, N, M = 5, 30, 8
RANDOM = np.random.default_rng(0)
LOSSES = {
    "train": RANDOM.exponential(size=(T, N)).astype(np.float32),
    "val": RANDOM.exponential(size=(T, M)).astype(np.float32),
}
LABELS = {"train": RANDOM.integers(0, 3, N), "val": np.arange(M) % 3}
INDICES = {"train": RANDOM.permutation(100)[:N], "val": RANDOM.permutation(100)[:M]}


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run.zarr"


def assert_holds(run, losses=LOSSES, labels=LABELS, ids=None, checkpoints=range(T)):
    store = ltc.open_store(run)
    assert store.checkpoints.tolist() == list(checkpoints)
    for split in ("train", "val"):
        np.testing.assert_array_equal(store.read(split), losses[split].astype(np.float16))
        for found, expected in (
            (store.labels(split), labels),
            (store.ids(split), ids),
        ):
            if expected is None:
                assert found is None
            else:
                np.testing.assert_array_equal(found, expected[split])
    assert store.verify().ok


def fails(folder, text, *arguments, error=SourceFormatError, **options):
    """The import raises, and leaves nothing behind."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(error, match=text):
        import_losses(*arguments, **options)
    assert sorted(folder.rglob("*")) == before


# The papers' script


def published(change=None):
    """What the script pickles: NumPy scalars in lists."""
    results = {
        "epoch": list(range(T)),
        "tr_loss": [list(row) for row in LOSSES["train"]],
        "val_loss": [list(row) for row in LOSSES["val"]],
        "tr_lbl": [list(LABELS["train"]) for _ in range(T)],
        "val_lbl": [list(LABELS["val"]) for _ in range(T)],
    }
    return {**results, **(change or {})}


def pickled(path, value, protocol=pickle.HIGHEST_PROTOCOL):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


FORMS = {
    "lists of scalars": {},
    "lists of numbers": {
        "tr_loss": LOSSES["train"].astype(float).tolist(),
        "tr_lbl": [LABELS["train"].tolist()] * T,
    },
    "arrays for each epoch": {"tr_loss": list(LOSSES["train"]), "tr_lbl": [LABELS["train"]] * T},
    "tuples": {"tr_loss": tuple(map(tuple, LOSSES["train"])), "val_lbl": (tuple(range(M)),) * T},
    "one array": {"tr_loss": LOSSES["train"], "val_lbl": np.tile(np.arange(M) % 3, (T, 1))},
    "one array by columns": {"tr_loss": np.asfortranarray(LOSSES["train"])},
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("form", FORMS)
def test_the_published_pickle(tmp_path, run, form, protocol):
    import_losses(pickled(tmp_path / "l.pickle", published(FORMS[form]), protocol), run)
    labels = {**LABELS, "val": np.arange(M) if form == "tuples" else LABELS["val"]}
    assert_holds(run, labels=labels)


def test_scores_are_those_of_the_losses_themselves(tmp_path, run):
    import_losses(pickled(tmp_path / "l.pkl", published()), run)
    labels = {"train_labels": LABELS["train"], "val_labels": LABELS["val"]}
    ltc.write_store(tmp_path / "same.zarr", LOSSES["train"], LOSSES["val"], **labels)
    found, expected = ltc.score(run), ltc.score(tmp_path / "same.zarr")
    np.testing.assert_array_equal(found.values, expected.values)


def test_the_split_file_gives_the_ids(tmp_path, run):
    split = {
        "dataset": "CIFAR100",
        "val_split_ratio": 0.1,
        "train_indices": INDICES["train"].tolist(),
        "val_indices": INDICES["val"].tolist(),
    }
    losses = pickled(tmp_path / "l.pickle", published())
    import_losses(losses, run, split_file=pickled(tmp_path / "split.pkl", split))
    assert_holds(run, ids=INDICES)
    short = pickled(tmp_path / "short.pkl", {**split, "val_indices": [1, 2]})
    text = r"short.pkl: val_indices must have one index for each of 8 samples in .*, got 2"
    fails(tmp_path, text, losses, tmp_path / "other.zarr", split_file=short)
    floats = pickled(tmp_path / "floats.pkl", {**split, "val_indices": [0.5] * M})
    text = "floats.pkl: val_indices must hold integers, got float64"
    fails(tmp_path, text, losses, tmp_path / "other.zarr", split_file=floats)


def test_epochs_of_a_resumed_run_keep_their_numbers(tmp_path, run):
    epochs = [30, 31, 33, 34, 40]
    import_losses(pickled(tmp_path / "l.pickle", published({"epoch": epochs})), run)
    assert_holds(run, checkpoints=epochs)


def test_a_pickle_without_labels(tmp_path, run):
    results = published()
    del results["tr_lbl"], results["val_lbl"], results["epoch"]
    import_losses(pickled(tmp_path / "l.pickle", results), run)
    assert_holds(run, labels=None)


def changed(key, epoch, value):
    rows = published()[key]
    return {key: [*rows[:epoch], value, *rows[epoch + 1 :]]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tr_loss": 3}, r"tr_loss must be a list of one list per epoch, .* got a int"),
        ({"tr_loss": []}, "tr_loss must have at least one epoch and one sample"),
        ({"tr_loss": [[]] * T}, "tr_loss must have at least one epoch and one sample"),
        (
            {"tr_loss": LOSSES["train"][0].tolist()},
            r"tr_loss\[0\] must be a list or an array of numbers, got numbers",
        ),
        (
            {"tr_loss": np.zeros((T, N, 2))},
            r"tr_loss must be a list .*, got an array of shape \(5, 30, 2\)",
        ),
        (
            changed("tr_loss", 2, [1.0] * (N - 1)),
            r"tr_loss\[2\] must have as many samples as tr_loss\[0\], 30, got 29",
        ),
        (
            changed("tr_loss", 1, [*[1.5] * 20, "x", *[1.5] * 9]),
            r"tr_loss\[1\]\[20\] must be a number, got a str",
        ),
        (changed("val_loss", 1, [[1.0]] * M), r"val_loss\[1\]\[0\] must be a number, got a list"),
        ({"val_loss": [[1.0] * M] * 4}, "val_loss must have as many epochs as tr_loss, 5, got 4"),
        (
            changed("tr_lbl", 3, list(LABELS["train"][::-1])),
            r"tr_lbl\[3\] must be tr_lbl\[0\], .* got \d in place of \d at position \d",
        ),
        (
            {"tr_lbl": [[0.5] * N] * T},
            r"tr_lbl\[0\] must have an integer for each of 30 samples, got 30 of float64",
        ),
        ({"val_lbl": [[0] * 3] * T}, r"val_lbl\[0\] must have an integer for each of 8 samples"),
        ({"val_lbl": [[-1] * M] * T}, r"val_labels must lie in 0\.\.\d+, got -1 at sample 0"),
        ({"epoch": [1, 2, 2, 3, 4]}, "epoch must have 5 ascending numbers.*5: 1, 2, 2, 3, 4"),
        ({"epoch": [1]}, "epoch must have 5 ascending numbers, one per epoch of tr_loss, got 1: 1"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, run, change, text):
    source = pickled(tmp_path / "l.pickle", published(change))
    fails(tmp_path, r"l\.pickle: " + text, source, run)


def test_keys_that_are_missing(tmp_path, run):
    results = published()
    del results["val_loss"], results["val_lbl"]
    source = pickled(tmp_path / "l.pickle", results)
    fails(tmp_path, r"must have the key 'val_loss', got 'epoch', 'tr_loss', 'tr_lbl'", source, run)
    source = pickled(tmp_path / "l.pickle", [1, 2])
    fails(tmp_path, r"must hold a dict, got a list", source, run)


# NumPy's files


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f8", "f2"])
def test_npz(tmp_path, run, save, order, dtype, monkeypatch):
    monkeypatch.setattr(spool, "TURNED", 200)  # columns in several blocks
    losses = {split: array.astype(dtype, order=order) for split, array in LOSSES.items()}
    save(
        tmp_path / "l.npz",
        **losses,
        train_labels=LABELS["train"],
        val_labels=LABELS["val"],
        train_ids=[f"image{k}" for k in range(N)],
        val_ids=INDICES["val"],
        checkpoints=np.arange(T) / 2,
    )
    import_losses(tmp_path / "l.npz", run)
    ids = {"train": [f"image{k}" for k in range(N)], "val": INDICES["val"]}
    assert_holds(run, losses=losses, ids=ids, checkpoints=np.arange(T) / 2)


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_for_each_split(tmp_path, run, order):
    for split, losses in LOSSES.items():
        np.save(tmp_path / f"{split}.npy", np.asarray(losses, order=order))
    import_losses(
        tmp_path / "train.npy",
        run,
        val=tmp_path / "val.npy",
        train_labels=LABELS["train"],
        val_labels=LABELS["val"].tolist(),
        compression="zstd",
        fsync=True,
    )
    assert_holds(run)
    assert ltc.open_store(run).compression == "zstd"


def test_arrays_that_are_no_losses(tmp_path, run):
    source = tmp_path / "l.npz"
    good = {split: losses.copy() for split, losses in LOSSES.items()}
    for arrays, text in (
        ({**good, "trian": LABELS["train"]}, "must be called train and val.*got train, val, trian"),
        ({"train": good["train"]}, "must be called train and val.*got train$"),
        ({**good, "train": good["train"][0]}, r"train must have shape .*, got \(30,\)"),
        ({**good, "train": good["train"][:0]}, r"train must have shape .*, got \(0, 30\)"),
        ({**good, "val": LABELS["val"][None]}, "val must hold floating-point numbers, got int64"),
        ({**good, "val": good["val"][:4]}, r"l.npz: val must have as many checkpoints as train, 5"),
        ({**good, "train_labels": LABELS["train"]}, "must be given together"),
        ({**good, "train_ids": INDICES["val"]}, "train_ids must have one entry per sample"),
        (
            {**good, "train": np.array([[None]])},
            "train must hold floating-point numbers, got object",
        ),
        ({**good, "val_ids": np.array([None])}, "val_ids: not an array in NumPy's format: Object"),
        ({**good, "checkpoints": [1, 2, 2, 3, 4]}, "checkpoints must be finite and strictly"),
    ):
        np.savez(source, **arrays)
        fails(tmp_path, text, source, run)


def test_files_that_are_damaged(tmp_path, run):
    np.save(tmp_path / "val.npy", LOSSES["val"])
    whole = (tmp_path / "val.npy").read_bytes()
    source = tmp_path / "train.npy"
    for data, text in (
        (b"", "train.npy: not an array in NumPy's format"),
        (whole[:60], "train.npy: not an array in NumPy's format"),
        (whole[:-8], "train.npy: the file ends too early: it must have 288 bytes, got 280"),
        (b"x" + whole[1:], "train.npy: not an array in NumPy's format: the magic string"),
        (whole.replace(b"(5, 8)", b"(5,-8)"), r"train.npy must have shape .*, got \(5, -8\)"),
    ):
        source.write_bytes(data)
        fails(tmp_path, text, source, run, val=tmp_path / "val.npy")
    archive = tmp_path / "l.npz"
    archive.write_bytes(b"PK not at all")
    fails(tmp_path, "l.npz: must be a whole .npz archive", archive, run)
    np.savez_compressed(archive, **LOSSES)
    data = bytearray(archive.read_bytes())
    data[200] ^= 0xFF
    archive.write_bytes(data)
    fails(tmp_path, "l.npz: must be a whole .npz archive", archive, run)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train.npy", whole[:-8])
        file.writestr("val.npy", whole)
    fails(tmp_path, r"l.npz: train: \(5, 8\) of float32 must have 160 bytes, got 152", archive, run)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train.npy", whole + bytes(10**6))
        file.writestr("val.npy", whole)
    fails(tmp_path, r"l.npz: train: .* must have 160 bytes, got more", archive, run)


# A directory


def folder(path, splits=("train", "val"), names="epoch_{}.npz"):
    """The losses in files of their own, samples in another order in each."""
    for split in splits:
        (path / split).mkdir(parents=True)
        for t, losses in enumerate(LOSSES[split]):
            order = np.random.default_rng(t).permutation(losses.size)
            file = path / split / names.format(t * 5)
            if names.endswith("npz"):
                np.savez(file, index=order.astype("u8"), loss=losses[order])
            else:
                np.save(file, losses)
    return path


@pytest.mark.parametrize("names", ["epoch_{}.npz", "run2-{}.npz", "{}.npy"])
def test_a_directory(tmp_path, run, names):
    source = folder(tmp_path / "losses", names=names)
    (source / "train" / ".notes.txt").write_text("not ours")
    for split in ("train", "val"):
        np.save(source / split / "labels.npy", LABELS[split])
        np.save(source / split / "ids.npy", INDICES[split])
    import_losses(source, run)
    assert_holds(run, ids=INDICES, checkpoints=[0, 5, 10, 15, 20])


def test_a_directory_in_which_samples_and_files_are_missing(tmp_path, run):
    source = folder(tmp_path / "losses")
    losses = {split: array.copy() for split, array in LOSSES.items()}
    losses["train"][1, 3:] = np.nan
    losses["train"][1, 0] = (losses["train"][1, 0] + 7) / 2
    losses["val"][2] = np.nan
    row = LOSSES["train"][1]
    np.savez(source / "train/epoch_5.npz", index=[2, 0, 0, 1], loss=[row[2], row[0], 7, row[1]])
    (source / "val/epoch_10.npz").unlink()
    with pytest.warns(UserWarning, match=r"losses/val: there is no file for 1 of 5 checkpoints"):
        import_losses(source, run)
    assert_holds(run, losses, labels=None, checkpoints=[0, 5, 10, 15, 20])
    commits = ltc.open_store(run).commits
    assert (commits[1].train.observed, commits[1].train.duplicate) == (3, 1)
    assert (commits[2].val.observed, commits[2].val.mode) == (0, "none")


@pytest.mark.parametrize(
    ("split", "name", "arrays", "text"),
    [
        ("val", "notes.npz", {}, r"val/notes\.npz: a file must be labels\.npy or ids\.npy, or end"),
        ("val", "epoch_2.txt", {}, r"val/epoch_2\.txt: a file must be"),
        ("val", "other_10.npz", {}, r"other_10\.npz: no two files may have the same number, 10"),
        ("val", "epoch_7.npz", {"index": [0]}, "must have the arrays index and loss, got index"),
        (
            "val",
            "epoch_7.npz",
            {"index": [0, 1], "loss": [0.5]},
            r"loss must have one entry per index, shape \(2,\), got \(1,\)",
        ),
        (
            "val",
            "epoch_7.npz",
            {"index": [0.0], "loss": [0.5]},
            r"epoch_7\.npz: index must hold integers \[sample\]",
        ),
        (
            "val",
            "epoch_7.npz",
            {"index": [0], "loss": [1]},
            r"epoch_7\.npz: losses must be floating-point numbers",
        ),
        (
            "val",
            "epoch_7.npz",
            {"index": [10**15], "loss": [0.5]},
            r"epoch_7\.npz: index must be a position in val, of which there are \d+ losses up to",
        ),
        (
            "val",
            "epoch_7.npz",
            {"index": [3, -1], "loss": [0.5, 0.5]},
            r"epoch_7\.npz: index must lie in 0\.\.7, got -1 at position 1",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*there is no file")
def test_files_of_a_directory_that_do_not_fit(tmp_path, run, split, name, arrays, text):
    source = folder(tmp_path / "losses")
    if arrays:
        np.savez(source / split / name, **arrays)
    else:
        (source / split / name).touch()
    fails(tmp_path, text, source, run)


def test_directories_that_are_none_of_losses(tmp_path, run):
    fails(tmp_path, "must have the directories train and val", tmp_path, run)
    source = folder(tmp_path / "losses", splits=["train"])
    (source / "val").mkdir()
    fails(tmp_path, r"losses/val: must have at least one file of losses, got none", source, run)
    np.save(source / "val/epoch_0.npy", LOSSES["val"][0])
    text = r"epoch_\d+\.npz: index must lie in 0\.\.2, got \d+ at position \d"
    with pytest.warns(UserWarning, match="no file for 4 of 5"):
        fails(tmp_path, text, source, run, train_labels=[0, 1, 2], val_labels=LABELS["val"])


# JSON lines


def lines(key="index", **more):
    """A line for every loss."""
    names = {
        split: [f"{split}{k:02}" for k in range(size)] for split, size in (("train", N), ("val", M))
    }
    return [
        {
            "epoch": t,
            "split": split,
            key: k if key == "index" else names[split][k],
            "loss": float(losses[t, k]),
            **{name: values[split][k] for name, values in more.items()},
        }
        for t in range(T)
        for split, losses in LOSSES.items()
        for k in range(losses.shape[1])
    ]


def write_lines(path, objects, order=None):
    text = [json.dumps(each) for each in objects]
    if order is not None:
        text = [text[k] for k in order]
    path.write_text("\n".join(text) + "\n\n")
    return path


ORDERS = {
    "as recorded": np.arange(T * (N + M)),
    "backwards": np.arange(T * (N + M))[::-1],
    "any": np.random.default_rng(1).permutation(T * (N + M)),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("key", ["index", "id"])
@pytest.mark.parametrize("in_memory", [7, 1 << 20])
def test_json_lines_in_any_order(tmp_path, run, monkeypatch, order, key, in_memory):
    monkeypatch.setattr(json_lines, "IN_MEMORY", in_memory)
    labels = {split: values.tolist() for split, values in LABELS.items()}
    source = write_lines(tmp_path / "l.jsonl", lines(key, label=labels), ORDERS[order])
    import_losses(source, run)
    ids = {split: [f"{split}{k:02}" for k in range(len(LABELS[split]))] for split in LABELS}
    assert_holds(run, ids=ids if key == "id" else None)


def test_json_lines_with_ids_that_are_given(tmp_path, run):
    ids = {
        split: [f"{split}{k:02}" for k in range(size)] for split, size in (("train", N), ("val", M))
    }
    source = write_lines(tmp_path / "l.ndjson", lines("id"))
    backwards = {
        f"{split}_{name}": values[split][::-1]
        for split in ids
        for name, values in (("ids", ids), ("labels", LABELS))
    }
    import_losses(source, run, **backwards)
    assert_holds(
        run,
        {split: losses[:, ::-1] for split, losses in LOSSES.items()},
        {split: values[::-1] for split, values in LABELS.items()},
        {split: values[::-1] for split, values in ids.items()},
    )
    labels = {name: values for name, values in backwards.items() if "labels" in name}
    other = tmp_path / "other.zarr"
    text = "train_ids must be given with train_labels, in the same order"
    fails(tmp_path, text, source, other, error=ArgumentValueError, **labels)
    backwards["train_ids"] = backwards["train_ids"][1:]
    text = "l.ndjson: line 30: id must be one of the ids of train, got 'train29'"
    fails(tmp_path, text, source, other, **backwards)
    backwards["train_ids"] = ["a"] * N
    text = "train_ids must each be one sample's, got 29 that are another's, too"
    fails(tmp_path, text, source, other, error=ArgumentValueError, **backwards)


def test_json_lines_with_losses_missing_repeated_and_not_finite(tmp_path, run):
    objects = lines()
    objects[0]["loss"] = float("nan")
    objects[1]["loss"] = 1e9
    objects[M + N]["loss"] = 10**400
    objects.append({**objects[2], "loss": objects[2]["loss"] + 1})
    del objects[3]
    import_losses(write_lines(tmp_path / "l.jsonl", objects), run)
    losses = {split: array.copy() for split, array in LOSSES.items()}
    losses["train"][0, [0, 3]] = np.nan
    losses["train"][0, 1] = 65504
    losses["train"][0, 2] += 0.5
    losses["train"][1, 0] = np.nan
    assert_holds(run, losses, labels=None)
    commit = ltc.open_store(run).commits[0].train
    assert (commit.observed, commit.duplicate, commit.clipped, commit.nonfinite) == (N - 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{", r"a line must be a JSON object \(Expecting.*\), got b'\{\\n'"),
        ("[1]", "a line must be a JSON object, got"),
        ("[" * 100_000, "a line must be a JSON object"),
        ("1" * 2_000_000, "a line must have at most 1,048,576 bytes"),
        ("\udcff", "a line must be a JSON object"),
        ({"split": "test"}, "split must be 'train' or 'val', got 'test'"),
        ({"split": None}, "split must be 'train' or 'val', got None"),
        ({"epoch": None}, "epoch must be a finite number, got None"),
        ({"epoch": "1"}, "epoch must be a finite number, got '1'"),
        ({"epoch": True}, "epoch must be a finite number, got True"),
        ({"epoch": float("inf")}, "epoch must be a finite number, got inf"),
        ({"epoch": 10**400}, "epoch must be a finite number, got 1000"),
        ({"checkpoint": 1}, "a line must have either 'epoch' or 'checkpoint'"),
        ({"index": -1}, "index must be an integer from 0, got -1"),
        ({"index": "a"}, "index must be an integer from 0, got 'a'"),
        ({"index": 1.5}, "index must be an integer or a string, got 1.5"),
        ({"index": True}, "index must be an integer or a string, got True"),
        ({"id": 1}, "a line must have either 'index' or 'id'"),
        ({"loss": None}, "loss must be a number, got None"),
        ({"loss": "0.5"}, "loss must be a number, got '0.5'"),
        ({"loss": True}, "loss must be a number, got True"),
        ({"label": -1}, r"label must be an integer in 0\.\.2147483647, got -1"),
        ({"label": 1.0}, "label must be an integer in .*, got 1.0"),
        ({"index": 2**70}, "index must fit into 64 bits"),
    ],
)
def test_lines_that_are_none(tmp_path, run, line, text):
    objects = [json.dumps(each) for each in lines()]
    if isinstance(line, dict):
        line = json.dumps({**lines()[6], **line})
    objects[6] = line
    source = tmp_path / "l.jsonl"
    source.write_bytes("\n".join(objects).encode("utf-8", "surrogateescape"))
    fails(tmp_path, rf"l\.jsonl: line 7: {text}", source, run)


def test_lines_that_contradict_each_other(tmp_path, run):
    for change, text in (
        ({0: {"label": 1}, 38: {"label": 2}}, "line 39: label must be the same .*, got 2 after 1"),
        ({0: {"label": 1}}, "every sample of train must have a label if one has, got none for sam"),
        ({7: {"index": 10**7}}, r"line 8: index must be a position in train, .* 150 losses, got"),
    ):
        objects = lines()
        for number, more in change.items():
            objects[number].update(more)
        fails(tmp_path, text, write_lines(tmp_path / "l.jsonl", objects), run)
    objects = lines()
    objects[5]["id"] = objects[5].pop("index")
    text = "line 6: samples of train must all be told by their index, as those before are, got id"
    fails(tmp_path, text, write_lines(tmp_path / "l.jsonl", objects), run)
    only = [each for each in lines() if each["split"] == "train"]
    text = "l.jsonl: there must be losses of val, got none"
    fails(tmp_path, text, write_lines(tmp_path / "l.jsonl", only), run)
    source = write_lines(tmp_path / "l.jsonl", lines())
    text = r"line \d+: index must lie in 0\.\.28, as there are 29 samples of train, got 29"
    fails(tmp_path, text, source, run, train_labels=[0] * 29, val_labels=LABELS["val"])
    mixed = [{"id": each.pop("index"), **each} for each in lines()]
    mixed[0]["id"] = "a"
    text = "the ids of train must all be integers or all be strings"
    fails(tmp_path, text, write_lines(tmp_path / "l.jsonl", mixed), run)


# All kinds


def test_a_store_is_never_replaced(tmp_path, run):
    np.savez(tmp_path / "l.npz", **LOSSES)
    run.mkdir()
    import_losses(tmp_path / "l.npz", run)  # an empty directory is as good as none
    assert_holds(run, labels=None)
    text = "run.zarr: there is something already, and an import makes a new store; remove it first"
    fails(tmp_path, text, tmp_path / "l.npz", run, error=StoreExistsError)
    assert_holds(run, labels=None)
    (tmp_path / "file").write_text("precious")
    fails(
        tmp_path, "something already", tmp_path / "l.npz", tmp_path / "file", error=StoreExistsError
    )


def test_a_store_that_appears_meanwhile_is_not_replaced(tmp_path, run, monkeypatch):
    np.savez(tmp_path / "l.npz", **LOSSES)
    read = ltc.importers.losses.read_npz

    def read_while_another_writes(path, spool):
        ltc.write_store(run, LOSSES["train"] + 1, LOSSES["val"])
        return read(path, spool)

    monkeypatch.setattr("ltc.importers.losses.read_npz", read_while_another_writes)
    with pytest.raises(StoreExistsError, match="there is something already"):
        import_losses(tmp_path / "l.npz", run)
    assert_holds(run, {**LOSSES, "train": LOSSES["train"] + 1}, labels=None)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_full_disk_leaves_nothing(tmp_path, run, monkeypatch):
    np.savez(tmp_path / "l.npz", **LOSSES)
    replace = LocalFiles.replace

    def replace_or_fail(files, key, data):
        if key.startswith("val/losses/c/3"):
            raise OSError(28, "No space left on device")
        replace(files, key, data)

    monkeypatch.setattr(LocalFiles, "replace", replace_or_fail)
    fails(tmp_path, "No space left", tmp_path / "l.npz", run, error=OSError)
    monkeypatch.undo()
    import_losses(tmp_path / "l.npz", run)


def test_arguments_that_do_not_fit(tmp_path, run):
    np.savez(tmp_path / "l.npz", **LOSSES)
    np.save(tmp_path / "l.npy", LOSSES["train"])
    for source, options, error, text in (
        ("l.npz", {"val": "v.npy"}, ArgumentValueError, "val must be given for an .npy file only"),
        ("l.npz", {"split_file": "s.pkl"}, ArgumentValueError, "split_file must be given for a pi"),
        ("l.npy", {}, ArgumentValueError, "val must be the .npy file of validation losses"),
        ("l.npz", {"compression": "lz4"}, ArgumentValueError, "compression must be None or 'zstd'"),
        (
            "l.npz",
            {"train_labels": [0.5] * N, "val_labels": [0] * M},
            SourceFormatError,
            "integers",
        ),
        ("l.npz", {"train_labels": 3, "val_labels": [0] * M}, SourceFormatError, "one entry per"),
        ("l.csv", {}, ArgumentValueError, r"source must be a directory, or end in \.pickle, \.pkl"),
        ("absent.npz", {}, FileNotFoundError, "absent.npz"),
    ):
        fails(tmp_path, text, tmp_path / source, run, error=error, **options)
    fails(tmp_path, "path must be a str", tmp_path / "l.npz", 3, error=ArgumentTypeError)


def test_labels_that_are_given_take_the_place_of_the_source_s(tmp_path, run):
    source = pickled(tmp_path / "l.pickle", published())
    coarse = {"train": LABELS["train"] // 2, "val": LABELS["val"] // 2}
    import_losses(source, run, train_labels=coarse["train"], val_labels=coarse["val"])
    assert_holds(run, labels=coarse)


def test_the_docstring_names_every_suffix():
    for suffix in (".pickle", ".pkl", ".npz", ".npy", ".jsonl", ".ndjson"):
        assert re.search(rf"``{re.escape(suffix)}``", import_losses.__doc__)
