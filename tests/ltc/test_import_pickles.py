"""Pickles are read as `pickle.load` reads them, as far as they hold losses, and run nothing."""

import contextlib
import io
import pickle
import struct
import tracemalloc
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ltc.errors import SourceFormatError
from ltc.importers.pickles import Array, Listed, read_pickle
from ltc.importers.pickles.opcodes import NUMBERS, SCALARS, tokens
from ltc.importers.pickles.window import Span
from ltc.importers.spool import Segment, Spool

PROTOCOLS = range(6)
RANDOM = np.random.default_rng(0)


class Named(io.BytesIO):
    """Bytes with the name of a file."""

    name = "losses.pickle"


def read(data, folder):
    """What the reader makes of a pickle, as the objects that were pickled."""
    with (folder / "losses.pickle").open("w+b") as file, Spool(folder) as spool:
        file.write(data)
        file.flush()
        return plain(read_pickle(file, spool))


def plain(value):
    if isinstance(value, Listed):
        items = []
        for part in value.parts:
            items.extend(part.read() if isinstance(part, Segment) else [plain(part)])
        return items
    if isinstance(value, Array):
        return value.elements.read().reshape(value.shape, order=value.order)
    if isinstance(value, Span):
        return Segment(value.file, value.offset, value.size, np.dtype("u1")).read().tobytes()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value


