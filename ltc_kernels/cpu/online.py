"""Updates and scores of an `OnlineState`: which kernel, on what, and when room for gaps is made."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ltc_kernels.algebra import MINIMUM_VALUES
from ltc_kernels.cpu import moments
from ltc_kernels.cpu.missing import count_missing
from ltc_kernels.cpu.simd import LANES
from ltc_kernels.cpu.threads import for_ranges, thread_count
from ltc_kernels.moments import REFERENCE_TOLERANCE, ReferenceStep
from ltc_kernels.online import (
    ANCHOR,
    COUNT,
    FIRST,
    LAST,
    MEAN,
    NO_LOSS,
    PRODUCT,
    REFERENCE_MEAN,
    REFERENCE_SQUARES,
    SQUARES,
    OnlineState,
    fields,
    update_terms,
)

LEAST: Final = 256 * LANES  # samples of a task; fewer aren't worth the hand-over to a thread
SCORED: Final = 65536  # samples whose scores are made in float64 at once


def update(
    state: OnlineState,
    losses: NDArray[np.float16],
    step: ReferenceStep,
    groups: NDArray[np.int32],
) -> None:
    """See `ltc_kernels.online_update`."""
    if not state.gaps and (count_missing(losses[None]) or not step.after.complete):
        _make_room(state, groups)
    first = step.before.checkpoints == 0
    differences = step.before.signal == "difference"
    bits = losses.view(np.uint16)[None]
    if first and differences and not state.gaps:
        state.halves[FIRST] = state.halves[LAST] = bits[0]
    else:
        _run(state, bits, update_terms(state, step), groups)
    state.references = step.after


def scores(state: OnlineState, groups: NDArray[np.int32]) -> NDArray[np.float32]:
    """See `ltc_kernels.online_scores`."""
    found = np.full(state.num_samples, np.nan, dtype=np.float32)
    references = state.references
    defined = references.defined
    limit = REFERENCE_TOLERANCE * references.largest
    for begin in range(0, state.num_samples, SCORED):
        part = slice(begin, begin + SCORED)
        group = groups[part]
        squares = state.words[SQUARES, part].astype(np.float64)
        usable = defined[group] & (squares > 0)
        if state.gaps:
            others = state.words[REFERENCE_SQUARES, part].astype(np.float64)
            count = state.words[COUNT, part].astype(np.float64)
            usable &= (count >= MINIMUM_VALUES) & (np.sqrt(others) > limit[group] * np.sqrt(count))
        else:
            others = references.squares[group]
        product = state.words[PRODUCT, part]
        np.divide(
            product, np.sqrt(squares * others), out=found[part], where=usable, casting="same_kind"
        )
    return found


def _run(
    state: OnlineState,
    bits: NDArray[np.uint16],
    terms: NDArray[np.float32],
    groups: NDArray[np.int32],
) -> None:
    """Run the kernel over whole vectors of samples, and over a padded copy of the rest."""
    kernel = _kernel(state)
    before = state.references.terms
    whole = state.num_samples // LANES * LANES

    def task(begin: int, end: int) -> None:
        kernel(bits, groups, terms, before, begin, end, state.words, state.halves)

    share = -(-whole // (LANES * thread_count())) * LANES
    for_ranges(task, whole, max(share, LEAST))
    rest = state.num_samples - whole
    if rest:
        padding = (0, LANES - rest)
        words = np.pad(state.words[:, whole:], ((0, 0), padding))
        halves = np.pad(state.halves[:, whole:], ((0, 0), padding))
        losses = np.pad(bits[:, whole:], ((0, 0), padding))
        kernel(losses, np.pad(groups[whole:], padding), terms, before, 0, LANES, words, halves)
        state.words[:, whole:], state.halves[:, whole:] = words[:, :rest], halves[:, :rest]


def _kernel(state: OnlineState) -> Any:
    if state.references.signal == "difference":
        return moments.add_differences_with_gaps if state.gaps else moments.add_differences
    return moments.add_losses_with_gaps if state.gaps else moments.add_losses


def _make_room(state: OnlineState, groups: NDArray[np.int32]) -> None:
    """Give each sample a count and the moments of its reference, as they were for all until now."""
    references = state.references
    words, halves = fields(references.signal, gaps=True)
    wide = OnlineState(
        references,
        True,
        np.zeros((words, state.num_samples), dtype=np.float32),
        np.zeros((halves, state.num_samples), dtype=np.uint16),
    )
    seen = references.counts[groups] > 0  # others have nothing in common with their reference yet
    for row in (SQUARES, PRODUCT):
        wide.words[row] = np.where(seen, state.words[row], 0)
        wide.halves[row] = np.where(seen, state.halves[row], 0)
    if references.signal == "loss":
        wide.words[MEAN] = np.where(seen, state.words[MEAN], 0)
        wide.halves[MEAN] = np.where(seen, state.halves[MEAN], 0)
    elif references.checkpoints == 0:
        wide.halves[LAST] = NO_LOSS
    else:
        anchor = np.where(seen, state.halves[FIRST], state.halves[LAST])
        wide.halves[LAST] = state.halves[LAST]
        wide.words[ANCHOR] = anchor.view(np.float16)
    _fill(wide, REFERENCE_MEAN, references.means, groups)
    _fill(wide, REFERENCE_SQUARES, references.squares, groups)
    wide.words[COUNT] = references.counts[groups]
    state.gaps, state.words, state.halves = True, wide.words, wide.halves


def _fill(
    state: OnlineState, row: int, values: NDArray[np.float64], groups: NDArray[np.int32]
) -> None:
    """Set a sum to a value per group."""
    high = values.astype(np.float32)
    rest = (values - high).astype(np.float32).view(np.uint32)
    state.words[row] = high[groups]
    state.halves[row] = ((rest + np.uint32(0x8000)) >> 16).astype(np.uint16)[groups]
