"""``ltc demo``."""

import sys
from typing import Annotated, Literal

import typer

from ltc.cli.arguments import parse_fractions


def demo(
    dataset: Annotated[
        Literal["digits", "fashion-mnist"],
        typer.Option(
            help="digits: 1,797 images that scikit-learn ships. fashion-mnist: the 60,000 images "
            "of Debian's package dataset-fashion-mnist."
        ),
    ] = "digits",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Directory of the IDX files of fashion-mnist.",
            show_default="where Debian puts them",
        ),
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Directory for plots, tables and recorded runs.")
    ] = "ltc-demo",
    seeds: Annotated[int, typer.Option(help="How often everything is repeated.")] = 5,
    sizes: Annotated[
        str,
        typer.Option(
            metavar="LIST", help="Coreset sizes, as fractions of the training data between 0 and 1."
        ),
    ] = "0.02,0.05,0.1,0.2",
    cutoff: Annotated[
        float,
        typer.Option(
            help="Share of each class, 0 to 1, that the strategies with a cutoff set aside."
        ),
    ] = 0.2,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the training data while recording, at least 4.",
            show_default="what suits the data set",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that train at the same time.", show_default="one per core"),
    ] = None,
) -> None:
    """Record, score, select and train on real data, and print what was measured.

    A small network is trained and recorded; its training data are scored;
    then networks are trained from scratch on coresets of every strategy, on
    a random subset of the same size, and on everything. A second part does
    it again with a tenth of the labels flipped. It needs the packages of
    "pip install 'ltc[demo]'" and at most two minutes on two cores.

    For example:
      ltc demo
      ltc demo --sizes 0.05,0.1 --seeds 10
      ltc demo --dataset fashion-mnist --data ~/fashion-mnist
    """
    from ltc.demo import run

    report = run(
        dataset,
        data=data,
        out=out,
        seeds=seeds,
        sizes=parse_fractions(sizes),
        cutoff=cutoff,
        epochs=epochs,
        workers=workers,
        progress=sys.stderr.isatty(),
    )
    typer.echo(str(report))
