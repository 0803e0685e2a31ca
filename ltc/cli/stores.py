"""``ltc info`` and ``ltc verify``: looking at a recorded run."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ltc.cli.arguments import Run

if TYPE_CHECKING:
    from ltc.store import Store

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
    """Show what a run has recorded, what is missing, and how far to trust it.

    A row of a table stands for neighbouring checkpoints with the same
    figures. All figures are numbers of samples:

      mode        training: losses of training steps; evaluation: of a pass
                  without training; array: written from arrays
      missing     no loss is stored
      duplicate   seen more than once: the mean loss is stored
      clipped     loss beyond float16, stored as 65504 with its sign
      non-finite  loss was infinite or NaN; counted in missing, too

    The validation split is what training samples are compared with. The
    samples of each class are taken in turn into two halves; if the changes
    of the mean loss of both, from checkpoint to checkpoint, are correlated
    by less than 0.8, scores of the class depend on which samples happen to
    be in the split. Warnings name such classes, those with fewer than 10
    samples, and ids that are in both splits.

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
    store = open_store(run)
    typer.echo(run_table(store, every=every))
    typer.echo(f"\n{_validation(store)}")


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


def _validation(store: "Store") -> str:
    """Describe the validation split, or say why that can't be done: what comes before it can."""
    from ltc.errors import StoreError
    from ltc.validation import validation_quality, validation_table

    try:
        return validation_table(validation_quality(store))
    except StoreError as error:
        return f"validation split: can't be looked at: {error}"
