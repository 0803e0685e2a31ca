"""``ltc select``."""

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from ltc.cli.arguments import ClaimedLoss, Scheduler, Workers, checked_output, parse_checkpoints
from ltc.cli.scores import kept_or_new_scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ltc.scores import Scores
    from ltc.store import Store

PER_CLASS: Final = 20  # as in ltc.clusters, which is imported when it is needed
EXPONENT: Final = 4.0  # as in Scores.select


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
        Literal["top", "stratified", "random", "coverage", "beta"],
        typer.Option(
            help="top: the highest scores. stratified: equally many from 50 ranges of the score. "
            "random: any. coverage: equally many from clusters of similar trajectories. beta: at "
            "random by dual and confidence, as in ltc difficulty, easier ones the smaller the "
            "coreset is."
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
    exponent: Annotated[
        float | None,
        typer.Option(
            help="For beta, at least 1: the larger, the smaller are coresets of easy samples.",
            show_default=f"{EXPONENT:g} for beta",
        ),
    ] = None,
    fading: Annotated[
        float | None,
        typer.Option(
            help="For beta, at least 0: of how many samples a class the score counts by half "
            "beside the confidence; of fewer, less.",
            show_default="0 for beta: in full",
        ),
    ] = None,
    times_ltc: Annotated[
        bool,
        typer.Option(
            "--times-ltc",
            help="For beta: by these scores times those of ltc score, where they are above 0.",
            show_default="by these scores",
        ),
    ] = False,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            metavar="POSITIONS",
            help="For beta: which checkpoints dual and confidence are over, from 0: a slice such "
            "as 1: (without the one before training), or a list such as 0,1,5.",
            show_default="all",
        ),
    ] = None,
    loss: ClaimedLoss = None,
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
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which of the scores kept in the run to use. Without any, the run is scored with "
            "the defaults of ltc score. For beta, it is scored by dual unless this says what by.",
            show_default="the only ones; dual for beta",
        ),
    ] = None,
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
      ltc select run.zarr --fraction 0.1 --strategy beta --times-ltc -o c.npy
      ltc select run.zarr --fraction 0.1 --strategy random -o baseline.npy
      ltc select scores.npz --fraction 0.1 -o coreset.npy
      ltc select run.zarr --fraction 0.1 --workers 4 -o coreset/
    """
    from ltc.cli.blocks import blocks_wanted, check_not_empty, select_blocks
    from ltc.selection.coreset import SUFFIXES, load_indices
    from ltc.tables import coreset_table

    in_blocks = blocks_wanted(output, on_cluster=scheduler is not None or workers is not None)
    path = None if in_blocks else checked_output(output, SUFFIXES)
    _check_use("--clusters", clusters, "coverage", strategy)
    _check_use("--exponent", exponent, "beta", strategy)
    _check_use("--fading", fading, "beta", strategy)
    _check_use("--times-ltc", times_ltc or None, "beta", strategy)
    _check_use("--checkpoints", checkpoints, "beta", strategy)
    _check_use("--loss", loss, "beta", strategy)
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
    if strategy == "beta":
        basis = _for_beta(run, scores, parse_checkpoints(checkpoints), loss, times_ltc=times_ltc)
        wanted |= {
            "exponent": EXPONENT if exponent is None else exponent,
            "fading": 0.0 if fading is None else fading,
        }
    elif strategy == "coverage":
        basis = _for_coverage(run, scores, PER_CLASS if clusters is None else clusters, seed)
    else:
        basis = _Basis(_scores_of(run, scores))
    if balance is None:
        balance = "none" if basis.scores.labels is None else "class"
    coreset = basis.scores.select(
        balance=None if balance == "none" else balance, **wanted, **basis.options
    )
    check_not_empty(len(coreset), fraction)
    coreset.save(path)
    table = coreset_table(coreset, basis.scores, basis.facts(coreset.indices))
    typer.echo(f"{table}\n\nwritten to {path}")


@dataclass(frozen=True)
class _Basis:
    """What a coreset is selected from.

    Attributes
    ----------
    scores : Scores
        Of all samples.
    options : dict
        What the strategy needs beside them, as `Scores.select` takes it.
    drawn_by : str
        What samples are drawn by, where it is more than the scores.
    """

    scores: "Scores"
    options: "dict[str, Any]" = field(default_factory=dict)
    drawn_by: str = ""

    def facts(self, chosen: "NDArray[np.int64]") -> list[tuple[str, str]]:
        """Return what there is to tell of the samples that were chosen."""
        import numpy as np

        found = [("drawn by", self.drawn_by)] if self.drawn_by else []
        clusters = self.options.get("clusters")
        if clusters is not None:
            there = np.bincount(clusters) > 0
            taken = np.bincount(clusters[chosen], minlength=there.size) > 0
            text = f"from {np.count_nonzero(taken):,} of {np.count_nonzero(there):,}"
            found.append(("clusters", text))
        return found


def _check_use(option: str, value: object, needed_by: str, strategy: str) -> None:
    """Refuse an option that a strategy has no use for."""
    from ltc.errors import ArgumentValueError

    if value is not None and strategy != needed_by:
        raise ArgumentValueError(f"{option} needs --strategy {needed_by}, got {strategy!r}")


def _scores_of(run: str, name: str | None) -> "Scores":
    """Return scores of a run, or those in a file."""
    from ltc.errors import ArgumentValueError
    from ltc.scores import load_scores
    from ltc.store import open_store

    if not _is_file(run):
        return kept_or_new_scores(open_store(run), name)
    if name is not None:
        raise ArgumentValueError(f"--scores needs a run, not a file of scores, got {run!r}")
    return load_scores(run)


def _for_coverage(run: str, name: str | None, per_class: int, seed: int) -> _Basis:
    """Return scores, and the clusters that samples are taken from."""
    from ltc.clustering import clusters
    from ltc.errors import ArgumentValueError

    if per_class < 1:
        raise ArgumentValueError(f"--clusters must be at least 1, got {per_class}")
    store = _run_for("coverage", run, "the trajectories")
    scores = kept_or_new_scores(store, name)
    progress = sys.stderr.isatty()
    found = clusters(store, per_class=per_class, seed=seed, progress=progress)
    return _Basis(scores, {"clusters": found})


def _for_beta(
    run: str,
    name: str | None,
    positions: slice | list[int] | None,
    loss: str | None,
    *,
    times_ltc: bool,
) -> _Basis:
    """Return scores, those of DUAL unless named, and confidence over the same checkpoints."""
    import numpy as np

    from ltc.difficulty import difficulty
    from ltc.errors import ArgumentValueError
    from ltc.scores import load_scores
    from ltc.scoring import score
    from ltc.tables import counted

    store = _run_for("beta", run, "what confidence is made of")
    progress = sys.stderr.isatty()
    if name is not None and positions is not None:
        raise ArgumentValueError(
            "--checkpoints can't be given with --scores, whose checkpoints confidence is over"
        )
    if name is None:
        both = difficulty(
            store, ["dual", "confidence"], checkpoints=positions, loss=loss, progress=progress
        )
        scores, confidence, named = both["dual"], both["confidence"], "dual"
    else:
        scores, named = load_scores(store, name), repr(name)
        used = scores.metadata.get("checkpoints", store.checkpoints)
        rows = np.flatnonzero(np.isin(store.checkpoints, used)).tolist()
        confidence = difficulty(store, "confidence", checkpoints=rows, loss=loss, progress=progress)
    over = counted(len(confidence.metadata["checkpoints"]), "checkpoint")
    options: dict[str, Any] = {"confidence": confidence}
    if times_ltc:
        options["times"] = score(store)
        named += " times ltc"
    return _Basis(scores, options, f"{named} and confidence, over {over}")


def _run_for(strategy: str, run: str, what: str) -> "Store":
    """Open the run that a strategy needs, which a file of scores doesn't replace."""
    from ltc.errors import ArgumentValueError
    from ltc.store import open_store

    if _is_file(run):
        raise ArgumentValueError(
            f"--strategy {strategy} needs a run, which has {what}, not a file of scores"
        )
    return open_store(run)


def _is_file(run: str) -> bool:
    from ltc.score_files import SUFFIXES

    return run.lower().endswith(SUFFIXES)
