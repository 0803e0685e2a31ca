"""Updates and scores of an `OnlineState` on a device, in the layout of the CPU, bit for bit."""

from typing import Any, Final

import numpy as np
import torch

from ltc_kernels.algebra import MINIMUM_VALUES
from ltc_kernels.gpu.missing import count_missing
from ltc_kernels.gpu.moments import SAMPLES, specialise
from ltc_kernels.gpu.tiles import as_tile, empty_tile
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

SCORED: Final = 2**22  # samples whose scores are made in float64 at once


def empty_state(num_samples: int, signal: str, *, gaps: bool, device: Any) -> tuple[Any, Any]:
    """Words and halves of zero, in rows that start at multiples of 64 elements."""
    words, halves = fields(signal, gaps=gaps)
    return (
        empty_tile(words, num_samples, torch.float32, device).zero_(),
        empty_tile(halves, num_samples, torch.int16, device).zero_(),
    )


def to_device(state: OnlineState, device: Any) -> OnlineState:
    """A copy of a state, on a device."""
    words, halves = empty_state(
        state.num_samples, state.references.signal, gaps=state.gaps, device=device
    )
    words.copy_(torch.as_tensor(state.words))
    bits = state.halves
    halves.copy_(torch.from_numpy(bits.view(np.int16)) if isinstance(bits, np.ndarray) else bits)
    return OnlineState(state.references, state.gaps, words, halves)


def to_host(state: OnlineState) -> OnlineState:
    """A copy of a state, in NumPy arrays."""
    words = state.words.cpu().numpy().copy()
    halves = state.halves.cpu().numpy().copy().view(np.uint16)
    return OnlineState(state.references, state.gaps, words, halves)


def update(state: OnlineState, losses: Any, step: ReferenceStep, groups: Any) -> None:
    """See `ltc_kernels.online_update`; tensors of float16 and int32, [N], on the state's device."""
    tile = as_tile(losses[None])
    if not state.gaps and (not step.after.complete or count_missing(tile)):
        _make_room(state, groups)
    first = step.before.checkpoints == 0
    if first and step.before.signal == "difference" and not state.gaps:
        state.halves[FIRST] = state.halves[LAST] = tile[0].view(torch.int16)
    else:
        _run(state, tile, step, groups)
    state.references = step.after


def scores(state: OnlineState, groups: Any) -> Any:
    """See `ltc_kernels.online_scores`; a tensor of int32 [N] on the state's device."""
    references, device = state.references, state.words.device
    found = torch.empty(state.num_samples, dtype=torch.float32, device=device)
    defined, largest, squares_of_groups = (
        torch.from_numpy(values).to(device)
        for values in (references.defined, references.largest, references.squares)
    )
    for begin in range(0, state.num_samples, SCORED):
        part = slice(begin, begin + SCORED)
        group = groups[part].long()
        squares = state.words[SQUARES, part].double()
        usable = defined[group] & (squares > 0)
        if state.gaps:
            others = state.words[REFERENCE_SQUARES, part].double()
            count = state.words[COUNT, part].double()
            limit = REFERENCE_TOLERANCE * largest[group] * count.sqrt()
            usable &= (count >= MINIMUM_VALUES) & (others.sqrt() > limit)
        else:
            others = squares_of_groups[group]
        score = state.words[PRODUCT, part].double() / (squares * others).sqrt()
        found[part] = torch.where(usable, score, torch.nan).float()
    return found


def _run(state: OnlineState, tile: Any, step: ReferenceStep, groups: Any) -> None:
    """Launch the kernel that fits the state."""
    before = state.references.terms
    differences = state.references.signal == "difference"
    terms = torch.from_numpy(update_terms(state, step)).to(state.words.device)
    specialise(state.references.signal, gaps=state.gaps).launch(
        (-(-state.num_samples // SAMPLES), 1, 1),
        state.words.device,
        losses=tile,
        groups=groups,
        terms=terms,
        words=state.words,
        halves=state.halves,
        stride=state.words.stride(0),
        num_samples=state.num_samples,
        num_groups=terms.shape[1],
        count=float(max(before, 1) if differences else before + 1),
        share=float(np.float32(before / (before + 1))),
    )


def _make_room(state: OnlineState, groups: Any) -> None:
    """Give each sample a count and the moments of its reference, as they were for all until now."""
    references, device = state.references, state.words.device
    words, halves = empty_state(state.num_samples, references.signal, gaps=True, device=device)
    group = groups.long()

    def of_each(values: Any) -> Any:
        return torch.from_numpy(values).to(device)[group]

    count = of_each(references.counts)
    seen = count > 0  # others have nothing in common with their reference yet
    kept = (SQUARES, PRODUCT, MEAN) if references.signal == "loss" else (SQUARES, PRODUCT)
    for row in kept:
        words[row] = torch.where(seen, state.words[row], 0)
        halves[row] = torch.where(seen, state.halves[row], 0)
    if references.signal == "difference" and references.checkpoints == 0:
        halves[LAST] = int(NO_LOSS)
    elif references.signal == "difference":
        halves[LAST] = state.halves[LAST]
        anchor = torch.where(seen, state.halves[FIRST], state.halves[LAST])
        words[ANCHOR] = anchor.view(torch.float16).float()
    for row, values in (
        (REFERENCE_MEAN, references.means),
        (REFERENCE_SQUARES, references.squares),
    ):
        high = values.astype(np.float32)
        rest = (values - high).astype(np.float32).view(np.uint32)
        upper = ((rest + np.uint32(0x8000)) >> 16).astype(np.uint16).view(np.int16)
        words[row], halves[row] = of_each(high), of_each(upper)
    words[COUNT] = count.float()
    state.gaps, state.words, state.halves = True, words, halves
