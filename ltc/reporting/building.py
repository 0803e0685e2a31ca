"""`report`: look at a run, and write what there is to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltc.atomic import atomic_file

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import ArrayLike

    from ltc.reporting.arguments import ClassNames, Pictures
    from ltc.scores import Scores
    from ltc.store import Store

__all__ = ["report"]


def report(
    run: str | os.PathLike[str] | Store,
    output: str | os.PathLike[str],
    *,
    scores: Scores | str | None = None,
    queries: slice | ArrayLike | None = None,
    class_names: ClassNames | None = None,
    pictures: Pictures | None = None,
    fraction: float = 0.1,
    cutoff: float = 0.2,
    loss: str | None = None,
    device: str = "auto",
    memory_limit: str | int = "512MB",
    progress: bool = False,
) -> Path:
    """Write a report of a run to look at: one HTML file of at most 5 MB that needs no network.

    It shows what was recorded and how complete it is, how the scores are spread in all and in each
    class, the data map of Dataset Cartography (arXiv 2009.10795), trajectories of the highest,
    lowest and most undecided samples, the training samples most aligned and most in conflict with
    some validation samples, what each strategy would take of each class, how early the scores were
    settled, and what is doubtful about the validation split. A class can be picked, and a sample be
    looked for. Beside every plot is a table.

    Parameters
    ----------
    run : path or Store
        A store written by `Recorder` or `write_store`.
    output : path
        The file to write, ``.html`` or ``.htm``; what is there is replaced, never by half a file.
    scores : Scores or str, optional
        Those to show, or the name of some kept in the run. By default the run is scored as
        :func:`ltc.score` does, without labels against the mean of all validation samples.
    queries : slice or array of int, optional
        Validation samples to explain, at most 50. By default six: three among those of the highest
        loss at the end, three near the median, of different classes.
    class_names : sequence of str or mapping of int to str, optional
        What classes are called, by label.
    pictures : callable, optional
        ``pictures(split, index)`` with split ``"train"`` or ``"val"`` returns a picture of a
        sample, a PIL image, an array or the bytes of an image file, or None. It is called for those
        samples that are shown one by one.
    fraction, cutoff : float
        Of the coresets whose make-up is shown, as for :meth:`ltc.Scores.select`.
    loss : {None, "cross-entropy"}
        The data map and DUAL's selection need hard-label cross-entropy, as for
        :func:`ltc.difficulty`: the store knows it of losses recorded from logits;
        ``"cross-entropy"`` says that all others are it too.
    device : str
        Where neighbours are looked for, as for :func:`ltc.neighbors`.
    memory_limit : str or int
        Bytes for each step, such as ``"512MB"``.
    progress : bool
        Show progress bars.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingExtraError
        A package of ``pip install 'ltc[report]'`` is not installed.
    StoreError
        Not a store, or chunks that were lost or changed.
    ArgumentTypeError, ArgumentValueError, ArgumentIndexError
        An argument that doesn't fit, or fewer checkpoints than scores need.
    OSError
        The file can't be written.

    Examples
    --------
    >>> import ltc
    >>> rng = np.random.default_rng(0)
    >>> course = np.exp(-0.5 * np.arange(9.0))[:, None]
    >>> train, val = (course + 0.02 * rng.random((9, size)) for size in (300, 40))
    >>> run, labels = directory / "run.zarr", {"train_labels": [0] * 300, "val_labels": [0] * 40}
    >>> ltc.write_store(run, train, val, **labels)
    >>> path = report(run, directory / "report.html", class_names=["muses"])
    >>> path.name, path.read_bytes()[:15]
    ('report.html', b'<!doctype html>')
    """
    from ltc.reporting.arguments import check_report

    plan = check_report(
        run,
        output,
        scores=scores,
        queries=queries,
        class_names=class_names,
        pictures=pictures,
        fraction=fraction,
        cutoff=cutoff,
        loss=loss,
        device=device,
        memory_limit=memory_limit,
        progress=progress,
    )
    from ltc.reporting.contents import gather
    from ltc.reporting.page import render

    page = render(gather(plan))
    with atomic_file(plan.output) as file:
        file.write(page)
    return plan.output
