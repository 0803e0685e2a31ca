"""``ltc score``, and scores that commands show or find."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ltc.cli.arguments import (
    Checkpoints,
    MemoryLimit,
    Run,
    SaveAs,
    Scheduler,
    ScoresFile,
    Workers,
    checked_output,
    parse_checkpoints,
)
from ltc.cli.clusters import cluster_client

if TYPE_CHECKING:
    from pathlib import Path

    from ltc.scores import Scores
    from ltc.store import Store


def score(
    run: Run,
    signal: Annotated[
        Literal["difference", "loss"],
        typer.Option(help="Correlate changes of the loss between checkpoints, or the loss itself."),
    ] = "difference",
    reference: Annotated[
        Literal["class-mean", "mean", "class-pairs", "pairs"],
        typer.Option(
            help="Compare a training sample with the mean validation loss of its class or of all "
            "samples, or with each validation sample of its class or of all."
        ),
    ] = "class-mean",
    checkpoints: Checkpoints = None,
    memory_limit: MemoryLimit = "512MB",
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda or cuda:1."),
    ] = "auto",
    save: SaveAs = None,
    output: ScoresFile = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
) -> None:
    """Score every training sample and print a summary.

    A score is the correlation, -1 to 1, of a training sample's loss with
    validation losses over the checkpoints: high where learning the sample
    goes with generalising, low where it goes against it, as it does for
    wrong labels. Nothing is written unless --save or --output asks for it.

    On a cluster, with --save, the workers write the scores themselves. Should
    the run end early, the same command does what is left.

    For example:
      ltc score run.zarr
      ltc score run.zarr --save default
      ltc score run.zarr --signal loss --checkpoints :45 -o early.npz
      ltc score s3://bucket/run.zarr --scheduler tcp://10.0.0.1:8786 --save cld
    """
    from ltc.score_files import SUFFIXES
    from ltc.scoring import score as compute

    path = None if output is None else checked_output(output, SUFFIXES)
    with cluster_client(scheduler, workers, device) as client:
        scores = compute(
            run,
            signal=signal,
            reference=reference,
            checkpoints=parse_checkpoints(checkpoints),
            device=device,
            memory_limit=memory_limit,
            save=save,
            progress=sys.stderr.isatty(),
            client=client,
        )
    show_scores(scores, run, save, path)


def show_scores(scores: "Scores", run: str, save: str | None, path: "Path | None") -> None:
    """Print a summary, and where the scores are kept; write them to a file, if there is one."""
    typer.echo(scores.summary())
    if save is not None:
        typer.echo(f"\nkept in {run} as {save!r}")
    if path is not None:
        scores.save(path)
        typer.echo(f"\nwritten to {path}")


def kept_or_new_scores(store: "Store", name: str | None) -> "Scores":
    """Return the scores of that name, the only ones kept, or new ones if none are."""
    from ltc.errors import ArgumentValueError
    from ltc.scores import load_scores

    kept = store.score_names()
    if name is None and len(kept) > 1:
        raise ArgumentValueError(
            f"--scores must say which of the scores kept in the run to use: {', '.join(kept)}"
        )
    if name is not None or kept:
        return load_scores(store, name or kept[0])
    if store.labels("train") is None:
        raise ArgumentValueError(
            "the run keeps no scores, and has no labels to score it by class: ltc score "
            f"{store.place.name} --reference mean --save NAME makes some"
        )
    from ltc.scoring import score as compute

    return compute(store, progress=sys.stderr.isatty())
