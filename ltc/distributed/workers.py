"""What a task does with the worker that it runs on."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ltc_kernels import working_alone

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NO_BAR", "on_worker"]

_device: Final = threading.Lock()


class _NoBar:
    """What shows no progress: the client shows that of all tasks."""

    def update(self, _samples: int) -> None:
        """Do nothing."""


NO_BAR: Final = _NoBar()


@contextmanager
def on_worker(place: str) -> Iterator[None]:
    """Use one thread in this block: a worker with several runs as many tasks.

    On a GPU one task at a time: a worker has one device, whose kernels use all of it.

    Parameters
    ----------
    place : str
        ``"cpu"``, or the name of a GPU.
    """
    with working_alone():
        if place == "cpu":
            yield
            return
        with _device:
            yield
