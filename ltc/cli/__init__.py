"""The command line, ``ltc``: one module per kind of command, all of them thin.

Results go to stdout, progress, warnings and errors to stderr. An error is one line and exit status
2; a status of 1 means that ``ltc verify`` found damage.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING

import typer

from ltc.cli.app import app
from ltc.errors import LtcError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_FAILED = 2
_BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended


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
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            status = app(
                args=sys.argv[1:] if arguments is None else list(arguments),
                prog_name="ltc",
                standalone_mode=False,
            )
            sys.stdout.flush()
        except BrokenPipeError:
            # Python would complain once more when it closes stdout at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _BROKEN_PIPE
        except (typer.TyperException, LtcError, OSError) as error:
            _report("", _message(error))
            return _FAILED
    return int(status or 0)


def _message(error: Exception) -> str:
    if isinstance(error, typer.TyperException):
        return error.format_message()
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _show_warning(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001 - the signature is Python's
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: object = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    _report("warning: ", str(message))


def _report(kind: str, message: str) -> None:
    typer.echo(f"ltc: {kind}{' '.join(message.split())}", err=True)
