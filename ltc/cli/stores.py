"""``ltc info`` and ``ltc verify``: looking at a recorded run."""

import sys
from typing import Annotated

import typer

from ltc.cli.arguments import Run

_DAMAGED = 1


def info(
    run: Run,
    every: Annotated[
        bool, typer.Option("--all", help="Show every row of a long table, not only both ends.")
    ] = False,
    stability: Annotated[
        bool,
        typer.Option(
            "--stability",
            help="Show instead how the scores of the first checkpoints agree with those of all.",
        ),
    ] = False,
) -> None:
    """Show what a run has recorded: sizes, checkpoints, and what is missing.

    A row of a table stands for neighbouring checkpoints with the same
    figures. All figures are numbers of samples:

      mode        training: losses of training steps; evaluation: of a pass
                  without training; array: written from arrays
      missing     no loss is stored
      duplicate   seen more than once: the mean loss is stored
      clipped     loss beyond float16, stored as 65504 with its sign
      non-finite  loss was infinite or NaN; counted in missing, too

    With --stability, a row tells what would have come of recording up to a
    checkpoint: how its scores rank the samples, and how much of the coreset
    they select, compared with the scores of all checkpoints.

    For example:
      ltc info run.zarr
      ltc info run.zarr --stability
      ltc info run.zarr --all | less
    """
    from ltc.store import open_store
    from ltc.tables import run_table

    if stability:
        from ltc.stability import stability as compare
        from ltc.stability import stability_table

        found = compare(run, reference="class-mean", progress=sys.stderr.isatty())
        typer.echo(stability_table(found, every=every))
        return
    typer.echo(run_table(open_store(run), every=every))


def verify(run: Run) -> None:
    """Compare every chunk of a run with its checksum.

    Lists chunks that are lost and chunks that were changed. A lost chunk of
    losses reads as missing data; any other one can't be read.

    Exit status: 0 every chunk is as it was written, 1 some are not, 2 not
    a run, or its metadata (zarr.json) are damaged.

    For example:
      ltc verify run.zarr && ltc score run.zarr
    """
    from ltc.errors import StoreCorruptError
    from ltc.store import open_store
    from ltc.tables import verification_table

    try:
        found = open_store(run).verify()
    except StoreCorruptError as error:  # what tells the sizes of everything else
        typer.echo(str(error))
        raise typer.Exit(_DAMAGED) from error
    typer.echo(verification_table(run, found))
    if not found.ok:
        raise typer.Exit(_DAMAGED)