def assert_same(found, expected):
    """Fail unless both hold the same; a long tuple is read as a list, and 0-d arrays as numbers."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert isinstance(found, list if len(expected) > 64 else type(expected))
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, np.ndarray) and expected.shape:
        assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, float | np.floating | np.ndarray):
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, str) and isinstance(found, bytes):  # a long one
        assert found == expected.encode()
    else:
        assert found == expected


LABELS = RANDOM.integers(0, 1000, 1100)
SHARED = list(LABELS)
FLOATS = RANDOM.random(5000)
OBJECTS = {
    "the script's": {
        "epoch": [0, 1, 2],
        "tr_loss": [list(RANDOM.random(1100).astype(np.float32)) for _ in range(3)],
        "tr_lbl": [list(LABELS) for _ in range(3)],
    },
    "python numbers": {
        "losses": [FLOATS.tolist()] * 2,
        "labels": [LABELS.tolist(), [3, 300, 70000]],
    },
    "all kinds of integers": [0, 255, 256, 65535, 65536, -1, 2**31, -(2**63), 2**63 - 1] * 20,
    "mixed lists": [1, 2.5, np.float32(0.1), np.int16(-3), True, 7] * 10,
    "constants": [None, True, False, "", b"", (), {}, []],
    "texts": ["loss", "ä", "\U0001f600", "a\nb\\u0041\\", "x" * 5000, b"\x00\xff", b"\n'" * 9],
    "dicts of numbers": {k: k / 2 for k in range(100)},
    "tuples": [(1, 2), (1, 2, 3, 4), tuple(range(20)), tuple(range(65)), (FLOATS[0],) * 3000],
    "the same labels again": [SHARED, list(SHARED), SHARED[::7], SHARED],
    "one-byte scalars": [np.uint8(k % 7) for k in range(300)] + [np.bool_(True)] * 9,
    "every dtype": [
        list(FLOATS[:30].astype(dtype)) for dtype in ("<f2", ">f4", "f8", "i1", ">i2", "u4", "u8")
    ],
    "arrays": {
        "C": RANDOM.random((3, 700)),
        "F": np.asfortranarray(RANDOM.random((3, 700))),
        "big-endian": RANDOM.random(50).astype(">f4"),
        "strided": RANDOM.random(90)[::3],
        "bool": RANDOM.random(20) < 0.5,
        "empty": np.empty((0, 3), np.float32),
    },
    "an array twice": [FLOATS, FLOATS],
    "arrays of no dimension": [np.array(2.5), np.array(3.5)],
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", OBJECTS)
def test_it_reads_what_pickle_reads(tmp_path, name, protocol):
    data = pickle.dumps(OBJECTS[name], protocol)
    assert_same(read(data, tmp_path), pickle.loads(data))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_pickler_in_python_writes_the_same(tmp_path, protocol):
    file = io.BytesIO()
    pickle._Pickler(file, protocol).dump(OBJECTS["the script's"])
    assert_same(read(file.getvalue(), tmp_path), OBJECTS["the script's"])


def test_a_list_in_itself_is_read(tmp_path):
    endless = []
    endless.append(endless)
    (tmp_path / "p").write_bytes(pickle.dumps(endless))
    with (tmp_path / "p").open("rb") as file, Spool(tmp_path) as spool:
        found = read_pickle(file, spool)
        assert found.parts == [found]


def test_python_2_has_its_bytes_in_strings(tmp_path):
    losses = np.array([0.5, 1.5], "<f4")
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
    )
    text = repr(losses.tobytes())[1:].encode()
    scalar = (
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR"
        b"(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbS" + repr(losses[:1].tobytes())[1:].encode() + b"\ntR"
    )
    old = b"(dS'tr_loss'\n(l" + array + b"S" + text + b"\ntba" + scalar + b"aI7\naL9L\nas."
    found = read(old, tmp_path)
    assert_same(found, {"tr_loss": [losses, 0.5, 7, 9]})
    binary = array + b"U" + bytes([8]) + losses.tobytes() + b"tb."
    assert_same(read(binary, tmp_path), losses)
    binary = array + b"T" + struct.pack("<i", 8) + losses.tobytes() + b"tb."
    assert_same(read(binary, tmp_path), losses)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(("name", "kind"), [("the script's", SCALARS), ("python numbers", NUMBERS)])
def test_runs_are_taken_in_one_step(name, kind, protocol):
    """It is what makes it fast: not one token for each of thousands of numbers."""
    found = [token[0] for token in tokens(Named(pickle.dumps(OBJECTS[name], protocol)))]
    assert found.count(kind) >= 6
    assert len(found) < 1500


def test_a_run_ends_where_the_memo_is_used_otherwise(tmp_path):
    """The same bytes at the beginning of a scalar, and others, as many, at its end."""
    scalars = list(FLOATS[:40].astype(np.float32))
    data = pickle.dumps(scalars, 4)
    end = [at for at in range(len(data)) if data.startswith(b"\x94\x86\x94R\x94", at)][20] + 4
    changed = data[:end] + b"N" + data[end + 1 :]  # None is pushed, the scalar not put
    expected = pickle.loads(changed)
    assert expected[:22] == [*scalars[:21], None]
    assert_same(read(changed, tmp_path), expected)

    data = pickle.dumps([*[f"{k}" for k in range(300)], *scalars], 3)  # numbers beyond one byte
    place = [at for at in range(len(data)) if data.startswith(b"Rr", at)][20] + 2
    number = struct.pack("<I", 9999)
    changed = data[:place] + number + data[place + 4 : -2] + b"j" + number + data[-2:]
    expected = pickle.loads(changed)
    assert expected[-1] in scalars
    assert_same(read(changed, tmp_path), expected)


@pytest.mark.parametrize("protocol", [3, 5])
def test_memory_holds_a_batch_and_not_the_lists(tmp_path, protocol):
    """A published pickle of 6 MB, of which `pickle.load` makes 60 MB."""
    epochs = [list(RANDOM.random(20_000).astype(np.float32)) for _ in range(20)]
    path = tmp_path / "losses.pickle"
    path.write_bytes(pickle.dumps({"tr_loss": epochs}, protocol))
    del epochs
    with path.open("rb") as file, Spool(tmp_path) as spool:
        tracemalloc.start()
        found = read_pickle(file, spool)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(found["tr_loss"].parts) == 20
    assert peak < 5e6


# Nothing is run


class Runs:
    """Pickled as a call of any function."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments, state) if state else (function, arguments)

    def __reduce__(self):
        return self.reduced


def touch(marker):
    Path(marker).touch()


class Instance:
    def __init__(self):
        self.losses = [1.0]


CALLS = {
    "a call of a program": (
        lambda marker: Runs(__import__("os").system, f"touch {marker}"),
        "system",
    ),
    "a call of a function": (lambda marker: Runs(touch, str(marker)), "touch"),
    "eval": (lambda marker: Runs(eval, f"open({str(marker)!r}, 'w')"), "eval"),
    "getattr": (lambda _: Runs(getattr, {}, "keys"), "getattr"),
    "another function of NumPy": (lambda _: Runs(np.load, "x.npy"), "numpy.load"),
    "an array made by another": (lambda _: Runs(np.arange, 3), "numpy.arange"),
    "an instance": (lambda _: Instance(), "Instance|_reconstructor|NEWOBJ"),
    "a class": (lambda _: Instance, "Instance"),
    "a tensor": (lambda _: torch.ones(3), "torch._utils"),
    "an ordered dict": (lambda _: OrderedDict(a=1), "collections.OrderedDict"),
    "a complex number": (lambda _: 1j, "complex"),
    "a set": (lambda _: {1, 2}, "EMPTY_SET|set"),
    "a frozen set": (lambda _: frozenset([1]), "FROZENSET|frozenset"),
    "an array of objects": (lambda _: np.array([None, "a"]), "dtype must be"),
    "an array of strings": (lambda _: np.array(["ab"]), "dtype must be"),
    "an array of fields": (lambda _: np.zeros(2, [("a", "f4")]), "dtype must be"),
    "an array of dates": (lambda _: np.array(["2020"], "M8[D]"), "dtype must be"),
    "an integer of 80 bits": (lambda _: 2**79, "64 bits"),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CALLS)
