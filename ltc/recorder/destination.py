"""Where a recorder writes: the store of a run, which one process has and all of them know."""

from __future__ import annotations

import hashlib
import logging
import math
from typing import TYPE_CHECKING, Any

from ltc.errors import (
    RecorderStateError,
    StoreMismatchError,
    StoreNotFoundError,
)
from ltc.recorder.arguments import check_same, describe
from ltc.recorder.reports import as_number, check_equal, check_reports
from ltc.store.format import COUNTS, SPLITS
from ltc.store.writer import StoreWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from ltc.recorder.processes import Processes
    from ltc.recorder.splits import SplitBuffer
    from ltc.store.commits import Commit

_log = logging.getLogger("ltc")


class Destination:
    """The store that is started or continued for a run.

    Parameters
    ----------
    processes : Alone or Team
        Those that record the run; that of rank 0 has the store.
    path : str or path
        The store.
    resume : bool
        Whether a store with commits is to be continued; it is an error otherwise.
    **arguments
        Those of :meth:`ltc.store.writer.StoreWriter.create`, which checks them.

    Attributes
    ----------
    path : str
        The store.
    writer : StoreWriter or None
        None in all processes but one.
    history : str
        A name for everything committed so far, the same in all processes: another commit in any
        place gives another name.
    """

    def __init__(
        self,
        processes: Processes,
        path: str | os.PathLike[str],
        *,
        resume: bool,
        **arguments: Any,
    ) -> None:
        self.path = str(path)
        self.writer: StoreWriter | None = None
        self.history = ""
        self._processes = processes
        self._checkpoints: list[float] = []
        # Where the store is written: the commits, and the history up to each of them.
        self._commits: tuple[Commit, ...] = ()
        self._histories = [self.history]

        def start(descriptions: Sequence[Any]) -> dict[str, Any]:
            if processes.size > 1:
                check_same(descriptions)
            self.writer = _open_writer(path, resume=resume, **arguments)
            self.path = self.writer.path
            return self._news()

        def description() -> Any:
            return describe(arguments) if processes.size > 1 else None

        try:
            self.learn(processes.agree(description, start))
        except BaseException:
            self.close()
            raise

    @property
    def checkpoints(self) -> list[float]:
        """The checkpoints committed so far."""
        return list(self._checkpoints if self.writer is None else self.writer.checkpoints)

    def commit(self, checkpoint: float, splits: Mapping[str, SplitBuffer]) -> Commit | None:
        """Write what all processes have recorded as one checkpoint.

        Returns
        -------
        Commit or None
            What was written; None in a process that doesn't write.
        """
        reports = self._processes.merge(splits, checkpoint)

        def write() -> dict[str, Any]:
            check_reports(reports)
            if not any(buffer.pending for buffer in splits.values()):
                raise RecorderStateError(
                    "nothing was recorded since the last commit; checkpoint "
                    f"{checkpoint!r} would be empty"
                )
            for split, buffer in splits.items():
                self._warn_of_failed_pass(split, buffer)
            writer = self._writing()
            train, val = (splits[split].records(writer.block_samples) for split in SPLITS)
            writer.append(checkpoint, train, val)
            return self._news()

        self.learn(self._processes.answer(write))
        return None if self.writer is None else self.writer.commits[-1]

    def consolidate(self, splits: Mapping[str, SplitBuffer]) -> None:
        """Bring what all processes have recorded to that which writes."""
        reports = self._processes.merge(splits, None)
        self._processes.answer(lambda: check_reports(reports))

    def rewind(self, to: float) -> None:
        """Drop the checkpoints later than `to`, which all processes give."""

        def drop(limits: Sequence[float]) -> dict[str, Any]:
            check_equal("to", limits)
            self._writing().rewind(to)
            return self._news()

        self.learn(self._processes.agree(lambda: as_number(to), drop))

    def go_back(self, committed: int, history: str, *, rewind: bool) -> dict[str, Any]:
        """Bring the store to where it was at an earlier time; called where it is written.

        Parameters
        ----------
        committed : int
            How many checkpoints it had.
        history : str
            What `history` was.
        rewind : bool
            Whether later checkpoints may be dropped.

        Returns
        -------
        dict
            What `learn` takes, in all processes.

        Raises
        ------
        StoreMismatchError
            The store has other checkpoints, or fewer.
        RecorderStateError
            It has more, and `rewind` is False.
        """
        writer = self._writing()
        self._name_commits()
        if committed > writer.committed:
            raise StoreMismatchError(
                f"state must be from {self.path} as it is or was: it was made after {committed} "
                f"checkpoints, and the store has {writer.committed}"
            )
        if self._histories[committed] != history:
            raise StoreMismatchError(
                f"state must be from {self.path} as it is or was: the first {committed} of its "
                "checkpoints are others than those that the state was made after"
            )
        later = writer.checkpoints[committed:]
        if later and not rewind:
            raise RecorderStateError(
                f"{self.path} has {len(later)} more checkpoints than the {committed} that the "
                f"state was made after, from {later[0]:g} on; "
                "load_state_dict(state, rewind=True) drops them"
            )
        if later:
            writer.rewind(math.nextafter(later[0], -math.inf))
        return self._news()

    def learn(self, news: dict[str, Any]) -> None:
        """Take in what has changed in the store, in every process."""
        self.path, self.history = news["path"], news["history"]
        self._checkpoints[news["kept"] :] = news["checkpoints"]

    def close(self) -> None:
        """Release the store."""
        if self.writer is not None:
            self.writer.close()

    def _warn_of_failed_pass(self, split: str, buffer: SplitBuffer) -> None:
        if buffer.mode == "failed" and self._processes.size > 1:
            _log.warning(
                "%s: evaluate failed in a process, so nothing of split %s is committed",
                self.path,
                split,
            )

    def _writing(self) -> StoreWriter:
        if self.writer is None:
            raise RecorderStateError(f"{self.path}: this process doesn't write")
        return self.writer

    def _news(self) -> dict[str, Any]:
        """Return what has changed in the store since all processes learned of it the last time."""
        self._name_commits()
        checkpoints = self._writing().checkpoints
        kept = _common(self._checkpoints, checkpoints)
        return {
            "path": self.path,
            "kept": kept,
            "checkpoints": checkpoints[kept:],
            "history": self._histories[-1],
        }

    def _name_commits(self) -> None:
        commits = self._writing().commits
        kept = _common(self._commits, commits)
        del self._histories[kept + 1 :]
        for commit in commits[kept:]:
            self._histories.append(_next_history(self._histories[-1], commit))
        self._commits = commits


def _open_writer(path: str | os.PathLike[str], *, resume: bool, **arguments: Any) -> StoreWriter:
    if resume:
        try:
            return StoreWriter.resume(path, **arguments)
        except StoreNotFoundError:
            pass  # a run that may be interrupted asks to resume from the start
    return StoreWriter.create(path, **arguments)


def _next_history(history: str, commit: Commit) -> str:
    parts = [
        (*(int(getattr(part, count)) for count in COUNTS), part.mode)
        for part in (commit.train, commit.val)
    ]
    # Python's floats have one spelling each.
    text = repr((history, float(commit.checkpoint), float(commit.time), *parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return how many of the first elements are the same."""
    pairs = zip(one, other, strict=False)
    unequal = (position for position, (a, b) in enumerate(pairs) if a != b)
    return next(unequal, min(len(one), len(other)))
