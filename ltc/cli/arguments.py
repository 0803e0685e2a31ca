"""Arguments that several commands take, and those that have a notation of their own."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from ltc.atomic import checked_suffix
from ltc.errors import ArgumentValueError

Run: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="The store of a run, such as run.zarr or s3://bucket/run.zarr.",
        show_default=False,
    ),
]

Checkpoints: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="POSITIONS",
        help="Positions of the checkpoints to use, from 0: a slice such as :45 (the first 45) "
        "or ::3 (every third), or a list such as 0,1,5.",
        show_default="all",
    ),
]

MemoryLimit: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Memory to use beyond 12 bytes per sample: bytes, or with a unit (kB, MB, GB, "
        "KiB, MiB, GiB).",
    ),
]

SaveAs: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Keep the scores in the run under this name, in place of any of that name.",
        show_default="not kept",
    ),
]

ScoresFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the scores to this .npz or .parquet file.",
        show_default="not written",
    ),
]

ClaimedLoss: TypeAlias = Annotated[
    Literal["cross-entropy"] | None,
    typer.Option(
        help="Say that the losses are hard-label cross-entropy where the run doesn't know it.",
        show_default="what the run says",
    ),
]

KeptScores: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which of the scores kept in the run to use. Without any, the run is scored with "
        "the defaults of ltc score.",
        show_default="the only ones",
    ),
]

Scheduler: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Let a Dask cluster do the work, by the address of its scheduler, such as "
        "tcp://10.0.0.1:8786. All its workers must reach RUN.",
        show_default="no cluster",
    ),
]

Workers: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="COUNT",
        min=1,
        help="Let as many processes on this machine, a Dask cluster, do the work. They share the "
        "processors.",
        show_default="no cluster",
    ),
]


def parse_checkpoints(text: str | None) -> slice | list[int] | None:
    """Return positions of checkpoints, written as a slice or as a list.

    Raises
    ------
    ArgumentValueError
        It is neither.

    Examples
    --------
    >>> parse_checkpoints(":45"), parse_checkpoints("::3"), parse_checkpoints("0,1,2,5,8")
    (slice(None, 45, None), slice(None, None, 3), [0, 1, 2, 5, 8])
    """
    if text is None:
        return None
    try:
        if ":" not in text:
            return [int(part) for part in text.split(",")]
        bounds = [int(part) if part.strip() else None for part in text.split(":")]
        if len(bounds) <= 3 and bounds[2:] != [0]:
            return slice(*bounds)
    except ValueError:
        pass
    raise ArgumentValueError(
        f"--checkpoints must be a slice such as 0:45 or ::3, or a list such as 0,1,5, got {text!r}"
    )


def parse_count(text: str) -> int:
    """Return a whole number, in any notation of numbers.

    Raises
    ------
    typer.BadParameter
        It is none.

    Examples
    --------
    >>> parse_count("1281167"), parse_count("1e10"), parse_count("1.28e6")
    (1281167, 10000000000, 1280000)
    """
    try:
        number = Decimal(text)
        if number.is_finite() and number.adjusted() < 18 and number == int(number):
            return int(number)
    except InvalidOperation:
        pass
    raise typer.BadParameter(f"must be a whole number such as 50000 or 1e10, got {text!r}")


def parse_fractions(text: str) -> list[float]:
    """Return numbers that are separated by commas.

    Raises
    ------
    ArgumentValueError
        One is not a number.

    Examples
    --------
    >>> parse_fractions("0.02, 0.1")
    [0.02, 0.1]
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentValueError(
            f"--sizes must be numbers such as 0.02,0.1, got {text!r}"
        ) from None


def checked_output(path: str, suffixes: tuple[str, ...]) -> Path:
    """Check, before anything is computed, that a file of this name can be meant.

    Raises
    ------
    ArgumentValueError
        It has another suffix, or its directory doesn't exist.
    """
    output = checked_suffix(path, suffixes)
    if not output.parent.is_dir():
        raise ArgumentValueError(f"path must lie in a directory that exists, got {path!r}")
    return output
