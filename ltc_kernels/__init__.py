"""Kernels for correlations of loss trajectories; they know arrays only, no files.

Each has a plain float64 definition (`ltc_kernels.reference`) and a compiled CPU implementation
(`ltc_kernels.cpu`), and those that gain by it one for a GPU (`ltc_kernels.gpu`), under the same
names and with the same meaning.
"""

from ltc_kernels.algebra import PreparedPairs, PreparedReferences, prepare_pairs, prepare_references
from ltc_kernels.centres import nearest_centres
from ltc_kernels.difficulty import difficulty
from ltc_kernels.dispatch import count_missing, group_correlation, pair_sums
from ltc_kernels.errors import (
    ArgumentIndexError,
    ArgumentTypeError,
    ArgumentValueError,
    BackendUnavailableError,
    LtcError,
)
from ltc_kernels.moments import ReferenceMoments, ReferenceStep
from ltc_kernels.online import OnlineState, online_scores, online_state, online_update
from ltc_kernels.pairs import PairSearch, pair_correlation, pair_topk, query_slices
from ltc_kernels.rounding import round_losses
from ltc_kernels.sums import add_group_sums
from ltc_kernels.workers import as_this_thread, thread_count, work_alone, working_alone

__all__ = [
    "ArgumentIndexError",
    "ArgumentTypeError",
    "ArgumentValueError",
    "BackendUnavailableError",
    "LtcError",
    "OnlineState",
    "PairSearch",
    "PreparedPairs",
    "PreparedReferences",
    "ReferenceMoments",
    "ReferenceStep",
    "add_group_sums",
    "as_this_thread",
    "count_missing",
    "difficulty",
    "group_correlation",
    "nearest_centres",
    "online_scores",
    "online_state",
    "online_update",
    "pair_correlation",
    "pair_sums",
    "pair_topk",
    "prepare_pairs",
    "prepare_references",
    "query_slices",
    "round_losses",
    "thread_count",
    "work_alone",
    "working_alone",
]
