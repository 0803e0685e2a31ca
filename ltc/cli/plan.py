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
) -> None:
    """Estimate what a run will take: disk, memory and time.

    Measures this machine for a second or two, on small runs in the temporary
    directory, which are removed. Recording takes the time of the commits;
    what training and evaluation take is not in it.

    For example:
      ltc plan --train 1281167 --val 12800 --checkpoints 90
    """
    from ltc.planning import measure_rates, plan_run, plan_table

    typer.echo(plan_table(plan_run(train, val, checkpoints, measure_rates(checkpoints))))
