"""Selection written plainly, one sample and one step at a time, with exact fractions.

It shares nothing with `ltc.selection` but the random keys, which are part of what a seed means.
"""

import math
from fractions import Fraction

import numpy as np


def naive_select(
    values,
    labels,
    *,
    k,
    balance="class",
    strategy="top",
    cutoff=0.0,
    seed=0,
    exclude=(),
    clusters=None,
    confidence=None,
    exponent=4.0,
    fading=0.0,
    times=None,
):
    if times is not None:
        pairs = zip(values, times, strict=True)
        values = [math.nan if math.isnan(v + t) else max(v, 0) * max(t, 0) for v, t in pairs]
    if confidence is not None:
        pairs = zip(values, confidence, strict=True)
        values = [math.nan if math.isnan(p) else value for value, p in pairs]
    excluded = set(exclude)
    members = [i for i in range(len(values)) if i not in excluded]
    classes = {i: 0 if labels is None else int(labels[i]) for i in members}
    ranking = sorted(
        (i for i in members if not math.isnan(values[i])), key=lambda i: (-values[i], i)
    )
    undefined = [i for i in members if math.isnan(values[i])]

    aside = set()
    for c in set(classes.values()):
        defined = [i for i in ranking if classes[i] == c]
        number = math.floor(cutoff * len(defined))
        aside |= set(defined[len(defined) - number :])
    pool = [i for i in ranking if i not in aside]

    group = classes if balance else dict.fromkeys(members, 0)
    sizes, room = {}, {}
    for i in members:
        sizes[group[i]] = sizes.get(group[i], 0) + 1
        room.setdefault(group[i], 0)
    for i in pool:
        room[group[i]] += 1
    split = equal if balance == "equal" else proportional
    shares = split(min(k, len(pool)), sizes, room)

    bits = np.random.PCG64(seed).random_raw(len(values)).tolist()
    draws = [raw >> 32 for raw in bits]
    if strategy == "beta" and members:
        pruned = 1 - k / len(members)
        per_class = k / max(1, len({classes[i] for i in pool}))
        power = per_class / (per_class + fading) if k else 1
        waits = naive_waits(pool, values, confidence, pruned, exponent, power, bits)
    chosen = []
    for c, number in shares.items():
        candidates = [i for i in pool if group[i] == c]
        by_chance = sorted(candidates, key=lambda i: (draws[i], i))
        if strategy == "top":
            chosen += candidates[:number]
        elif strategy == "random":
            chosen += by_chance[:number]
        elif strategy == "coverage":
            chosen += covering(by_chance, clusters, number)
        elif strategy == "beta":
            chosen += sorted(candidates, key=waits.get)[:number]  # equal ones as in the ranking
        else:
            chosen += stratified(by_chance, values, number)
    rest = [i for i in ranking if i in aside] + undefined
    return sorted(chosen + rest[: k - len(chosen)])


def proportional(k, sizes, room):
    shares = dict.fromkeys(sorted(sizes), 0)
    while k:
        unfilled = [c for c in shares if shares[c] < room[c]]
        total = sum(sizes[c] for c in unfilled)
        exact = {c: Fraction(k * sizes[c], total) for c in unfilled}
        wanted = {c: math.floor(exact[c]) for c in unfilled}
        by_remainder = sorted(unfilled, key=lambda c: (wanted[c] - exact[c], c))
        for c in by_remainder[: k - sum(wanted.values())]:
            wanted[c] += 1
        for c in unfilled:
            given = min(wanted[c], room[c] - shares[c])
            shares[c] += given
            k -= given
    return shares


def equal(k, sizes, room):
    shares = dict.fromkeys(sorted(sizes), 0)
    for _ in range(k):
        poorest = min((c for c in shares if shares[c] < room[c]), key=lambda c: (shares[c], c))
        shares[poorest] += 1
    return shares


def stratified(by_chance, values, number):
    if not by_chance:
        return []
    exact = {i: Fraction(float(values[i])) for i in by_chance}
    lowest, highest = min(exact.values()), max(exact.values())
    strata = [[] for _ in range(50)]
    for i in by_chance:
        place = math.floor((exact[i] - lowest) * 50 / (highest - lowest or 1))
        strata[min(place, 49)].append(i)
    chosen = []
    for visited, stratum in enumerate(sorted(strata, key=len)):
        budget = (number - len(chosen)) // (50 - visited)
        chosen += stratum[:budget]
    return chosen


def covering(by_chance, clusters, number):
    members = {}
    for i in by_chance:
        members.setdefault(int(clusters[i]), []).append(i)
    smallest_first = sorted(sorted(members), key=lambda c: len(members[c]))
    chosen = []
    for visited, c in enumerate(smallest_first):
        budget = (number - len(chosen)) // (len(members) - visited)
        chosen += members[c][:budget]
    return chosen


def naive_waits(pool, values, confidence, pruned, exponent, power, bits):
    """Exponentially distributed waiting times, at the rate of a sample's weight."""
    anchors = [float(confidence[i]) for i in pool[:10]]
    b = 15 * (1 - sum(anchors) / max(len(anchors), 1)) * (1 - pruned**exponent)
    a = 15 - b
    waits = {}
    for i in pool:
        p = min(max(float(confidence[i]), 2**-24), 1 - 2**-24)
        uniform = ((bits[i] >> 11) + 0.5) / 2**53
        waits[i] = math.inf
        if values[i] > 0:
            density = (a - 1) * math.log(p) + (b - 1) * math.log(1 - p)
            waits[i] = math.log(-math.log(uniform)) - density - power * math.log(values[i])
    return waits
