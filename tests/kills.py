"""What a store must hold after a writer was killed."""

import hashlib
import itertools

import numpy as np
import stores

from ltc.errors import StoreNotFoundError
from ltc.store import open_store


def check_after_kill(path, known, possible, **sizes):
    """Compare every commit with what was recorded, and with its bytes after the last kill.

    Parameters
    ----------
    known : dict
        The checksums of each row after the last kill.
    possible : set of int or None
        What `committed` may be by what the writer said; None if it had not begun to change it.
    **sizes : int
        Samples of each split; `stores.losses` are recorded at each checkpoint.

    Returns
    -------
    dict
        The checksums of each row now.
    """
    try:
        store = open_store(path)
    except StoreNotFoundError:
        assert not known if possible is None else 0 in possible
        return {}
    assert store.committed in ({len(known)} if possible is None else possible)
    assert store.checkpoints.tolist() == list(range(store.committed))
    assert [commit.train.observed for commit in store.commits] == [sizes["train"]] * store.committed
    assert store.verify().ok
    now = {row: row_digests(path, row) for row in range(store.committed)}
    for row, split in itertools.product(now, ("train", "val")):
        if known.get(row) != now[row]:  # new, or rewound and recorded again: with the same losses
            assert row not in known
            expected = stores.losses(split, row, sizes[split])
            np.testing.assert_array_equal(store.read(split, checkpoints=[row])[0], expected)
    return now


def row_digests(path, row):
    files = sorted(path.glob(f"*/losses/c/{row}/*"))
    assert {file.parts[-5] for file in files} == {"train", "val"}
    return [hashlib.blake2b(file.read_bytes()).hexdigest() for file in files]
