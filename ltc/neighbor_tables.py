"""What `neighbors` found for one query, as text for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltc.tables import columns, shortened

if TYPE_CHECKING:
    from ltc.pairs import Neighbors, Ranking
    from ltc.store import Store

__all__ = ["describe_sample", "neighbors_table"]


def neighbors_table(found: Neighbors, store: Store, row: int = 0) -> str:
    """Describe the query at ``found.queries[row]``, and list what is aligned and conflicting.

    Parameters
    ----------
    found : Neighbors
        Of any number of queries.
    store : Store
        Where ids and labels are.
    row : int
        Which query.
    """
    used = found.metadata["checkpoints"]
    facts = [
        ("query", describe_sample(store, "val", int(found.queries[row]))),
        ("signal", found.metadata["signal"]),
        ("within", found.metadata["within"]),
        ("checkpoints", f"{len(used):,}: {shortened(used)}"),
    ]
    lines = columns(facts, "<<")
    for name, ranking in (("aligned", found.aligned), ("conflicting", found.conflicting)):
        lines += ["", *_ranking(name, ranking, store, row)]
    return "\n".join(lines)


def describe_sample(store: Store, split: str, sample: int) -> str:
    """Return index, id and label of a sample, as far as it has them."""
    ids, labels = store.ids(split), store.labels(split)
    text = f"{split} sample {sample}"
    if ids is not None:
        text += f", id {ids[sample]}"
    return text if labels is None else f"{text}, label {labels[sample]}"


def _ranking(name: str, ranking: Ranking, store: Store, row: int) -> list[str]:
    samples = ranking.indices[row]
    samples = samples[samples >= 0]
    if not len(samples):
        return [f"{name}: no training sample has a correlation with it"]
    order = [f"{place}" for place in range(1, len(samples) + 1)]
    values = [f"{value:.6f}" for value in ranking.values[row, : len(samples)]]
    table = [[name, *order], ["correlation", *values], ["sample", *map(str, samples)]]
    for heading, known in (("id", store.ids("train")), ("label", store.labels("train"))):
        if known is not None:
            table.append([heading, *map(str, known[samples])])
    return columns(zip(*table, strict=True), "<" + ">" * (len(table) - 1))
