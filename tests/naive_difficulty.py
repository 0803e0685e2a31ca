"""Scores of difficulty by loops over plain numbers, as the papers state them."""

import itertools
import math

CERTAIN = (math.log(2), math.log(10))


def score(kind, losses, *, window=10, bounds=CERTAIN):
    """Of one trajectory; NaN where something is undefined."""
    x = [float(loss) for loss in losses if math.isfinite(loss)]
    if not x:
        return math.nan
    if kind == "cumulative-loss":
        return len(losses) * math.fsum(x) / len(x)
    if kind == "mean-loss":
        return math.fsum(x) / len(x)
    if kind == "final-loss":
        return x[-1]
    if kind == "least-loss":
        return min(x)
    if min(x) < 0:
        return math.nan
    p = [math.exp(-loss) for loss in x]
    if kind == "confidence":
        return math.fsum(p) / len(p)
    if kind == "variability":
        return deviation(x, len(x)) if len(x) > 1 else math.nan
    if kind in ("dyn-unc", "dual"):
        found = []
        for begin in range(len(x) - window + 1):
            part = x[begin : begin + window]
            doubt = math.fsum(-math.expm1(-loss) for loss in part) / window
            found.append(deviation(part, window - 1) * (doubt if kind == "dual" else 1))
        return math.fsum(found) / len(found) if found else math.nan
    if len(x) < 2:
        return math.nan
    counts = forgetting_counts(x, bounds)
    return min(counts) if kind == "forgetting-least" else max(counts)


def deviation(losses, freedom):
    """Standard deviation of p, from differences of p that don't cancel where p is near 1."""
    doubts = [-math.expm1(-loss) for loss in losses]
    mean = math.fsum(doubts) / len(doubts)
    return math.sqrt(math.fsum((doubt - mean) ** 2 for doubt in doubts) / freedom)


def forgetting_counts(x, bounds):
    """Counts of every way to settle what is open: 2 to the power of their number."""
    choices = []
    for loss in x:
        if loss < bounds[0]:
            choices.append([True])
        elif loss > bounds[1]:
            choices.append([False])
        else:
            choices.append([True, False])
    counts = set()
    for states in itertools.product(*choices):
        events = sum(1 for before, now in itertools.pairwise(states) if before and not now)
        counts.add(events if any(states) else len(states))
    return counts