def test_everything_else_is_refused_by_name(tmp_path, name, protocol):
    make, text = CALLS[name]
    marker = tmp_path / "marker"
    data = pickle.dumps({"tr_loss": [1.0, make(marker)]}, protocol)
    with pytest.raises(SourceFormatError, match=rf"losses.pickle: byte [\d,]+: .*({text})"):
        read(data, tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"cos\nsystem\n(S'touch marker'\ntR.", "byte 0: GLOBAL: os.system is not admitted"),
        (b"(ios\nsystem\n.", "INST is not admitted"),
        (b"(cos\nsystem\nS'ls'\no.", "OBJ is not admitted"),
        (b"\x82\x01.", "EXT1 is not admitted"),
        (b"\x83\x01\x00.", "EXT2 is not admitted"),
        (b"\x84\x01\x00\x00\x00.", "EXT4 is not admitted"),
        (b"P1\n.", "PERSID is not admitted"),
        (b"K\x01Q.", "BINPERSID is not admitted"),
        (b"\x97.", "NEXT_BUFFER is not admitted"),
        (b"K\x012.", "DUP is not admitted"),
        (b"K\x010.", "POP is not admitted"),
        (b"\xf0.", "0xf0 is not admitted"),
        (b"}}b.", "BUILD: only arrays and dtypes have a state, got dict"),
        (b"]}b.", "BUILD: only arrays and dtypes have a state, got Listed"),
        (b"cnumpy\nndarray\n(K\x03tR.", "REDUCE: ndarray must not be called like this"),
        (b"\x8c\x02os\x8c\x06system\x93.", "STACK_GLOBAL: os.system is not admitted"),
        (b"K\x01K\x02\x93.", "STACK_GLOBAL: a module and a name must be strings"),
        (b"}]\x93.", "STACK_GLOBAL: a module and a name must be strings"),
        (b"cnumpy.core.multiarray\nscalar\n(K\x01K\x02tR.", "scalar must not be called like this"),
        (b"K\x01)R.", "REDUCE: int must not be called like this"),
        (b"S'a'\n)R.", "REDUCE: str must not be called like this"),
    ],
)
def test_opcodes_that_make_something_else(tmp_path, data, text):
    with pytest.raises(SourceFormatError, match=text):
        read(data, tmp_path)


def test_the_state_of_an_array_must_fit(tmp_path):
    good = pickle.dumps(np.arange(6, dtype="<f4").reshape(2, 3), 4)
    for old, new, text in (
        (b"K\x02K\x03\x86", b"K\x02K\x04\x86", "must have 32 bytes, got 24"),
        (b"K\x02K\x03\x86", b"K\x02J\xff\xff\xff\xff\x86", "a shape must be of sizes"),
        (b"\x8c\x02f4", b"\x8c\x02O8", "a dtype must be of integers, floats or booleans"),
        (b"\x8c\x01<", b"\x8c\x01x", "the state of a dtype must be a plain one"),
    ):
        assert old in good
        with pytest.raises(SourceFormatError, match=text):
            read(good.replace(old, new).replace(b"\x95", b"\x95", 1), tmp_path)


