"""Losses as JSON lines, in any order: one object per line, one loss per object.

    {"epoch": 0, "split": "train", "index": 17, "loss": 2.31}
    {"epoch": 0, "split": "val", "id": "n01440764/42", "loss": 2.25, "label": 3}

`epoch` may be called `checkpoint`. A sample is told by its index, its position in the split, or by
its id; ids are put in ascending order, unless they are given. A label is optional, but then every
sample has one. Other keys are nothing to us.

Lines are sorted into buckets, one for each split and checkpoint, which are put away on the disk
when many are in memory.
"""

from __future__ import annotations

import json
import math
from typing import IO, TYPE_CHECKING, Any, Final

from tqdm.auto import tqdm

from ltc.errors import SourceFormatError
from ltc.importers.buckets import SplitBuckets
from ltc.importers.source import Indexed, mean_record
from ltc.store.format import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ltc.importers.source import Checkpoint
    from ltc.importers.spool import Spool

__all__ = ["read_json_lines"]

IN_MEMORY: Final = 1 << 20  # losses, 16 bytes each
LONGEST_LINE: Final = 1 << 20  # bytes


def read_json_lines(
    file: IO[bytes],
    spool: Spool,
    sizes: dict[str, int],
    ids: dict[str, Any],
    *,
    progress: bool,
) -> Indexed:
    """Read JSON lines of losses.

    Parameters
    ----------
    file : binary file
        At its beginning.
    spool : Spool
        Takes the losses.
    sizes : dict of str to int
        The number of samples of each split that it is known of.
    ids : dict of str to array
        The ids of each split that they are known of, in the order of the samples.
    progress : bool
        Show a progress bar.

    Raises
    ------
    SourceFormatError
        A line is not as described, or contradicts another.
    """
    splits = {split: SplitBuckets(file.name, split, ids.get(split)) for split in SPLITS}
    _sort_into_buckets(file, spool, splits, progress=progress)
    for split, each in splits.items():
        each.finish(sizes.get(split))
    numbers = sorted(splits["train"].buckets.keys() | splits["val"].buckets.keys())

    def rows() -> Iterator[Checkpoint]:
        for number in tqdm(numbers, desc="import", unit=" checkpoint", disable=not progress):
            train, val = (splits[split].losses(number) for split in SPLITS)
            yield (
                number,
                mean_record(*train, splits["train"].size),
                mean_record(*val, splits["val"].size),
            )

    others = {
        f"{split}_{name}": values
        for split, each in splits.items()
        for name, values in (("labels", each.labels), ("ids", each.found_ids))
        if values is not None
    }
    return Indexed(splits["train"].size, splits["val"].size, rows, others)


def _sort_into_buckets(
    file: IO[bytes], spool: Spool, splits: dict[str, SplitBuckets], *, progress: bool
) -> None:
    number = in_memory = 0
    with tqdm(desc="read", unit=" lines", unit_scale=True, disable=not progress) as bar:
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if not line.strip():
                continue
            try:
                split, checkpoint, sample, loss, label = _parse(line)
                splits[split].add(checkpoint, sample, loss, label, number)
            except ValueError as error:
                raise SourceFormatError(f"{file.name}: line {number:,}: {error}") from error
            in_memory += 1
            if in_memory == IN_MEMORY:
                bar.update(in_memory)
                in_memory = 0
                for each in splits.values():
                    each.put_away(spool)
        bar.update(in_memory)
    for each in splits.values():
        each.put_away(spool)


def _parse(line: bytes) -> tuple[str, float, tuple[str, int | str], float, int | None]:
    """Return split, checkpoint, sample, loss and label; raise ValueError for anything else."""
    if len(line) > LONGEST_LINE:
        raise ValueError(f"a line must have at most {LONGEST_LINE:,} bytes")
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a line must be a JSON object ({error}), got {line[:60]!r}") from error
    if not isinstance(found, dict):
        raise ValueError(f"a line must be a JSON object, got {line[:60]!r}")
    split = found.get("split")
    if split not in SPLITS:
        raise ValueError(f"split must be 'train' or 'val', got {split!r}")
    _, checkpoint = _only(found, "epoch", "checkpoint")
    if not _is(checkpoint, int | float) or not math.isfinite(_as_float(checkpoint)):
        raise ValueError(f"epoch must be a finite number, got {checkpoint!r:.60}")
    key, name = _only(found, "index", "id")
    if not _is(name, int | str):
        raise ValueError(f"{key} must be an integer or a string, got {name!r}")
    if isinstance(name, int) and not -(2**63) <= name < 2**63:
        raise ValueError(f"{key} must fit into 64 bits, got {name}")
    loss: Any = found.get("loss")
    if not _is(loss, int | float):
        raise ValueError(f"loss must be a number, got {loss!r}")
    label = found.get("label")
    if label is not None and not (_is(label, int) and 0 <= label < 2**31):
        raise ValueError(f"label must be an integer in 0..{2**31 - 1}, got {label!r}")
    return split, float(checkpoint), (key, name), _as_float(loss), label


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # JSON has integers of any size
        return math.inf if number > 0 else -math.inf


def _only(found: dict[str, Any], first: str, second: str) -> tuple[str, Any]:
    if (first in found) == (second in found):
        raise ValueError(f"a line must have either {first!r} or {second!r}")
    key = first if first in found else second
    return key, found[key]


def _is(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)  # which is an int, too
