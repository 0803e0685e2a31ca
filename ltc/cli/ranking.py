"""``ltc ranking``."""

from typing import Annotated

import typer

from ltc.cli.arguments import KeptScores, Run, checked_output
from ltc.cli.scores import kept_or_new_scores

PICKLES = (".pickle", ".pkl")


def ranking(
    run: Run,
    pickle: Annotated[
        str,
        typer.Option(metavar="FILE", help="Where to write: .pickle or .pkl.", show_default=False),
    ],
    positions: Annotated[
        bool,
        typer.Option(
            "--positions",
            help="Tell samples by their positions in the run, even if it has integer ids.",
        ),
    ] = False,
    scores: KeptScores = None,
) -> None:
    """Write the ranking of each class for the papers' training script.

    That is a pickle of a dict: "0", "1" and so on for the classes, and for
    each of them an array of its training samples, best first. It is what the
    papers' scoring script writes, and its training script reads it.

    A sample is told by its id where the run has integers for ids, as one
    that was imported with --split-file has: they are indices in the whole
    data set. Otherwise it is told by its position in the training split. A
    class without validation samples has an empty array; samples without a
    score come last.

    For example:
      ltc ranking run.zarr --pickle scores.pkl
    """
    import numpy as np

    from ltc.errors import ArgumentValueError
    from ltc.rankings import class_rankings, write_rankings
    from ltc.store import open_store

    path = checked_output(pickle, PICKLES)
    store = open_store(run)
    labels = store.labels("val")
    if labels is None:
        raise ArgumentValueError(f"{run}: the run must have labels to be ranked by class")
    found = kept_or_new_scores(store, scores)
    by_id = not positions and found.ids is not None and found.ids.dtype == np.int64
    rankings = class_rankings(found, labels, by_id=by_id)
    write_rankings(path, rankings)
    told = "ids of the run" if by_id else "positions in the training split"
    ranked = sum(map(len, rankings.values()))
    typer.echo(f"{ranked:,} samples of {len(rankings):,} classes, by their {told}")
    typer.echo(f"\nwritten to {path}")
