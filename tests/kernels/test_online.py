"""Online moments against the definition of the score, after every checkpoint."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assertions import assert_scores_close
from kernels import cases
from ltc_kernels import (
    ArgumentTypeError,
    ArgumentValueError,
    BackendUnavailableError,
    ReferenceMoments,
    online_scores,
    online_state,
    online_update,
    reference,
)

NAN = float("nan")
BACKENDS = ["cpu", "reference"]


def run(case, signal, *, backend="auto", every=None):
    """State after all checkpoints; the scores are compared with their definition on the way."""
    num_checkpoints, num_samples = case.losses.shape
    state = online_state(num_samples, len(case.references), signal=signal, backend=backend)
    for t in range(num_checkpoints):
        online_update(state, case.losses[t], case.references[:, t], case.groups, signal=signal)
        if (t + 1) % (every or num_checkpoints) == 0:
            expected = reference.group_correlation(
                case.losses[: t + 1], case.references[:, : t + 1], case.groups, signal=signal
            )
            scores = online_scores(state, case.groups)
            assert scores.dtype == np.float32
            assert_scores_close(scores, expected, backend="cpu", what=f"{signal} at {t}")
    return state


def name(change):
    return getattr(change, "__name__", "plain")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("change", cases.CHANGES, ids=name)
def test_awkward_values_after_every_checkpoint(backend, signal, change):
    run(cases.case(41, 70, change=change), signal, backend=backend, every=1)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_checkpoints", cases.CHECKPOINTS)
def test_number_of_checkpoints(signal, num_checkpoints):
    run(cases.case(num_checkpoints, 130), signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("change", [None, cases.missing_in_losses])
@pytest.mark.parametrize("num_samples", cases.SAMPLES)
def test_number_of_samples(signal, change, num_samples):
    run(cases.case(7, num_samples, change=change if num_samples else None), signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("late_gap", [False, True])
@pytest.mark.parametrize(
    "change",
    [cases.offset, cases.outlier_first, cases.outlier_last, cases.drift, cases.early],
    ids=name,
)
def test_hostile_values_at_4096_checkpoints(signal, late_gap, change):
    def changed(losses, references):
        change(losses, references)
        if late_gap:
            losses[7, ::2] = NAN
            losses[2000, ::5] = NAN

    state = run(cases.case(4096, 70, change=changed), signal)
    assert state.gaps == late_gap


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_gaps_of_every_kind_at_4096_checkpoints(signal):
    def changed(losses, references):
        cases.offset(losses, references)
        losses[np.random.default_rng(2).random(losses.shape) < 0.3] = NAN
        references[0, ::3] = NAN
        references[1] = NAN
        references[2, :1000] = NAN

    run(cases.case(4096, 70, change=changed), signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("begin", [0, 1, 2, 10])
def test_a_group_whose_reference_begins_late(signal, begin):
    case = cases.case(20, 90)
    case.references[3, :begin] = NAN
    state = run(case, signal, every=1)
    assert state.gaps == (begin > 0)


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_a_group_without_any_reference_needs_no_room_for_gaps(signal):
    case = cases.case(20, 90)
    case.references[3] = NAN
    state = run(case, signal, every=1)
    assert not state.gaps
    np.testing.assert_array_equal(np.isnan(online_scores(state, case.groups)), case.groups == 3)


@pytest.mark.parametrize(("signal", "complete"), [("difference", 16), ("loss", 18)])
def test_bytes_per_sample(signal, complete):
    case = cases.case(5, 1000)
    assert run(case, signal).nbytes == complete * 1000
    case.losses[3, 7] = NAN
    assert run(case, signal).nbytes == 34 * 1000


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("with_gap", [False, True])
def test_more_than_one_task(signal, with_gap):
    case = cases.case(6, 40_001)
    if with_gap:
        case.losses[2, 39_999] = NAN
    state = online_state(40_001, len(case.references), signal=signal)
    for t in range(6):
        online_update(state, case.losses[t], case.references[:, t], case.groups, signal=signal)
    some = np.r_[:70, 16_300:16_500, 39_900:40_001]
    expected = reference.group_correlation(
        case.losses[:, some], case.references, case.groups[some], signal=signal
    )
    assert_scores_close(online_scores(state, case.groups)[some], expected, backend="cpu")


@pytest.mark.parametrize("backend", BACKENDS)
def test_by_hand(backend):
    # x = 1 2 3 and y = 2 1 3, with a checkpoint between them that y lacks: one half
    state, groups = online_state(1, 1, signal="loss", backend=backend), np.array([0])
    for x, y in [(1, 2), (2, 1), (7, NAN), (3, 3)]:
        online_update(state, np.array([x], np.float16), np.array([y], float), groups, signal="loss")
    np.testing.assert_allclose(online_scores(state, groups), [0.5], atol=1e-7)


def test_moments_of_references_by_hand():
    moments = ReferenceMoments.start(2, "difference")
    for values in ([1.0, 5.0], [2.0, NAN], [4.0, 5.0], [7.0, 6.0]):
        moments = moments.step(np.array(values)).after
    # differences 1 2 3, and only 1
    np.testing.assert_array_equal(moments.counts, [3, 1])
    np.testing.assert_allclose(moments.means, [2, 1])
    np.testing.assert_allclose(moments.squares, [2, 0])
    np.testing.assert_array_equal(moments.largest, [7, 6])
    np.testing.assert_array_equal(moments.defined, [True, False])
    assert not moments.complete


def test_one_step_serves_several_states():
    case = cases.case(12, 100, change=cases.missing_in_losses)
    parts = [slice(0, 30), slice(30, 100)]
    states = [
        online_state(case.groups[part].size, len(case.references), signal="loss") for part in parts
    ]
    states[1].references = states[0].references
    for t in range(12):
        step = states[0].references.step(case.references[:, t])
        for state, part in zip(states, parts, strict=True):
            online_update(state, case.losses[t, part], step, case.groups[part], signal="loss")
    scores = [
        online_scores(state, case.groups[part]) for state, part in zip(states, parts, strict=True)
    ]
    whole = run(case, "loss")
    np.testing.assert_array_equal(np.concatenate(scores), online_scores(whole, case.groups))


def update(state, **changed):
    arguments = {
        "train_losses": np.zeros(3, np.float16),
        "references": np.zeros(2),
        "groups": np.zeros(3, np.int64),
        "signal": "loss",
    } | changed
    online_update(state, **arguments)


BAD = [
    ({"signal": "difference"}, ArgumentValueError, "signal must be that of the state, 'loss'"),
    (
        {"train_losses": np.zeros(3, np.float32)},
        ArgumentTypeError,
        "train_losses must be float16, got float32",
    ),
    (
        {"train_losses": np.zeros(4, np.float16)},
        ArgumentValueError,
        r"train_losses must have shape \(3,\), one per sample, got \(4,\)",
    ),
    (
        {"references": np.zeros(3)},
        ArgumentValueError,
        r"references must have shape \(2,\), one per group, got \(3,\)",
    ),
    (
        {"references": np.zeros(2, int)},
        ArgumentTypeError,
        "references must be floats, got int64",
    ),
    (
        {"references": ReferenceMoments.start(2, "loss").step(np.zeros(2))},
        ArgumentValueError,
        "references must continue those of the state",
    ),
    ({"groups": np.array([0, 1, 2])}, ArgumentValueError, "groups must lie in 0..1, got 2"),
]


@pytest.mark.parametrize(("changed", "error", "message"), BAD)
def test_bad_updates_leave_the_state_alone(changed, error, message):
    state = online_state(3, 2, signal="loss")
    update(state)
    before = state.words.copy(), state.halves.copy(), state.references
    with pytest.raises(error, match=message):
        update(state, **changed)
    np.testing.assert_array_equal(state.words, before[0])
    np.testing.assert_array_equal(state.halves, before[1])
    assert state.references is before[2]


def test_bad_states():
    with pytest.raises(ArgumentValueError, match="must be one of auto, reference, cpu, gpu, got"):
        online_state(3, 2, signal="loss", backend="tpu")
    with pytest.raises(BackendUnavailableError, match="CUDA or ROCm device, and cpu is none here"):
        online_state(3, 2, signal="loss", device="cpu")
    with pytest.raises(ArgumentValueError, match="device must be None for backend 'cpu'"):
        online_state(3, 2, signal="loss", backend="cpu", device="cuda")
    with pytest.raises(ArgumentValueError, match="signal must be one of loss, difference"):
        online_state(3, 2, signal="losses")
    with pytest.raises(ArgumentValueError, match="num_samples must be at least 0, got -1"):
        online_state(-1, 2, signal="loss")
    with pytest.raises(ArgumentTypeError, match="state must come from online_state, got dict"):
        update({})


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 24), st.integers(1, 80)),
    num_groups=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    shares=st.tuples(*[st.sampled_from([0.0, 0.02, 0.5, 0.95])] * 2),
    signal=st.sampled_from(cases.SIGNALS),
)
def test_any_pattern_of_gaps(shape, num_groups, seed, shares, signal):
    case = cases.case(*shape, num_groups=num_groups, seed=seed)
    rng = np.random.default_rng(seed)
    case.losses[rng.random(case.losses.shape) < shares[0]] = NAN
    case.references[rng.random(case.references.shape) < shares[1]] = NAN
    run(case, signal, every=4)
