"""``ltc plan``."""

from typing import Annotated

import typer


def plan(
    train: Annotated[
        int, typer.Option(min=1, help="Number of training samples.", show_default=False)
    ],
    val: Annotated[
        int, typer.Option(min=1, help="Number of validation samples.", show_default=False)
    ],
    checkpoints: Annotated[
        int, typer.Option(min=1, help="Number of checkpoints.", show_default=False)
    ],
    folder: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Where to measure; best on the disk that the run will be on.",
            show_default="the temporary directory",
        ),
    ] = None,
) -> None:
    """Estimate what a run will take: disk, memory and time.

    Measures this machine for a second or two, on small runs that are removed
    again. Recording takes the time of the commits; what training and
    evaluation take is not in it.

    For example:
      ltc plan --train 1281167 --val 12800 --checkpoints 90
    """
    from ltc.planning import plan_run, plan_table
    from ltc.rates import measure_rates

    rates = measure_rates(checkpoints, folder)
    typer.echo(plan_table(plan_run(train, val, checkpoints, rates)))
