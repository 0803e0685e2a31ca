"""The kernels on a GPU, in Triton, for CUDA and ROCm; torch tensors in and out.

Arguments are checked by the caller. Importing this package asks no device anything.
"""

from typing import Any

import torch

from ltc_kernels.algebra import MINIMUM_VALUES, PreparedPairs, PreparedReferences, signal_length
from ltc_kernels.gpu.group import correlate
from ltc_kernels.gpu.masked import sums_and_counts
from ltc_kernels.gpu.missing import count_missing
from ltc_kernels.gpu.pairs import pair_correlation
from ltc_kernels.gpu.targets import target_of
from ltc_kernels.gpu.tiles import as_tile
from ltc_kernels.gpu.topk import PairSearch, pair_topk
from ltc_kernels.gpu.weights import column_on, trajectories_on, weights_on

__all__ = [
    "PairSearch",
    "count_missing",
    "group_correlation",
    "pair_correlation",
    "pair_sums",
    "pair_topk",
]


def group_correlation(losses: Any, references: PreparedReferences, groups: Any) -> Any:
    """See `ltc_kernels.group_correlation`; tensors [T, N] and int32 [N] on one device."""
    tile = as_tile(losses)
    scores, any_failed = _weighted_correlation(tile, references, groups)
    if any_failed:
        columns = torch.isnan(scores).nonzero()[:, 0]
        group = groups[columns]
        defined = column_on(references, "defined", tile.device)[group]
        columns, group = columns[defined], group[defined].long()
        sums, counts = sums_and_counts(
            tile,
            columns,
            group,
            group + 1,
            trajectories_on(references, tile.device),
            int(references.signal == "difference"),
        )
        scores[columns] = torch.where(counts > 0, sums, torch.nan).float()
    return scores


def pair_sums(losses: Any, pairs: PreparedPairs, groups: Any) -> tuple[Any, Any]:
    """See `ltc_kernels.pair_sums`; tensors [T, N] and int32 [N] on one device."""
    tile = as_tile(losses)
    fast, any_failed = _weighted_correlation(tile, pairs, groups)
    group = groups.long()
    sums = fast.double()
    counts = column_on(pairs, "counts", tile.device)[group]
    begins = column_on(pairs, "incomplete_starts", tile.device)[group]
    starts = column_on(pairs, "starts", tile.device)
    ends = starts[group + 1]
    if any_failed:
        slow = torch.isnan(fast)
        sums, counts = sums.masked_fill(slow, 0.0), counts.masked_fill(slow, 0)
        begins = torch.where(slow, starts[group], begins)
    columns = (begins < ends).nonzero()[:, 0]
    more_sums, more_counts = sums_and_counts(
        tile,
        columns,
        begins[columns],
        ends[columns],
        trajectories_on(pairs, tile.device),
        int(pairs.signal == "difference"),
    )
    sums[columns] += more_sums
    counts[columns] += more_counts
    return sums, counts


def _weighted_correlation(
    tile: Any, prepared: PreparedReferences | PreparedPairs, groups: Any
) -> tuple[Any, bool]:
    """``(C S x) . weights[g] / |C S x|``, NaN where the fast path has no answer; whether any is."""
    num_checkpoints, num_samples = tile.shape
    if signal_length(num_checkpoints, prepared.signal) < MINIMUM_VALUES or num_samples == 0:
        nothing = torch.full((num_samples,), torch.nan, dtype=torch.float32, device=tile.device)
        return nothing, num_samples > 0
    weights = weights_on(prepared, num_checkpoints, tile.device)
    target = target_of(tile.device)
    scores, failed = correlate(tile, groups, weights, prepared.signal, target)
    return scores, bool(failed.any())
