"""The command line, ``ltc``: one module per kind of command, all of them thin.

Results go to stdout, progress, warnings and errors to stderr. An error is one line and exit status
2; a status of 1 means that ``ltc verify`` found damage, one of 130 that the user interrupted.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

import typer

from ltc.cli.app import app
from ltc.cli.interrupts import INTERRUPTED, watch_interrupts
from ltc.errors import LtcError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_FAILED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those after the name of the program; by default those of the process.

    Returns
    -------
    int
        The exit status.
    """
    with warnings.catch_warnings(), watch_interrupts() as interrupts:
        warnings.showwarning = _show_warning
        try:
            status = app(
                args=sys.argv[1:] if arguments is None else list(arguments),
                prog_name="ltc",
                standalone_mode=False,
            )
        except Exception as error:
            if interrupts.happened:  # and the error is what it led to
                status = INTERRUPTED
            elif isinstance(error, typer.TyperException | LtcError | OSError):
                _report("", _message(error))
                return _FAILED
            else:
                raise
    if status == INTERRUPTED:  # typer's status for it, too
        _report("", "interrupted")
    return int(status or 0)


def _message(error: Exception) -> str:
    if isinstance(error, typer.TyperException):
        return error.format_message()
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _show_warning(message: Warning | str, *_where: object, **_options: object) -> None:
    _report("warning: ", str(message))


def _report(kind: str, message: str) -> None:
    typer.echo(f"ltc: {kind}{' '.join(message.split())}", err=True)
