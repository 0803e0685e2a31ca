"""The group kernel on a GPU against its float64 definition, on the awkward cases."""

import numpy as np
import pytest
import torch

from assertions import assert_scores_close
from kernels import cases
from kernels.gpu import model
from ltc_kernels import (
    ArgumentTypeError,
    ArgumentValueError,
    group_correlation,
    pair_sums,
    prepare_pairs,
    prepare_references,
    reference,
)
from ltc_kernels.gpu import checks


def name(change):
    return getattr(change, "__name__", "plain")


def run(case, signal, place):
    scores = group_correlation(
        place(case.losses), case.references, case.groups, signal=signal, backend="gpu"
    )
    assert scores.dtype == torch.float32
    return scores.cpu().numpy()


def check(case, signal, place):
    expected = reference.group_correlation(case.losses, case.references, case.groups, signal=signal)
    scores = run(case, signal, place)
    assert_scores_close(scores, expected, backend="gpu", what=signal)
    return scores


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("change", cases.CHANGES, ids=name)
def test_awkward_values(place, signal, change):
    check(cases.case(21, 200, change=change), signal, place)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize(
    "change", [None, cases.offset, cases.drift, cases.missing_in_losses], ids=name
)
def test_float32(place, signal, change):
    check(cases.case(41, 100, dtype=np.float32, change=change), signal, place)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_checkpoints", [1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 18, 33, 65, 90])
def test_number_of_checkpoints(place, signal, num_checkpoints):
    check(cases.case(num_checkpoints, 30), signal, place)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_samples", [0, 1, 2, 15, 63, 64, 65, 129, 257, 600])
def test_number_of_samples(place, signal, num_samples):
    check(cases.case(6, num_samples), signal, place)


def test_4096_checkpoints(place):
    case = cases.case(4096, 40, dtype=np.float32, change=cases.early)
    check(case, "difference", place)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_checkpoints", [12, 41])
def test_the_model_is_the_kernel(place, signal, num_checkpoints, device):
    case = cases.case(num_checkpoints, 100)
    scores = run(case, signal, place)
    unfused, fused = (
        model.group_correlation(
            case.losses, case.references, case.groups, signal=signal, fused=fused
        )
        for fused in (False, True)
    )
    # The interpreter rounds a fused operation twice, a GPU once.
    np.testing.assert_array_equal(scores, unfused if device.type == "cpu" else fused)


def recorded_like(losses, references):
    """Half of the variance in the first checkpoints, then noise that hardly falls."""
    time = np.arange(len(losses))
    rng = np.random.default_rng(3)
    for values, axis in ((losses, 0), (references, 1)):
        fall = 2.3 / (1 + time) + 0.02 / (1 + time / 500)
        shape = [-1 if axis == 0 else 1, 1 if axis == 0 else -1]
        values *= fall.reshape(shape) * rng.uniform(0.5, 1.5, values.shape)