# Damage


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "the pickle ends too early: 1 more bytes are needed"),
        (b"K", "ends too early"),
        (b"X\xff\xff\xff\x7fabc", "ends too early: 2,147,483,647 more bytes"),
        (b"\x8e" + b"\xff" * 8, "ends too early"),
        (b"I12", "a line must end"),
        (b"Ix\n.", "INT: invalid literal"),
        (b"I" + b"9" * 100 + b"\n.", "INT: a number must have at most 64 characters"),
        (b"I99999999999999999999\n.", "INT: an integer must fit into 64 bits"),
        (b"\x8b\xff\xff\xff\xff.", "LONG4: an integer must fit into 64 bits"),
        (b"\x8b\x00\x00\x00\x40.", "LONG4: an integer must fit into 64 bits"),
        (b"Fx\n.", "FLOAT: could not convert"),
        (b"Sx\n.", "STRING: a string must be in quotes"),
        (b"\x8c\x01\xff.", "SHORT_BINUNICODE: .*utf-8"),
        (b"T\xff\xff\xff\xff.", "BINSTRING: a size must not be negative"),
        (b"g5\n.", "GET: the memo must have been filled at 5"),
        (b"g-5\n.", "GET: a position in the memo must not be negative"),
        (b"h\x05.", "BINGET: the memo must have been filled at 5"),
        (b"a.", "APPEND: there must be a value on the stack"),
        (b"K\x01a.", "APPEND: there must be a value on the stack"),
        (b"K\x01K\x01a.", "APPEND: items must be added to a list, got int"),
        (b"e.", "APPENDS: there must be a mark"),
        (b"(K\x01u.", "SETITEMS: there must be a value|items must be set in a dict"),
        (b"}(K\x01u.", "SETITEMS: every key must have a value"),
        (b"}]K\x01s.", "SETITEM: a key must be a string or a number, got Listed"),
        (b".", "STOP: one object must be left on the stack"),
        (b"K\x01K\x01.", "STOP: one object must be left on the stack"),
        (b"(K\x01.", "STOP: one object must be left on the stack"),
        (b"K\x01" * 9 + b".", "STOP: one object must be left on the stack"),
        (b"K\x01.K\x02.", "must hold one pickle, got 3 bytes more after its end"),
        (b"(K\x01\x86.", "TUPLE2: there must be a value on the stack"),
    ],
)
def test_damage_is_named_with_its_place(tmp_path, data, text):
    with pytest.raises(SourceFormatError, match=rf"losses.pickle: byte \d+: .*({text})"):
        read(data, tmp_path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_part_of_a_pickle_is_a_pickle(tmp_path, protocol):
    data = pickle.dumps({"a": [np.float32(1.5)] * 3, "b": np.arange(3), "c": (1, "x")}, protocol)
    for end in range(len(data)):
        with pytest.raises(SourceFormatError):
            read(data[:end], tmp_path)


NUMBER = (
    st.integers(-(2**53), 2**53)
    | st.floats()
    | st.booleans()
    | arrays.from_dtype(np.dtype("f4"))
    | arrays.from_dtype(np.dtype("i8")).filter(lambda value: abs(int(value)) < 2**53)
    | arrays.from_dtype(np.dtype("u1"))
)
ARRAY = arrays.arrays(
    st.sampled_from(["f2", "<f4", ">f8", "i4", "u1", "?"]), arrays.array_shapes(max_dims=2)
)
LEAF = NUMBER | st.none() | st.text() | st.binary() | ARRAY
KEYS = st.text() | st.integers(-9, 9)
OBJECT = st.recursive(
    LEAF,
    lambda item: (
        st.lists(item, max_size=30)
        | st.lists(item, max_size=5).map(tuple)
        | st.dictionaries(KEYS, item, max_size=5)
        | item.map(lambda same: [same, same])
    ),
    max_leaves=30,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pickles")


@given(OBJECT, st.integers(0, 5))
@settings(max_examples=200)
def test_any_object_of_these_kinds(folder, value, protocol):
    data = pickle.dumps(value, protocol)
    assert_same(read(data, folder), pickle.loads(data))


@given(
    st.sampled_from(["the script's", "texts", "arrays", "tuples", "mixed lists"]),
    st.integers(0, 5),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=3),
)
@settings(max_examples=200)
def test_mutated_bytes_are_read_or_refused(folder, name, protocol, changes):
    """Never another exception, and never without end."""
    data = bytearray(pickle.dumps(SMALL[name], protocol))
    for place, value in changes:
        data[int(place * len(data))] = value
    with contextlib.suppress(SourceFormatError):
        read(bytes(data), folder)


SMALL = {
    "the script's": {"tr_loss": [list(FLOATS[:20].astype("f4"))], "tr_lbl": [list(LABELS[:20])]},
    "texts": OBJECTS["constants"] + ["ab", b"cd"],
    "arrays": {"C": FLOATS[:6].reshape(2, 3), "F": np.asfortranarray(FLOATS[:6].reshape(2, 3))},
    "tuples": [(1, 2), tuple(range(20)), {"a": 1, 2: 3}],
    "mixed lists": OBJECTS["mixed lists"][:20],
}
