"""The printed report: tables of what was measured."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

import ltc
from ltc.demo.experiment import Part, Plan, Row
from ltc.demo.measures import (
    flipped_share,
    pass_scores,
    recorder_share,
    seconds_per_commit,
    storage_correlation,
)
from ltc.evaluation import flipped_auc, rank_agreement

__all__ = ["accuracy_csv", "compose"]

_BASELINE = "random (baseline)"


def compose(plan: Plan, parts: Sequence[Part], seconds: float) -> str:
    """Return the report as text.

    Parameters
    ----------
    plan : Plan
        What was compared.
    parts : sequence of Part
        The results, one part per share of flipped labels.
    seconds : float
        Wall-clock time of the whole comparison.
    """
    lines = [*_setting(plan, parts[0])]
    for part in parts:
        lines += ["", *_part(plan, part)]
    runs = [run for part in parts for run in part.runs]
    correlations = [storage_correlation(run) for run in runs]
    shares = {timer: recorder_share(runs, timer) for timer in ("update", "commit", "evaluate")}
    lines += [
        "",
        *_identical(plan, parts),
        "Scores from float16 and from float32 losses: Spearman's rank correlation "
        f"{min(correlations):.6f} at least, over {len(runs)} runs.",
        f"Recording took {shares['update'] + shares['commit']:.1%} of the training time "
        f"(update {shares['update']:.1%}, commit {shares['commit']:.1%}: "
        f"{1000 * seconds_per_commit(runs):.0f} ms each); "
        f"passes without training {shares['evaluate']:.1%}.",
        f"All of it took {seconds:.0f} s.",
    ]
    return "\n".join(lines)


def accuracy_csv(plan: Plan, parts: Sequence[Part]) -> str:
    """Return every single accuracy as text in CSV form."""
    lines = ["flipped,strategy,cutoff,fraction,seed,accuracy"]
    for part in parts:
        for row in plan.rows:
            for size in plan.sizes:
                lines += [
                    f"{part.flip:g},{row.strategy},{row.cutoff:g},{size:g},{seed},{value:.6f}"
                    for seed, value in enumerate(part.accuracy[row, size])
                ]
        lines += [
            f"{part.flip:g},everything,0,1,{seed},{value:.6f}"
            for seed, value in enumerate(part.everything)
        ]
    return "\n".join(lines) + "\n"


def _identical(plan: Plan, parts: Sequence[Part]) -> list[str]:
    """Name the strategies for which the cutoff changed no coreset."""
    coresets = [run.coresets for part in parts for run in part.runs]
    names = [
        without.strategy
        for without, row in zip(plan.rows[::2], plan.rows[1::2], strict=True)
        if all(
            np.array_equal(of_run[without, size], of_run[row, size])
            for of_run in coresets
            for size in plan.sizes
        )
    ]
    return [f"The cutoff changes no coreset of {name}: its two rows are one." for name in names]


def _setting(plan: Plan, part: Part) -> list[str]:
    run, recipe = part.runs[0], plan.recipe
    train, val, test = len(run.labels), len(run.val_labels), run.num_test
    return [
        f"{plan.dataset}: {train:,} training, {val:,} validation and {test:,} test samples, "
        f"split anew for each of {plan.seeds} seeds.",
        f"Each model, {recipe.network}, trains from scratch for {recipe.iterations(train):,} "
        f"iterations of at most {recipe.batch_size} samples.",
        "Test accuracy in %: mean ± standard deviation over the seeds. A cutoff sets aside that "
        "share of each class, lowest scores first.",
    ]


def _part(plan: Plan, part: Part) -> list[str]:
    passes = [pass_scores(run) for run in part.runs]
    agreement = np.array(
        [
            rank_agreement(run.scores.values, scores.values)
            for run, scores in zip(part.runs, passes, strict=True)
        ]
    )
    modes = (
        "Scores from losses of training steps and from passes of their own: Spearman's rank "
        f"correlation {agreement.mean():.3f} ± {_spread(agreement):.3f}"
    )
    accuracy = _table(plan, part, part.accuracy.__getitem__, part.everything)
    if not part.flip:
        return ["Clean labels", *accuracy, modes]
    aucs = _aucs(part, [run.scores for run in part.runs])
    later = _aucs(part, [run.later_scores for run in part.runs])
    passed = _aucs(part, passes)
    wrong = np.array([run.flipped.mean() for run in part.runs])
    return [
        f"{part.flip:.0%} of the training and validation labels flipped",
        *accuracy,
        modes,
        f"Finding flipped labels by low scores: AUC {aucs.mean():.3f} ± {_spread(aucs):.3f}; "
        f"without the checkpoint before training: {later.mean():.3f} ± {_spread(later):.3f}; "
        f"from passes of their own: {passed.mean():.3f} ± {_spread(passed):.3f}",
        "",
        "Flipped labels in the coresets, %",
        *_table(plan, part, lambda cell: flipped_share(part, *cell), wrong),
    ]


def _aucs(part: Part, scores: Sequence[ltc.Scores]) -> NDArray[np.float64]:
    return np.array(
        [
            flipped_auc(found.values, run.flipped)
            for run, found in zip(part.runs, scores, strict=True)
        ]
    )


def _table(
    plan: Plan,
    part: Part,
    cell: Callable[[tuple[Row, float]], NDArray[np.float64]],
    everything: NDArray[np.float64],
) -> list[str]:
    """Return the lines of a table: a row per strategy and cutoff, a column per size."""
    header = ["strategy", "cutoff"]
    for size in plan.sizes:
        count = len(part.runs[0].coresets[plan.rows[0], size])
        header.append(f"{100 * size:g}% ({count:,})")
    rows = [header]
    for row in plan.rows:
        name = _BASELINE if row == plan.rows[0] else row.strategy
        rows.append(
            [name, f"{row.cutoff:g}", *(_mean_and_spread(cell((row, s))) for s in plan.sizes)]
        )
    widths = [max(len(line[column]) for line in rows) for column in range(len(header))]
    lines = ["  ".join(_aligned(line, widths)) for line in rows]
    name = f"everything ({len(part.runs[0].labels):,})"
    lines.append(f"{name:<{widths[0]}}  {'':{widths[1]}}  {_mean_and_spread(everything)}")
    lines.insert(1, "-" * len(lines[0]))
    return lines


def _aligned(line: list[str], widths: list[int]) -> list[str]:
    return [
        f"{text:<{width}}" if column == 0 else f"{text:>{width}}"
        for column, (text, width) in enumerate(zip(line, widths, strict=True))
    ]


def _mean_and_spread(values: NDArray[np.float64]) -> str:
    return f"{100 * values.mean():.1f} ± {100 * _spread(values):.1f}"


def _spread(values: NDArray[np.float64]) -> float:
    """Return the sample standard deviation; 0 for a single seed."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
