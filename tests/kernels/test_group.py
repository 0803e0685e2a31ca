"""The group kernel against its float64 definition, on the awkward cases."""

import numpy as np
import pytest

from assertions import assert_scores_close
from kernels import cases
from ltc_kernels import (
    ArgumentTypeError,
    ArgumentValueError,
    count_missing,
    group_correlation,
    prepare_references,
    reference,
)


def check(case, signal):
    scores = group_correlation(case.losses, case.references, case.groups, signal=signal)
    expected = group_correlation(
        case.losses, case.references, case.groups, signal=signal, backend="reference"
    )
    assert scores.dtype == np.float32
    assert_scores_close(scores, expected, backend="cpu", what=signal)
    return scores


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "change", cases.CHANGES, ids=lambda change: getattr(change, "__name__", "plain")
)
@pytest.mark.parametrize("num_checkpoints", [5, 41, 90])
def test_awkward_values(signal, dtype, change, num_checkpoints):
    check(cases.case(num_checkpoints, 300, dtype=dtype, change=change), signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_checkpoints", cases.CHECKPOINTS)
def test_number_of_checkpoints(signal, num_checkpoints):
    check(cases.case(num_checkpoints, 130), signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_samples", cases.SAMPLES)
def test_number_of_samples(signal, num_samples):
    check(cases.case(7, num_samples), signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize(
    "change",
    [cases.offset, cases.outlier_first, cases.drift, cases.early, cases.missing_in_losses],
)
def test_hostile_values_at_4096_checkpoints(signal, change):
    check(cases.case(4096, 70, dtype=np.float32, change=change), signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_squares_beyond_float32_are_done_in_float64(signal):
    case = cases.case(20, 100, dtype=np.float32)
    for scale in (1e30, 1e-30):
        scaled = cases.Case((case.losses * np.float32(scale)), case.references, case.groups)
        assert not np.isnan(check(scaled, signal)).any()


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_labels_sorted_and_shuffled_give_the_same_bits(signal):
    case = cases.case(50, 1000)
    order = np.argsort(case.groups, kind="stable")
    shuffled = group_correlation(case.losses, case.references, case.groups, signal=signal)
    by_group = group_correlation(
        np.ascontiguousarray(case.losses[:, order]),
        case.references,
        case.groups[order],
        signal=signal,
    )
    np.testing.assert_array_equal(shuffled[order], by_group)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("width", [1, 10, 64, 100, 999])
def test_the_size_of_a_tile_does_not_show(signal, width):
    case = cases.case(30, 1000, change=cases.missing_in_losses)
    whole = group_correlation(case.losses, case.references, case.groups, signal=signal)
    parts = [
        group_correlation(
            case.losses[:, i : i + width],
            case.references,
            case.groups[i : i + width],
            signal=signal,
        )
        for i in range(0, 1000, width)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("num_samples", [9999, 1_281_167])
def test_more_than_one_task(num_samples):
    case = cases.case(6, num_samples, change=cases.missing_in_losses)
    scores = group_correlation(case.losses, case.references, case.groups, signal="difference")
    some = np.unique(np.r_[:100, num_samples - 100 : num_samples, 16_300:16_500]) % num_samples
    expected = reference.group_correlation(
        case.losses[:, some], case.references, case.groups[some], signal="difference"
    )
    assert_scores_close(scores[some], expected, backend="cpu")
    incomplete = np.isnan(case.losses).any(axis=0)
    assert not np.isnan(scores[~incomplete]).any()


ARRANGEMENTS = {
    "transposed": lambda x: np.asfortranarray(x),
    "every second sample": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "every second checkpoint": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "padded rows": lambda x: np.pad(x, ((0, 0), (3, 5)))[:, 3:-5],
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "not aligned": lambda x: np.frombuffer(b"?" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_arrangement_in_memory(arrangement, dtype):
    case = cases.case(12, 200, dtype=dtype)
    expected = group_correlation(case.losses, case.references, case.groups, signal="loss")
    arranged = ARRANGEMENTS[arrangement](case.losses)
    np.testing.assert_array_equal(arranged, case.losses)
    actual = group_correlation(arranged, case.references, case.groups, signal="loss")
    np.testing.assert_array_equal(actual, expected)


def test_inputs_are_not_changed():
    case = cases.case(12, 200, change=cases.missing_in_losses)
    before = [array.copy() for array in (case.losses, case.references, case.groups)]
    check(case, "difference")
    for array, copy in zip((case.losses, case.references, case.groups), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_torch_tensors_give_tensors():
    torch = pytest.importorskip("torch")
    case = cases.case(12, 70)
    expected = group_correlation(case.losses, case.references, case.groups, signal="loss")
    actual = group_correlation(
        torch.from_numpy(case.losses),
        torch.from_numpy(case.references),
        torch.from_numpy(case.groups),
        signal="loss",
    )
    assert isinstance(actual, torch.Tensor)
    np.testing.assert_array_equal(actual.numpy(), expected)


def test_prepared_references_are_the_same():
    case = cases.case(12, 70)
    prepared = prepare_references(case.references, signal="loss")
    np.testing.assert_array_equal(
        group_correlation(case.losses, prepared, case.groups, signal="loss"),
        group_correlation(case.losses, case.references, case.groups, signal="loss"),
    )
    with pytest.raises(ArgumentValueError, match="prepared for signal 'difference', got 'loss'"):
        group_correlation(case.losses, prepared, case.groups, signal="difference")


GOOD = {
    "losses": np.zeros((4, 3), np.float32),
    "references": np.zeros((2, 4)),
    "groups": np.zeros(3, np.int64),
    "signal": "loss",
}
BAD = [
    (
        {"signal": "losses"},
        ArgumentValueError,
        "signal must be one of loss, difference, got 'losses'",
    ),
    (
        {"losses": np.zeros(3, np.float32)},
        ArgumentValueError,
        r"losses must have shape .* got shape \(3,\)",
    ),
    (
        {"losses": np.zeros((4, 3))},
        ArgumentTypeError,
        "losses must be float16 or float32, got float64",
    ),
    (
        {"references": np.zeros((2, 5))},
        ArgumentValueError,
        r"references .* 4 checkpoints.* got shape \(2, 5\)",
    ),
    (
        {"references": np.zeros((2, 4), int)},
        ArgumentTypeError,
        "references must be floats, got int64",
    ),
    (
        {"groups": np.zeros(4, int)},
        ArgumentValueError,
        r"groups must have shape \(3,\).* got \(4,\)",
    ),
    ({"groups": np.zeros(3)}, ArgumentTypeError, "groups must be integers, got float64"),
    (
        {"groups": np.array([0, -1, 0])},
        ArgumentValueError,
        r"groups must lie in 0..1, got -1 at sample 1",
    ),
    (
        {"groups": np.array([0, 1, 2])},
        ArgumentValueError,
        r"groups must lie in 0..1, got 2 at sample 2",
    ),
    (
        {"groups": np.array([0, 1, 2**40])},
        ArgumentValueError,
        r"groups must lie in 0..1, got 1099511627776",
    ),
    (
        {"backend": "tpu"},
        ArgumentValueError,
        "backend must be one of auto, reference, cpu, gpu, got 'tpu'",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD)
def test_bad_arguments(change, error, message):
    arguments = GOOD | change
    with pytest.raises(error, match=message):
        group_correlation(
            arguments.pop("losses"),
            arguments.pop("references"),
            arguments.pop("groups"),
            **arguments,
        )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("num_samples", [0, 1, 1000, 70_000])
def test_missing_losses_are_counted(num_samples, dtype):
    losses = cases.trajectories(5, num_samples, dtype=dtype)
    losses[1, ::3] = np.nan
    losses[4, ::4] = np.inf
    expected = len(range(0, num_samples, 3)) + len(range(0, num_samples, 4))
    assert count_missing(losses) == expected
    assert count_missing(losses[:, ::-1]) == expected
    if num_samples < 2000:
        assert count_missing(losses, backend="reference") == expected
