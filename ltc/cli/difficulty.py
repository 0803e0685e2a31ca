"""``ltc difficulty``."""

import sys
from typing import Annotated

import typer

from ltc.cli.arguments import (
    Checkpoints,
    ClaimedLoss,
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
from ltc.cli.scores import show_scores
from ltc.difficulty_plan import Kind


def difficulty(
    run: Run,
    kind: Annotated[
        Kind,
        typer.Option(metavar="KIND", help="One of those above.", show_default=False),
    ],
    checkpoints: Checkpoints = None,
    window: Annotated[int, typer.Option(help="Checkpoints in a window of dyn-unc and dual.")] = 10,
    classes: Annotated[
        int | None,
        typer.Option(help="Classes of the model, for forgetting.", show_default="those of labels"),
    ] = None,
    loss: ClaimedLoss = None,
    memory_limit: MemoryLimit = "512MB",
    save: SaveAs = None,
    output: ScoresFile = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
) -> None:
    """Score every training sample by a measure of difficulty.

    Unlike ltc score, it looks at a sample's own losses alone. With p, the
    probability exp(-loss) of the label:

      cumulative-loss,   sum, mean or last of the losses
      mean-loss,
      final-loss
      confidence         mean of p; low is hard
      variability        standard deviation of p
      dyn-unc            mean of the standard deviations of p in windows
      dual               the same, each times one minus the window's mean
      forgetting-least,  bounds of how often right is followed by wrong
      forgetting-most

    All but the first three need hard-label cross-entropy, as it is recorded
    from logits. High values come first, also in ltc select. Nothing is
    written unless --save or --output asks for it.

    For example:
      ltc difficulty run.zarr --kind mean-loss
      ltc difficulty run.zarr --kind dual --checkpoints 1:31 --save dual
      ltc difficulty run.zarr --kind confidence --loss cross-entropy -o c.npz
      ltc difficulty run.zarr --kind mean-loss --workers 4 --save mean
    """
    from ltc.difficulty import difficulty as compute
    from ltc.score_files import SUFFIXES

    path = None if output is None else checked_output(output, SUFFIXES)
    with cluster_client(scheduler, workers) as client:
        scores = compute(
            run,
            kind,
            checkpoints=parse_checkpoints(checkpoints),
            window=window,
            classes=classes,
            loss=loss,
            memory_limit=memory_limit,
            save=save,
            progress=sys.stderr.isatty(),
            client=client,
        )
    show_scores(scores, run, save, path)
