"""``ltc report``."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from ltc.cli.arguments import KeptScores, Run
from ltc.cli.scores import kept_or_new_scores
from ltc.errors import ArgumentValueError


def report(
    run: Run,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write: .html.", show_default=False
        ),
    ],
    queries: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Validation samples to explain, by their indices, such as 3,17; at most 50.",
            show_default="six of high and of median loss",
        ),
    ] = None,
    class_names: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A text file with the name of a class on each line, that of class 0 first.",
            show_default="their labels",
        ),
    ] = None,
    fraction: Annotated[
        float, typer.Option(help="Size, 0 to 1, of the coresets whose make-up is shown.")
    ] = 0.1,
    cutoff: Annotated[
        float,
        typer.Option(help="Share of each class, 0 to 1, that strategies with a cutoff set aside."),
    ] = 0.2,
    loss: Annotated[
        Literal["cross-entropy"] | None,
        typer.Option(
            help="Say that the losses are hard-label cross-entropy where the run doesn't know it: "
            "the data map needs it.",
            show_default="what the run says",
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(metavar="NAME", help="Where to compute: auto, cpu, cuda or cuda:1."),
    ] = "auto",
    scores: KeptScores = None,
) -> None:
    """Write a report to look at: one HTML file that needs no network.

    It shows how complete the recording is, how scores are spread in all and
    by class, the data map, single samples with their trajectories, what was learned with
    and against some validation samples, what each strategy would take of
    each class, how early the scores were settled, and what is doubtful. A
    class can be picked, and a sample be looked for. It needs the packages of
    "pip install 'ltc[report]'".

    For example:
      ltc report run.zarr -o report.html
      ltc report run.zarr -o report.html --class-names names.txt
      ltc report run.zarr -o report.html --queries 3,17 --scores default
    """
    from ltc.reporting import report as write
    from ltc.reporting.arguments import check_output
    from ltc.store import open_store

    check_output(output)
    names = None
    if class_names is not None:
        names = Path(class_names).read_text(encoding="utf-8").splitlines()
    asked = None if queries is None else _parse_queries(queries)
    store = open_store(run)
    path = write(
        store,
        output,
        scores=kept_or_new_scores(store, scores) if scores or store.score_names() else None,
        queries=asked,
        class_names=names,
        fraction=fraction,
        cutoff=cutoff,
        loss=loss,
        device=device,
        progress=sys.stderr.isatty(),
    )
    typer.echo(f"written to {path} ({path.stat().st_size / 1e6:.1f} MB)")


def _parse_queries(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentValueError(f"--queries must be indices such as 3,17, got {text!r}") from None
