"""``ltc select`` into a folder of blocks, on this machine or on a cluster."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ltc.cli.clusters import cluster_client
from ltc.errors import ArgumentValueError

if TYPE_CHECKING:
    from ltc.selection.blocks import CoresetBlocks
    from ltc.selection.plan import Strategy

__all__ = ["blocks_wanted", "check_not_empty", "select_blocks"]


def blocks_wanted(output: str, *, on_cluster: bool) -> bool:
    """Tell whether an output is to be a folder of blocks.

    Raises
    ------
    ArgumentValueError
        It is the name of a file where only a folder can be meant.

    Examples
    --------
    >>> outputs = ("coreset.npy", "coreset/", "s3://bucket/coreset")
    >>> [blocks_wanted(output, on_cluster=False) for output in outputs]
    [False, True, True]
    >>> blocks_wanted("coreset", on_cluster=True)
    True
    """
    from ltc.selection.coreset import SUFFIXES

    if not (on_cluster or output.endswith("/") or "://" in output):
        return False
    if output.lower().endswith(SUFFIXES):
        raise ArgumentValueError(
            f"--output must be a folder, for blocks, on a cluster or at an address, got {output!r}"
        )
    return True


def check_not_empty(size: int, fraction: float | None) -> None:
    """Refuse a coreset without samples: nobody wants a file of them.

    Raises
    ------
    ArgumentValueError
        It has none.
    """
    if size:
        return
    if fraction is None:
        raise ArgumentValueError("--k must be at least 1, got 0")
    raise ArgumentValueError(
        f"--fraction must be enough for a sample, got {fraction:g}, which rounds to none"
    )


def select_blocks(
    run: str,
    output: str,
    scheduler: str | None,
    workers: int | None,
    scores: str | None,
    *,
    fraction: float | None,
    strategy: Strategy,
    balance: str | None,
    **arguments: Any,
) -> str:
    """Select by scores that are kept in the run; return what to print.

    Parameters
    ----------
    run, output, scores
        As `ltc.select` takes them.
    scheduler, workers
        As `cluster_client` takes them.
    fraction, strategy, balance, **arguments
        What to select, as `ltc.select` takes it; but a balance of None is that which suits the
        scores, and ``"none"`` is none.

    Raises
    ------
    LtcError, OSError
        As `ltc.select` raises them, or the coreset would have no samples.
    """
    from ltc.block_selection import find_kept, select
    from ltc.score_files import SUFFIXES as FILES
    from ltc.selection.counting import check_counted
    from ltc.selection.plan import plan_selection
    from ltc.store import open_store
    from ltc.tables import columns, counted, share

    check_counted(strategy)
    if run.lower().endswith(FILES):
        raise ArgumentValueError(
            f"RUN must be a run that keeps its scores, to select in blocks, not a file of scores, "
            f"got {run!r}"
        )
    store = open_store(run)
    if scores is None and not store.score_names():
        raise ArgumentValueError(
            "to select in blocks, the run must keep its scores, and it keeps none: ltc score "
            f"{run} --save NAME makes some"
        )
    kept = find_kept(store, scores)
    if balance is None:
        balance = "class" if kept.labelled else "none"
    chosen: Any = {
        **arguments,
        "fraction": fraction,
        "strategy": strategy,
        "balance": None if balance == "none" else balance,
    }
    plan = plan_selection(store.num_train, labelled=kept.labelled, **chosen)
    check_not_empty(plan.k, fraction)
    with cluster_client(scheduler, workers) as client:
        coreset: CoresetBlocks = select(
            store,
            scores=kept.name,
            output=output,
            client=client,
            progress=sys.stderr.isatty(),
            **chosen,
        )
    size = store.num_train
    facts = [
        ("coreset", f"{share(len(coreset), size)} of {counted(size, 'sample')}"),
        ("scores", repr(kept.name)),
        ("blocks", f"{len(coreset.files):,}, read by ltc.CoresetBlocks.open"),
    ]
    return "\n".join([*columns(facts, "<<"), "", f"written to {coreset.path}"])
