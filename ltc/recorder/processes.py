"""The processes that record one run together: what they exchange, and when.

The process of rank 0 has the store. Per commit, one collective brings everything that was recorded
to it (`reduce`, of one array), and it answers, once it has written, with a message of some bytes
(`broadcast`). Nothing is exchanged between commits. Whatever goes wrong on rank 0 before the answer
is the answer, so all processes raise together and none waits for another for ever.

What was recorded moves: after the exchange rank 0 has the sums of all and the others have nothing,
so that a commit which fails can be done again.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

import ltc.errors
from ltc.errors import ArgumentTypeError, ArgumentValueError, DistributedError, RecorderStateError
from ltc.recorder.buffers import GUARDS
from ltc.recorder.reports import REPORT_WORDS, Report, common_mode
from ltc.recorder.splits import SplitBuffer
from ltc.store.kinds import common_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ANSWER: Final = 1024  # bytes of an answer that need no second message
_LENGTH: Final = 8  # of which so many say how long it is


Processes: TypeAlias = "Alone | Team"


class Alone:
    """One process that records a run by itself; the interface is that of `Team`.

    Attributes
    ----------
    rank, size : int
        Which process this is, and of how many.
    """

    rank = 0
    size = 1

    def check_reachable(self) -> None:
        """Do nothing: there is nobody to reach."""

    def split_buffers(self, sizes: Mapping[str, int]) -> dict[str, SplitBuffer]:
        """Return an empty buffer for each split."""
        return {split: SplitBuffer(split, size) for split, size in sizes.items()}

    def agree(self, report: Callable[[], Any], act: Callable[[list[Any]], Any]) -> Any:
        """Return ``act([report()])``."""
        return act([report()])

    def merge(self, splits: Mapping[str, SplitBuffer], checkpoint: object) -> list[Report]:
        """Return the report of this process."""
        return [Report.of(checkpoint, splits)]

    def answer(self, act: Callable[[], Any]) -> Any:
        """Return ``act()``."""
        return act()


class Team:
    """The processes of a group of `torch.distributed`; each method is called by all of them.

    Parameters
    ----------
    group : ProcessGroup
        The group; rank 0 in it writes.

    Attributes
    ----------
    rank, size : int
        Which process this is, and of how many.
    """

    def __init__(self, group: Any) -> None:
        import torch
        import torch.distributed as dist

        self.rank = dist.get_rank(group)
        self.size = dist.get_world_size(group)
        self._group = group
        self._device = torch.device(collective_device(dist.get_backend_config(group)))
        self._reachable = True
        self._words = torch.zeros(0)

    def check_reachable(self) -> None:
        """Raise :class:`DistributedError` if an exchange has failed: what it left is no data."""
        if not self._reachable:
            raise DistributedError(
                "the processes of this run lost each other; start it again with resume=True"
            )

    def split_buffers(self, sizes: Mapping[str, int]) -> dict[str, SplitBuffer]:
        """Return an empty buffer for each split, all of them parts of the array that travels."""
        import torch

        parts = {split: 2 * (size + GUARDS) for split, size in sizes.items()}
        table = self.size * REPORT_WORDS
        # Tensors made in inference mode could not be changed outside it. NumPy's zeros take no
        # memory before they are written to.
        with torch.inference_mode(False):
            words = torch.from_numpy(np.zeros(table + sum(parts.values()), np.float32))
            self._words = words = words.to(self._device)
        buffers, start = {}, table
        for split, size in sizes.items():
            part = words[start : start + parts[split]].view(2, size + GUARDS)
            buffers[split] = SplitBuffer(split, size, part)
            start += parts[split]
        return buffers

    def agree(self, report: Callable[[], Any], act: Callable[[list[Any]], Any]) -> Any:
        """Let rank 0 act on what all processes report, and all return what that returns.

        Parameters
        ----------
        report : callable
            Called by every process; returns what can be pickled, or raises.
        act : callable
            Called by rank 0 with the reports, by rank; returns what JSON can hold, or raises.

        Raises
        ------
        Exception
            What `report` raised here, or `act`.
        DistributedError
            `report` failed in another process.
        """
        import torch.distributed as dist

        failure: Exception | None = None
        try:
            mine = report()
        except Exception as error:
            failure, mine = error, None
        said = (mine, None if failure is None else _describe(failure))
        reports: list[Any] = [None] * self.size
        with self._exchange():
            dist.gather_object(
                said, reports if self.rank == 0 else None, group=self._group, group_dst=0
            )

        def act_if_all_is_well() -> Any:
            for rank, (_, text) in enumerate(reports):
                if text is not None:
                    raise DistributedError(f"rank {rank}: {text}")
            return act([value for value, _ in reports])

        try:
            return self.answer(act_if_all_is_well)
        except DistributedError:
            if failure is None or not self._reachable:
                raise
            raise failure from None

    def merge(self, splits: Mapping[str, SplitBuffer], checkpoint: object) -> list[Report]:
        """Bring what was recorded to rank 0: the collective of a commit.

        Returns
        -------
        list of Report
            By rank; empty on the other ranks.
        """
        import torch
        import torch.distributed as dist

        for buffer in splits.values():
            buffer.gather()
        table = self._words[: self.size * REPORT_WORDS].view(self.size, REPORT_WORDS)
        table.zero_()
        table[self.rank] = torch.from_numpy(Report.of(checkpoint, splits).to_words())
        with self._exchange():
            dist.reduce(self._words, group=self._group, group_dst=0)
            rows = table.cpu().numpy()  # here, because a device tells of errors only when read
        if self.rank != 0:
            for buffer in splits.values():
                buffer.clear()
            return []
        reports = [Report.from_words(row) for row in rows]
        for split, buffer in splits.items():
            mode = common_mode([report.modes[split] for report in reports])
            if mode == "failed":
                buffer.clear()
            buffer.mode = mode
            if buffer.pending:
                buffer.loss = common_loss(report.losses[split] for report in reports)
        return reports

    def answer(self, act: Callable[[], Any]) -> Any:
        """Return what `act` returns on rank 0, where alone it is called; or raise what it raises.

        On the other ranks an error of `ltc` is raised as it is; any other, such as that of a full
        disk, as a :class:`DistributedError`.
        """
        if self.rank != 0:
            return _open(self._broadcast({}))
        try:
            value = act()
        except BaseException as error:
            self._broadcast({"error": type(error).__name__, "text": str(error)})
            raise
        self._broadcast({"value": value})
        return value

    def _broadcast(self, outcome: dict[str, Any]) -> bytes:
        """Send an outcome from rank 0 to all, as JSON: one message, or two if it is long."""
        message = json.dumps(outcome).encode()
        data = len(message).to_bytes(_LENGTH, "little") + message
        first = self._send(data[:_ANSWER].ljust(_ANSWER, b"\0"))
        length = int.from_bytes(first[:_LENGTH], "little")
        rest = length + _LENGTH - _ANSWER
        if rest <= 0:
            return first[_LENGTH : _LENGTH + length]
        return first[_LENGTH:] + self._send(data[_ANSWER:].ljust(rest, b"\0"))

    def _send(self, data: bytes) -> bytes:
        import torch
        import torch.distributed as dist

        block = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(self._device)
        with self._exchange():
            dist.broadcast(block, group=self._group, group_src=0)
            return data if self.rank == 0 else block.cpu().numpy().tobytes()

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        self.check_reachable()
        try:
            yield
        except RuntimeError as error:  # torch's own errors derive from it
            self._reachable = False
            raise DistributedError(
                f"rank {self.rank} of {self.size} lost the other processes of the run, as when one "
                f"of them dies; what is committed stays, start again with resume=True ({error})"
            ) from error


def find_processes(distributed: Any) -> Processes:
    """Return the processes that record a run, for the argument `distributed` of a recorder.

    Raises
    ------
    ArgumentTypeError
        It is neither None, False nor a process group.
    ArgumentValueError
        This process is not in the group.
    RecorderStateError
        There are other processes, and `torch.distributed` has not been initialised.
    """
    if distributed is False:
        return Alone()
    dist: Any = sys.modules.get("torch.distributed")
    if distributed is None:
        if dist is None or not dist.is_available() or not dist.is_initialized():
            _check_single()
            return Alone()
        distributed = dist.group.WORLD
    elif dist is not None and distributed == dist.GroupMember.NON_GROUP_MEMBER:
        raise ArgumentValueError("distributed must be a group that this process is in, it is not")
    elif dist is None or not dist.is_available() or not isinstance(distributed, dist.ProcessGroup):
        raise ArgumentTypeError(
            "distributed must be None, False or a process group, got "
            f"{distributed if distributed is True else type(distributed).__name__}"
        )
    return Team(distributed) if dist.get_world_size(distributed) > 1 else Alone()


def collective_device(backends: str) -> str:
    """Return the kind of device that a group exchanges between, the same in all processes.

    Parameters
    ----------
    backends : str
        What a group is made of, such as ``"cpu:gloo,cuda:nccl"``.

    Returns
    -------
    str
        ``"cpu"`` wherever the group has a backend for it.
    """
    devices = [part.partition(":")[0] for part in backends.split(",")]
    return "cpu" if "cpu" in devices else devices[0]


def _check_single() -> None:
    processes = os.environ.get("WORLD_SIZE", "")
    if processes.isdigit() and int(processes) > 1:
        raise RecorderStateError(
            f"this is one of {processes} processes (WORLD_SIZE), and torch.distributed is not "
            "initialised: make the recorder after init_process_group, or with distributed=False "
            "where this process records by itself"
        )


def _open(message: bytes) -> Any:
    """Return what an outcome holds, or raise it."""
    outcome = json.loads(message)
    if "error" not in outcome:
        return outcome["value"]
    kind, text = outcome["error"], outcome["text"]
    if kind in ltc.errors.__all__:
        raise getattr(ltc.errors, kind)(text)
    raise DistributedError(f"rank 0, which writes the store, failed: {kind}: {text}")


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
