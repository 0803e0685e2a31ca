"""``ltc neighbors``."""

import sys
from typing import Annotated, Literal

import typer

from ltc.cli.arguments import Run, Scheduler, Workers, checked_output, parse_checkpoints
from ltc.cli.clusters import cluster_client

PLOTS = (".png", ".svg", ".pdf")


def neighbors(
    run: Run,
    query: Annotated[
        int,
        typer.Option(help="The validation sample to explain, by its index.", show_default=False),
    ],
    k: Annotated[int, typer.Option("--k", help="How many of each kind to list, 1 to 1024.")] = 10,
    within: Annotated[
        Literal["all", "class"],
        typer.Option(help="Look among all training samples, or among those of its class."),
    ] = "all",
    signal: Annotated[
        Literal["difference", "loss"],
        typer.Option(help="Correlate changes of the loss between checkpoints, or the loss itself."),
    ] = "difference",
    checkpoints: Annotated[
        str | None,
        typer.Option(
            metavar="POSITIONS",
            help="Positions of the checkpoints to use, from 0: a slice such as :45 (the first 45) "
            "or ::3 (every third), or a list such as 0,1,5.",
            show_default="all",
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda or cuda:1."),
    ] = "auto",
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Draw the query's losses with those of five samples of each kind, and the "
            "differences of both: .png, .svg or .pdf.",
            show_default="not drawn",
        ),
    ] = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
) -> None:
    """Show what a validation sample was learned with, and against what.

    Lists the training samples whose loss moved most with the loss of the
    query over the checkpoints, and those whose loss moved most against it,
    with their correlations, -1 to 1. All training samples are compared.

    For example:
      ltc neighbors run.zarr --query 3
      ltc neighbors run.zarr --query 3 --k 20 --within class
      ltc neighbors run.zarr --query 3 --plot query3.png
    """
    from ltc.neighbor_plots import require_plots, save_neighbors_plot
    from ltc.neighbor_tables import neighbors_table
    from ltc.pairs import neighbors as find
    from ltc.store import open_store

    path = None if plot is None else checked_output(plot, PLOTS)
    if path is not None:
        require_plots()
    store = open_store(run)
    with cluster_client(scheduler, workers, device, pairs=True) as client:
        found = find(
            store,
            [query],
            k=k,
            within=within,
            signal=signal,
            checkpoints=parse_checkpoints(checkpoints),
            device=device,
            progress=sys.stderr.isatty(),
            client=client,
        )
    typer.echo(neighbors_table(found, store))
    if path is not None:
        save_neighbors_plot(path, found, store)
        typer.echo(f"\nwritten to {path}")
