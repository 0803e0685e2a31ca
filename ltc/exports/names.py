"""Names of the samples in a coreset: keys of shards, and lists of files."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ltc.atomic import atomic_file, checked_suffix
from ltc.errors import ArgumentTypeError, ArgumentValueError
from ltc.exports.data_sets import check_length

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class KeyFilter:
    """Whether a sample of webdataset is in a coreset; :meth:`ltc.Coreset.key_filter` makes one.

    Attributes
    ----------
    keys : frozenset of str
        Of the samples in the coreset.

    Examples
    --------
    >>> keep = KeyFilter(frozenset(["n01/a"]))
    >>> keep({"__key__": "n01/a", "jpg": b""}), keep({"__key__": "n01/b", "jpg": b""})
    (True, False)
    """

    keys: frozenset[str]

    def __call__(self, sample: Mapping[str, Any]) -> bool:
        """Return whether the sample is in the coreset."""
        return sample["__key__"] in self.keys


def chosen_names(
    name: str,
    names: Sequence[str] | None,
    ids: NDArray[Any] | None,
    indices: NDArray[np.int64],
    num_samples: int | None,
) -> list[str]:
    """Return the names of the samples in a coreset.

    Parameters
    ----------
    name : str
        What the argument is called.
    names : sequence of str or None
        Of all training samples; None: the ids are the names.
    ids : int64 or str [k], or None
        Of the samples in the coreset.
    indices : int64 [k]
        Of the samples in the coreset.
    num_samples : int or None
        How many training samples there are, if that is known.

    Raises
    ------
    ArgumentTypeError
        They are no strings.
    ArgumentValueError
        There are no ids, or the names are not those of all samples, or not unique.
    """
    if names is None:
        if ids is None or ids.dtype.kind in "iu":
            got = "no ids" if ids is None else "integers"
            raise ArgumentValueError(
                f"{name} must be given where the run was not recorded with names as ids, got {got}"
            )
        return [str(each) for each in ids.tolist()]
    if isinstance(names, Set | Mapping):
        raise ArgumentTypeError(f"{name} must have an order, got {type(names).__name__}")
    check_length(name, names, indices, num_samples)
    ordered = list(names)  # a column of pandas goes by its own labels: names[i] needn't be the i-th
    for each in ordered:
        if not isinstance(each, str):
            raise ArgumentTypeError(f"{name} must be strings, got {each!r}")
    if len(set(ordered)) < len(ordered):
        raise ArgumentValueError(f"{name} must be unique, got one that is there twice")
    return [str(ordered[index]) for index in indices.tolist()]


def write_names(path: str | os.PathLike[str], names: list[str]) -> None:
    """Write a text file with a name per line, whole or not at all.

    Raises
    ------
    ArgumentValueError
        Another suffix than ``.txt``, or a name of more than one line, or that UTF-8 can't hold.
    OSError
        The file can't be written.
    """
    path = checked_suffix(path, (".txt",))
    for each in names:
        if not each or {"\n", "\r"} & set(each):
            raise ArgumentValueError(f"names must be of one line each, got {each!r}")
    try:
        text = "".join(f"{each}\n" for each in names).encode()
    except UnicodeEncodeError as error:  # of a file whose name is no UTF-8, as Python reads it
        start = error.object.rfind("\n", 0, error.start) + 1
        bad = error.object[start : error.object.index("\n", start)]
        raise ArgumentValueError(f"names must be text that UTF-8 can hold, got {bad!r}") from error
    with atomic_file(path) as file:
        file.write(text)
