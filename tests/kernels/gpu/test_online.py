"""Online moments on a GPU: the bits of the CPU's state, and the definition of the score."""

import numpy as np
import pytest
import torch

from assertions import assert_scores_close
from kernels import cases
from ltc_kernels import (
    ArgumentTypeError,
    ArgumentValueError,
    online_scores,
    online_state,
    online_update,
    reference,
)

NAN = float("nan")


def name(change):
    return getattr(change, "__name__", "plain")


def states(case, signal, place, device):
    """The state on the device after all checkpoints, and that of the CPU."""
    num_samples, num_groups = len(case.groups), len(case.references)
    found = online_state(num_samples, num_groups, signal=signal, backend="gpu", device=device)
    expected = online_state(num_samples, num_groups, signal=signal)
    for losses, values in zip(case.losses, case.references.T, strict=True):
        online_update(found, place(losses), values, case.groups, signal=signal)
        online_update(expected, losses, values, case.groups, signal=signal)
    return found, expected


def check(case, signal, place, device):
    found, expected = states(case, signal, place, device)
    assert found.gaps == expected.gaps
    host = found.to(None)
    np.testing.assert_array_equal(host.words.view(np.uint32), expected.words.view(np.uint32))
    np.testing.assert_array_equal(host.halves, expected.halves)
    scores = online_scores(found, case.groups)
    assert scores.dtype == torch.float32
    definition = reference.group_correlation(
        case.losses, case.references, case.groups, signal=signal
    )
    assert_scores_close(scores.cpu().numpy(), definition, backend="gpu", what=signal)
    return found


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("change", cases.CHANGES, ids=name)
def test_awkward_values(place, device, signal, change):
    check(cases.case(17, 70, change=change), signal, place, device)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_samples", [0, 1, 63, 64, 1025])
@pytest.mark.parametrize("change", [None, cases.missing_in_losses], ids=name)
def test_number_of_samples(place, device, signal, num_samples, change):
    case = cases.case(6, num_samples, change=change if num_samples else None)
    check(case, signal, place, device)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("begin", [0, 1, 2, 5])
def test_a_group_whose_reference_begins_late(place, device, signal, begin):
    case = cases.case(9, 90)
    case.references[3, :begin] = NAN
    assert check(case, signal, place, device).gaps == (begin > 0)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("gap", [False, True])
def test_a_run_goes_on_elsewhere(place, device, signal, gap):
    case = cases.case(12, 80)
    if gap:
        case.losses[2, 5] = NAN
    one = online_state(80, len(case.references), signal=signal)
    for t in range(12):
        if t in (4, 9):
            one = one.to(device)
        elif t == 7:
            one = one.to(None)
        on_device = isinstance(one.words, torch.Tensor)
        losses = place(case.losses[t]) if on_device else case.losses[t]
        online_update(one, losses, case.references[:, t], case.groups, signal=signal)
    _, expected = states(case, signal, place, device)
    host = one.to(None)
    np.testing.assert_array_equal(host.words, expected.words)
    np.testing.assert_array_equal(host.halves, expected.halves)
    assert expected.to(None).words is not expected.words


@pytest.mark.parametrize(("signal", "complete"), [("difference", 16), ("loss", 18)])
def test_bytes_per_sample(place, device, signal, complete):
    case = cases.case(4, 128)
    assert states(case, signal, place, device)[0].nbytes == complete * 128


BAD = [
    ({"train_losses": torch.zeros(3)}, ArgumentTypeError, "must be float16, got float32"),
    ({"train_losses": np.zeros(3)}, ArgumentTypeError, "must be float16, got float64"),
    (
        {"train_losses": torch.zeros(4, dtype=torch.float16)},
        ArgumentValueError,
        r"train_losses must have shape \(3,\), one per sample, got \(4,\)",
    ),
    ({"references": np.zeros(3)}, ArgumentValueError, r"references must have shape \(2,\)"),
    ({"groups": np.array([0, 1, 2])}, ArgumentValueError, "groups must lie in 0..1, got 2"),
]


@pytest.mark.parametrize(("changed", "error", "message"), BAD)
def test_bad_updates_leave_the_state_alone(device, changed, error, message):
    state = online_state(3, 2, signal="loss", backend="gpu", device=device)
    before = state.words.clone(), state.halves.clone(), state.references
    arguments = {
        "train_losses": np.zeros(3, np.float16),
        "references": np.zeros(2),
        "groups": np.zeros(3, np.int64),
    } | changed
    with pytest.raises(error, match=message):
        online_update(state, **arguments, signal="loss")
    assert torch.equal(state.words, before[0])
    assert torch.equal(state.halves, before[1])
    assert state.references is before[2]
