"""``ltc score`` and ``ltc select``."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from ltc.cli.arguments import (
    Checkpoints,
    KeptScores,
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

PER_CLASS: Final = 20  # as in ltc.clusters, which is imported when it is needed


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


def select(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="The store of a run, such as run.zarr or s3://bucket/run.zarr, or an .npz or "
            ".parquet file of scores, as ltc score -o writes it.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write: .npy and .txt hold indices, .csv and .parquet the columns "
            "index, id, label and score. A folder, if it ends in / or the work is done on a "
            "cluster, gets blocks of indices.",
            show_default=False,
        ),
    ],
    fraction: Annotated[
        float | None,
        typer.Option(
            help="Size of the coreset, 0 to 1, as a fraction of the samples not excluded. Either "
            "this or --k is needed.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", help="Size of the coreset in samples.", show_default=False)
    ] = None,
    balance: Annotated[
        Literal["class", "equal", "none"] | None,
        typer.Option(
            help="class: shares proportional to class sizes. equal: the same number from each "
            "class. none: one ranking of all samples.",
            show_default="class, or none where the run has no labels",
        ),
    ] = None,
    strategy: Annotated[
        Literal["top", "stratified", "random", "coverage"],
        typer.Option(
            help="top: the highest scores. stratified: equally many from 50 ranges of the score. "
            "random: any. coverage: equally many from clusters of similar trajectories."
        ),
    ] = "top",
    cutoff: Annotated[
        float,
        typer.Option(
            help="Share of each class, 0 to 1, with the lowest scores, that is set aside first."
        ),
    ] = 0.0,
    clusters: Annotated[
        int | None,
        typer.Option(
            help="Clusters in each class, for coverage.",
            show_default=f"{PER_CLASS} for coverage",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="For all strategies but top.")] = 0,
    exclude: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File of sample indices that are not to be selected: .npy, .txt, .csv or "
            ".parquet, as -o writes them.",
            show_default="none",
        ),
    ] = None,
    scores: KeptScores = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
) -> None:
    """Select a coreset, write it to a file, and print what is in it.

    The coreset has exactly the size that is asked for. What a class can't
    fill of its share comes from the other classes, then from the samples
    that the cutoff set aside, and at last from samples without a score.

    Blocks hold the same samples, in a file for each range of the training
    samples. They are selected without all scores in memory, by scores that
    the run keeps, and read by ltc.CoresetBlocks.open.

    For example:
      ltc select run.zarr --fraction 0.1 -o coreset.npy
      ltc select run.zarr --k 5000 --strategy stratified --cutoff 0.2 -o few.csv
      ltc select run.zarr --k 5000 --strategy coverage --clusters 20 -o c.npy
      ltc select run.zarr --fraction 0.1 --strategy random -o baseline.npy
      ltc select scores.npz --fraction 0.1 -o coreset.npy
      ltc select run.zarr --fraction 0.1 --workers 4 -o coreset/
    """
    from ltc.cli.blocks import blocks_wanted, check_not_empty, select_blocks
    from ltc.errors import ArgumentValueError
    from ltc.selection.coreset import SUFFIXES, load_indices
    from ltc.tables import coreset_table

    in_blocks = blocks_wanted(output, on_cluster=scheduler is not None or workers is not None)
    path = None if in_blocks else checked_output(output, SUFFIXES)
    if clusters is not None and strategy != "coverage":
        raise ArgumentValueError(f"--clusters needs --strategy coverage, got {strategy!r}")
    wanted: dict[str, Any] = {
        "fraction": fraction,
        "k": k,
        "strategy": strategy,
        "cutoff": cutoff,
        "seed": seed,
        "exclude": None if exclude is None else load_indices(exclude),
    }
    if path is None:
        wanted["balance"] = balance
        typer.echo(select_blocks(run, output, scheduler, workers, scores, **wanted))
        return
    store, found = _store_and_scores(run, scores)
    if balance is None:
        balance = "none" if found.labels is None else "class"
    coreset = found.select(
        balance=None if balance == "none" else balance,
        **wanted,
        **_needed_by(strategy, store, clusters, seed),
    )
    check_not_empty(len(coreset), fraction)
    coreset.save(path)
    typer.echo(f"{coreset_table(coreset, found)}\n\nwritten to {path}")


def _store_and_scores(run: str, name: str | None) -> "tuple[Store | None, Scores]":
    """Return a run and its scores, or the scores of a file, of which no run is known."""
    from ltc.errors import ArgumentValueError
    from ltc.score_files import SUFFIXES
    from ltc.scores import load_scores
    from ltc.store import open_store

    if not run.lower().endswith(SUFFIXES):
        store = open_store(run)
        return store, kept_or_new_scores(store, name)
    if name is not None:
        raise ArgumentValueError(f"--scores needs a run, not a file of scores, got {run!r}")
    return None, load_scores(run)


def _needed_by(
    strategy: str, store: "Store | None", per_class: int | None, seed: int
) -> "dict[str, Any]":
    """Return what a strategy needs beside the scores."""
    progress = sys.stderr.isatty()
    if strategy == "coverage":
        from ltc.clustering import clusters
        from ltc.errors import ArgumentValueError

        if store is None:
            raise ArgumentValueError(
                "--strategy coverage needs a run, which has the trajectories, not a file of scores"
            )
        number = PER_CLASS if per_class is None else per_class
        return {"clusters": clusters(store, per_class=number, seed=seed, progress=progress)}
    return {}


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
    from ltc.scoring import score as compute

    return compute(store, progress=sys.stderr.isatty())