HOSTILE = [
    None,
    cases.offset,
    cases.outlier_first,
    cases.outlier_last,
    cases.drift,
    cases.early,
    recorded_like,
]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("change", HOSTILE, ids=name)
def test_arithmetic_at_4096_checkpoints(signal, dtype, change, fused):
    case = cases.case(4096, 70, dtype=dtype, change=change)
    scores = model.group_correlation(
        case.losses, case.references, case.groups, signal=signal, fused=fused
    )
    expected = reference.group_correlation(case.losses, case.references, case.groups, signal=signal)
    assert_scores_close(scores, expected, backend="gpu", what=signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_squares_beyond_float32_are_done_in_float64(place, signal):
    case = cases.case(20, 40, dtype=np.float32)
    for scale in (1e30, 1e-30):
        scaled = cases.Case(case.losses * np.float32(scale), case.references, case.groups)
        assert not np.isnan(check(scaled, signal, place)).any()


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_labels_sorted_and_shuffled_give_the_same_bits(place, signal):
    case = cases.case(20, 600)
    order = np.argsort(case.groups, kind="stable")
    by_group = cases.Case(case.losses[:, order], case.references, case.groups[order])
    np.testing.assert_array_equal(run(case, signal, place)[order], run(by_group, signal, place))


def test_more_columns_done_again_than_a_program_takes(place):
    case = cases.case(9, 300)
    case.losses[3] = np.nan
    assert not np.isnan(check(case, "difference", place)).any()


def test_a_constant_is_found_in_float64_at_any_length(place):
    # A sum of 0.1s is off by more than its last places; the spread around their mean isn't.
    losses = cases.trajectories(400, 3, dtype=np.float32)
    losses[::7] = np.nan
    references = np.full((1, 400), 0.1)
    references[0, 5] = np.nan
    case = cases.Case(losses, references, np.zeros(3, int))
    assert np.isnan(check(case, "loss", place)).all()


ARRANGEMENTS = {
    "transposed": lambda x: x.T.contiguous().T,
    "packed rows": lambda x: x.contiguous(),
    "every second sample": lambda x: x.repeat_interleave(2, dim=1)[:, ::2],
    "every second checkpoint": lambda x: x.repeat_interleave(2, dim=0)[::2],
    "a part of wider rows": lambda x: torch.nn.functional.pad(x, (3, 25))[:, 3:-25],
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_arrangement_in_memory(place, arrangement, dtype):
    case = cases.case(7, 100, dtype=dtype)
    placed = place(case.losses)
    arranged = ARRANGEMENTS[arrangement](placed)
    expected = run(case, "loss", place)
    scores = group_correlation(arranged, case.references, case.groups, signal="loss", backend="gpu")
    np.testing.assert_array_equal(scores.cpu().numpy(), expected)
    assert torch.equal(placed.cpu(), torch.from_numpy(case.losses))


def test_more_than_two_to_the_31_elements(device, monkeypatch):
    case = cases.case(5, 70)
    stride = 2**29 + 64
    shape = (5, stride)
    if device.type == "cpu":  # never touched, most of it takes no memory
        rows = torch.from_numpy(np.zeros(shape, np.float16))
        # The interpreter would copy all of it onto itself.
        monkeypatch.setattr(torch.UntypedStorage, "copy_", lambda self, *_: self)
    else:
        rows = torch.zeros(shape, dtype=torch.float16, device=device)
    losses = rows[:, stride - 128 : stride - 58].copy_(torch.from_numpy(case.losses))
    scores = group_correlation(
        losses, case.references, case.groups, signal="difference", backend="gpu"
    )
    expected = reference.group_correlation(
        case.losses, case.references, case.groups, signal="difference"
    )
    assert_scores_close(scores.cpu().numpy(), expected, backend="gpu")


def test_references_are_prepared_and_moved_once(place):
    case = cases.case(12, 70, change=cases.missing_in_losses)
    prepared = prepare_references(case.references, signal="loss")
    losses = place(case.losses)
    scores = group_correlation(losses, prepared, case.groups, signal="loss", backend="gpu")
    placed = dict(prepared.placed)
    assert {key for key, _ in placed} == {"weights", "defined", "trajectories", "rounding"}
    again = group_correlation(losses, prepared, case.groups, signal="loss", backend="gpu")
    assert torch.equal(again.nan_to_num(9), scores.nan_to_num(9))
    assert all(prepared.placed[key] is value for key, value in placed.items())
    with pytest.raises(ArgumentValueError, match="prepared for signal 'difference', got 'loss'"):
        group_correlation(losses, prepared, case.groups, signal="difference", backend="gpu")


def test_tensors_in_and_out(place, device):
    case = cases.case(9, 70)
    scores = group_correlation(
        place(case.losses),
        torch.from_numpy(case.references).to(device),
        torch.from_numpy(case.groups).to(device),
        signal="loss",
        backend="gpu",
    )
    assert scores.device.type == device.type
    np.testing.assert_array_equal(scores.cpu().numpy(), run(case, "loss", place))


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("change", [None, cases.missing_in_losses, cases.constant_losses], ids=name)
@pytest.mark.parametrize("gaps", [False, True])
def test_pair_sums(place, signal, change, gaps):
    case = cases.case(12, 50, change=change)
    val = cases.trajectories(12, 30, seed=4)
    val_groups = np.arange(30) % 6  # group 6 has none
    if gaps:
        val[2, ::4] = np.nan
        val[:, 7] = 1.0
    pairs = prepare_pairs(val, val_groups, 7, signal=signal)
    sums, counts = pair_sums(place(case.losses), pairs, case.groups, backend="gpu")
    expected_sums, expected_counts = reference.pair_sums(
        case.losses, case.groups, val, val_groups, signal=signal
    )
    assert sums.dtype == torch.float64
    np.testing.assert_array_equal(counts.cpu().numpy(), expected_counts)
    divisor = np.maximum(expected_counts, 1)
    assert_scores_close(sums.cpu().numpy() / divisor, expected_sums / divisor, backend="gpu")


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (2, 3)])
def test_nothing_to_compare(place, shape):
    losses = np.zeros(shape, np.float16)
    groups = np.zeros(shape[1], int)
    case = cases.Case(losses, np.zeros((1, shape[0])), groups)
    assert np.isnan(run(case, "loss", place)).all()
    pairs = prepare_pairs(losses, groups, 1, signal="loss")
    sums, counts = pair_sums(place(losses), pairs, groups, backend="gpu")
    assert sums.shape == counts.shape == (shape[1],)
    assert not counts.any()


GOOD = {
    "losses": np.zeros((4, 3), np.float32),
    "references": np.zeros((2, 4)),
    "groups": np.zeros(3, np.int64),
    "signal": "loss",
}
BAD = [
    ({"signal": "losses"}, ArgumentValueError, "signal must be one of loss, difference, got"),
    ({"losses": np.zeros((4, 3))}, ArgumentTypeError, "must be float16 or float32, got float64"),
    ({"references": np.zeros((2, 5))}, ArgumentValueError, r"4 checkpoints.* got shape \(2, 5\)"),
    ({"references": np.zeros((2, 4), int)}, ArgumentTypeError, "must be floats, got int64"),
    ({"groups": np.zeros(4, int)}, ArgumentValueError, r"must have shape \(3,\).* got \(4,\)"),
    ({"groups": np.zeros(3)}, ArgumentTypeError, "groups must be integers, got float64"),
    ({"groups": np.array([0, -1, 0])}, ArgumentValueError, "lie in 0..1, got -1 at sample 1"),
    ({"groups": np.array([0, 1, 2**40])}, ArgumentValueError, "in 0..1, got 1099511627776 at"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(place, change, error, message):
    arguments = GOOD | change
    losses, references, groups, signal = arguments.values()
    with pytest.raises(error, match=message):
        group_correlation(place(losses), references, groups, signal=signal, backend="gpu")


@pytest.mark.parametrize(("change", "error", "message"), BAD[-4:])
def test_groups_on_a_device_are_checked_there(change, error, message):
    group = torch.from_numpy(change["groups"])
    with pytest.raises(error, match=message):
        checks.check_device_groups("groups", group, 3, 2)
