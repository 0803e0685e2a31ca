"""``ltc plan``."""

from typing import Annotated

import typer

from ltc.cli.arguments import parse_count


def plan(
    train: Annotated[
        int,
        typer.Option(
            parser=parse_count,
            metavar="NUMBER",
            help="Number of training samples, such as 1281167 or 1e10.",
            show_default=False,
        ),
    ],
    val: Annotated[
        int,
        typer.Option(
            parser=parse_count,
            metavar="NUMBER",
            help="Number of validation samples.",
            show_default=False,
        ),
    ],
    checkpoints: Annotated[
        int,
        typer.Option(
            parser=parse_count,
            metavar="NUMBER",
            help="Number of checkpoints.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Where to measure; best on the disk that the run will be on.",
            show_default="the temporary directory",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Plan for so many machines like this one, each a worker of a Dask cluster, and a "
            "store in an object store.",
            show_default="this machine and its disk",
        ),
    ] = None,
    network: Annotated[
        float, typer.Option(metavar="GBIT", help="Gb/s between a worker and the object store.")
    ] = 10.0,
    latency: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Until an answer of the object store begins."),
    ] = 0.1,
    reads: Annotated[
        float, typer.Option(metavar="NUMBER", help="Reads a second that it answers.")
    ] = 5500,
    writes: Annotated[
        float, typer.Option(metavar="NUMBER", help="Writes a second that it answers.")
    ] = 3500,
) -> None:
    """Estimate what a run will take: disk, memory and time.

    Measures this machine for a second or two, on small runs that are removed
    again. Recording takes the time of the commits; what training and
    evaluation take is not in it. With --workers also tasks and requests, and
    what bounds each step; the last four options are for that.

    For example:
      ltc plan --train 1281167 --val 12800 --checkpoints 90
      ltc plan --train 1e10 --val 1e6 --checkpoints 50 --workers 64
    """
    from ltc.planning import check_sizes, plan_run, plan_table
    from ltc.rates import measure_rates

    check_sizes(train, val, checkpoints)
    if workers is None:
        typer.echo(
            plan_table(plan_run(train, val, checkpoints, measure_rates(checkpoints, folder)))
        )
        return
    from ltc.distributed.planning import Conditions, cluster_table, plan_cluster

    assumed = Conditions(network=network, latency=latency, reads=reads, writes=writes)
    rates = measure_rates(checkpoints, folder)
    typer.echo(cluster_table(plan_cluster(train, val, checkpoints, rates, workers, assumed)))
