"""The commands and their common options."""

from importlib.metadata import version
from inspect import getdoc
from typing import Annotated

import typer

from ltc.cli.demo import demo
from ltc.cli.difficulty import difficulty
from ltc.cli.imports import import_
from ltc.cli.neighbors import neighbors
from ltc.cli.plan import plan
from ltc.cli.ranking import ranking
from ltc.cli.report import report
from ltc.cli.scores import score
from ltc.cli.select import select
from ltc.cli.stores import info, verify

ABOUT = """\
Find the training samples that matter, from losses recorded during training.

RUN is a store that ltc.Recorder or ltc.write_store wrote, a directory such as
run.zarr. To try it, look at a run, score it and select from it:

  ltc demo
  ltc info run.zarr
  ltc score run.zarr --save default
  ltc select run.zarr --fraction 0.1 -o coreset.npy"""


def verbatim(text: str) -> str:
    """Mark every paragraph of a help text as one whose lines are not to be joined."""
    return "\n\n".join(f"\b\n{paragraph}" for paragraph in text.split("\n\n"))


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
for command in (
    demo,
    info,
    verify,
    score,
    difficulty,
    select,
    neighbors,
    plan,
    import_,
    ranking,
    report,
):
    name, text = command.__name__.removesuffix("_"), getdoc(command) or ""
    app.command(name, help=verbatim(text), short_help=text.partition("\n")[0])(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ltc {version('ltc')}")
        raise typer.Exit


@app.callback(invoke_without_command=True, help=verbatim(ABOUT))
def ltc(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
