"""A store that is recorded into and what is pending: how both are left, and taken up again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

from ltc.errors import RecorderStateError
from ltc.recorder.destination import Destination
from ltc.recorder.processes import find_processes
from ltc.recorder.state import State, restore, share_out, to_dict

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import TracebackType

    from ltc.recorder.state import Origin

_log = logging.getLogger("ltc")


class Session:
    """What a :class:`ltc.Recorder` is, but for recording itself.

    Parameters
    ----------
    sizes : dict of str to int
        Number of samples of each split.
    distributed : {None, False} or ProcessGroup
        As for the recorder.
    path : str or path
        The store.
    **arguments
        The others of :class:`ltc.recorder.destination.Destination`.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        distributed: Any,
        path: str | os.PathLike[str],
        **arguments: Any,
    ) -> None:
        arguments |= {f"num_{split}": size for split, size in sizes.items()}
        self._processes = find_processes(distributed)
        self._destination = Destination(self._processes, path, **arguments)
        try:
            self._splits = self._processes.split_buffers(sizes)
        except BaseException:  # there is no memory for them
            self._destination.close()
            raise
        self._closed = False
        self._whole = True  # no other process has pending losses, as far as this one can know

    @property
    def checkpoints(self) -> list[float]:
        """The checkpoints committed so far, those from before a resume included."""
        return self._destination.checkpoints

    def rewind(self, to: float) -> None:
        """Drop the checkpoints later than `to`, and what is pending.

        For a run that continues from an earlier model than the last one committed. Of several
        processes all call this.

        Parameters
        ----------
        to : float
            The last checkpoint to keep; if it is smaller than all of them, none is kept.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            `to` is not a finite number, or not the same in all processes.
        RecorderStateError
            The recorder is closed.
        """
        self._check_open()
        self._destination.rewind(to)
        self._clear()

    def consolidate(self) -> None:
        """Bring what all processes have recorded since the last commit to rank 0.

        Afterwards the `state_dict` of rank 0 is that of the run. All processes call this; with a
        single one there is nothing to do.

        Raises
        ------
        RecorderStateError
            Processes recorded a split in different modes, or the recorder is closed.
        DistributedError
            A process died.
        """
        self._check_open()
        self._destination.consolidate(self._splits)
        self._whole = True

    def state_dict(self) -> dict[str, Any]:
        """Return what was recorded since the last commit, to be saved with the model.

        A run that loads it goes on bit for bit as if it had not been interrupted. It is a
        dictionary of plain values and, of a split of which something is pending, one tensor of 8
        bytes per sample; ``torch.load(..., weights_only=True)`` reads it.

        Of several processes each has its own; nothing is exchanged. Save those of all, or call
        `consolidate` in all and save that of rank 0.

        Examples
        --------
        >>> import ltc
        >>> path = directory / "half.zarr"
        >>> recorder = ltc.Recorder(path, num_train=2, num_val=1)
        >>> recorder.update("train", [1], losses=np.array([0.5]))
        >>> state = recorder.state_dict()  # with the model, in the middle of an epoch
        >>> recorder.close()  # the run is killed
        >>> with ltc.Recorder(path, num_train=2, num_val=1, resume=True) as recorder:
        ...     recorder.load_state_dict(state, rewind=True)
        ...     recorder.update("train", [0], losses=np.array([1.5]))
        ...     recorder.commit(0)
        >>> ltc.open_store(path).read("train").tolist()
        [[1.5, 0.5]]
        """
        self._check_open()
        return to_dict(
            self._splits,
            rank=self._processes.rank,
            processes=self._processes.size,
            whole=self._whole or self._processes.size == 1,
            committed=len(self.checkpoints),
            history=self._destination.history,
        )

    def load_state_dict(
        self,
        state: Mapping[str, Any] | list[Mapping[str, Any]] | tuple[Mapping[str, Any], ...],
        *,
        rewind: bool = False,
    ) -> None:
        """Go on where a run was when `state_dict` was called, also in the middle of an epoch.

        What is pending is replaced. The store must hold the commits that it held then.

        Of several processes all call this, each with its own state; or all with the same state or
        states, because one that several are given counts once. So the states of 4 processes, as a
        list, may be given to 2, or to all of 4; to have nothing to give is an empty list.

        Parameters
        ----------
        state : mapping, or list or tuple of mappings
            From `state_dict`; tensors may be on any device.
        rewind : bool
            Drop checkpoints that were committed later, as when the model that is loaded is not the
            last. If False, they are an error.

        Raises
        ------
        ArgumentTypeError, ArgumentValueError
            A state is not from `state_dict`, is of other sizes, or of several some are missing.
        StoreMismatchError
            The store has other commits than then, or lacks some.
        RecorderStateError
            The store has later commits and `rewind` is False, or the recorder is closed.
        """
        self._check_open()
        sizes = {split: buffer.size for split, buffer in self._splits.items()}
        states: list[State] = []

        def origins() -> list[Origin]:
            given = state if isinstance(state, list | tuple) else [state]
            states.extend(State.from_dict(each, sizes) for each in given)
            return [each.origin for each in states]

        def go_back(reports: list[list[Origin]]) -> list[Any]:
            origin, takers = share_out(reports)
            news = self._destination.go_back(origin.committed, origin.history, rewind=rewind)
            return [takers, news]

        takers, news = self._processes.agree(origins, go_back)
        self._destination.learn(news)
        self._clear()
        rank = self._processes.rank
        restore(self._splits, [each for each in states if takers[each.origin.name] == rank])
        self._whole = set(takers.values()) == {rank}

    def close(self) -> None:
        """Release the store. What is pending is dropped, and a line in the log says so."""
        if self._closed:
            return
        if pending := self._release():
            _log.warning(
                "%s: dropped uncommitted losses of %s; checkpoints in the store: %d",
                self._destination.path,
                " and ".join(pending),
                len(self.checkpoints),
            )

    def __enter__(self) -> Self:
        """Return the recorder, which closes at the end of the block."""
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; without an exception, losses that were not committed are an error."""
        if kind is not None or self._closed:
            self.close()
        elif pending := self._release():
            raise RecorderStateError(
                f"losses of {' and '.join(pending)} were recorded after the last commit and are "
                "lost: call commit before leaving the block"
            )

    def _pending(self) -> list[str]:
        return [split for split, buffer in self._splits.items() if buffer.pending]

    def _release(self) -> list[str]:
        """Close the store and free the buffers; return the splits whose losses that drops."""
        pending = self._pending()
        self._closed = True
        self._splits = {}
        self._destination.close()
        return pending

    def _clear(self) -> None:
        for buffer in self._splits.values():
            buffer.clear()
        self._whole = True

    def _check_open(self) -> None:
        if self._closed:
            raise RecorderStateError(f"the recorder of {self._destination.path} is closed")
        self._processes.check_reachable()
