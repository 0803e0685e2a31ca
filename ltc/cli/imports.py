"""``ltc import``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ltc.errors import ArgumentValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file that ends in .pickle, .pkl, .npz, .npy, .jsonl or .ndjson, or a "
            "directory.",
            show_default=False,
        ),
    ],
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="The new store, such as run.zarr.", show_default=False),
    ],
    val: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="For .npy: the file of validation losses.",
            show_default="none",
        ),
    ] = None,
    split_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="For .pickle: the script's pickle of the split, whose train_indices and "
            "val_indices become the ids.",
            show_default="none",
        ),
    ] = None,
    train_labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Labels of the training samples, in place of any in the source: .npy, or .txt "
            "with one on each line. So with the three that follow.",
            show_default="those of the source",
        ),
    ] = None,
    val_labels: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Labels.", show_default="those of the source"),
    ] = None,
    train_ids: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Ids: integers, or strings.",
            show_default="those of the source",
        ),
    ] = None,
    val_ids: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Ids.", show_default="those of the source"),
    ] = None,
    loss: Annotated[
        Literal["cross-entropy"] | None,
        typer.Option(
            help="What the losses are, which most kinds of ltc difficulty need to know.",
            show_default="not known",
        ),
    ] = None,
    compression: Annotated[
        Literal["none", "zstd"], typer.Option(help="How the losses are compressed.")
    ] = "none",
) -> None:
    """Make a run from losses that something else has recorded.

    What the source is, its name tells:

      .pickle, .pkl    the papers' script's: a dict of tr_loss, val_loss, tr_lbl
                       and val_lbl, each with one list for each epoch. Nothing
                       in it is run.
      .npz             arrays train and val, [checkpoint, sample], and any of
                       train_labels, val_labels, train_ids, val_ids and
                       checkpoints
      .npy             an array [checkpoint, sample] of training losses; see --val
      directory        train/ and val/, with a file for each checkpoint, whose
                       number is the last one in its name: .npz with arrays
                       index and loss, or .npy with the loss of every sample;
                       and, optionally, labels.npy and ids.npy
      .jsonl, .ndjson  a JSON object on each line, in any order: epoch, split
                       (train or val), index or id, loss, and optionally label

    Sources may be larger than memory. What is needed besides is disk space
    for a temporary copy of the losses beside RUN. After an error there is no
    RUN.

    For example:
      ltc import losses.pickle run.zarr --split-file split.pkl
      ltc import train.npy run.zarr --val val.npy
      ltc import log.jsonl run.zarr --train-labels y.txt --val-labels v.txt
    """
    from ltc.importers import import_losses
    from ltc.store import open_store
    from ltc.tables import run_table

    import_losses(
        source,
        run,
        val=val,
        split_file=split_file,
        train_labels=_values(train_labels),
        val_labels=_values(val_labels),
        train_ids=_values(train_ids),
        val_ids=_values(val_ids),
        loss=loss,
        compression=None if compression == "none" else compression,
        progress=sys.stderr.isatty(),
    )
    typer.echo(run_table(open_store(run)))


def _values(path: str | None) -> "NDArray[Any] | None":
    """Read labels or ids from a file, None from none."""
    import numpy as np

    from ltc.importers.arrays import read_array

    if path is None:
        return None
    if path.lower().endswith(".npy"):
        with Path(path).open("rb") as file:
            return read_array(path, file)
    if not path.lower().endswith(".txt"):
        raise ArgumentValueError(f"labels and ids must be in .npy or .txt files, got {path!r}")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    try:
        return np.array([int(line) for line in lines])
    except ValueError:
        return np.array(lines)
