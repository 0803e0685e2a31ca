"""The matrix of correlations on a GPU, against its float64 definition."""

import numpy as np
import pytest
import torch

from assertions import assert_scores_close
from kernels import cases
from ltc_kernels import ArgumentTypeError, ArgumentValueError, pair_correlation
from ltc_kernels.gpu import pairs, pairs_queries
from ltc_kernels.gpu.pairs_terms import prepare_samples


def check(place, train, val, signal):
    expected = pair_correlation(train, val, signal=signal, backend="reference")
    actual = pair_correlation(place(train), place(val), signal=signal, backend="gpu")
    assert actual.dtype == torch.float32
    assert_scores_close(actual.cpu().numpy(), expected, what=signal)
    return expected


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "change", cases.CHANGES, ids=lambda change: getattr(change, "__name__", "plain")
)
def test_awkward_values(place, signal, dtype, change):
    case = cases.case(41, 70, num_groups=7, dtype=dtype, change=change)
    check(place, case.losses, case.references.T.astype(dtype), signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("num_checkpoints", [1, 2, 3, 4, 5, 31, 32, 33, 34, 90, 256, 257, 258, 600])
def test_number_of_checkpoints(place, signal, num_checkpoints):
    val = cases.trajectories(num_checkpoints, 3, seed=5)
    check(place, cases.trajectories(num_checkpoints, 20), val, signal)


@pytest.mark.parametrize("num_queries", [0, 1, 2, 129])
@pytest.mark.parametrize("num_samples", [0, 1, 63, 64, 65, 129])
def test_number_of_samples_and_queries(place, num_samples, num_queries):
    train, val = cases.trajectories(5, num_samples), cases.trajectories(5, num_queries, seed=3)
    check(place, train, val, "difference")


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("change", [cases.offset, cases.outlier_first, cases.drift, cases.early])
def test_hostile_values_at_4096_checkpoints(place, signal, change):
    case = cases.case(4096, 20, num_groups=4, dtype=np.float32, change=change)
    check(place, case.losses, case.references.T.astype(np.float32), signal)


@pytest.mark.parametrize("signal", cases.SIGNALS)
@pytest.mark.parametrize("scale", [1e38, 1e33, 1e-33])
def test_what_float32_cannot_scale_is_done_in_float64(place, signal, scale):
    train, val = (cases.trajectories(20, n, dtype=np.float32) for n in (40, 3))
    train *= np.float32(scale)
    samples = prepare_samples(place(train), signal=signal)
    assert torch.isnan(samples.shifts[1, :40]).all()
    assert not np.isnan(check(place, train, val, signal)).any()


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_only_samples_that_need_it_are_done_again(place, signal):
    """Else the product would serve none, and no test would notice."""
    case = cases.case(41, 70, change=cases.missing_at_the_ends)
    scales = prepare_samples(place(case.losses), signal=signal).shifts[1, :70]
    missing = np.isnan(case.losses).any(axis=0)
    np.testing.assert_array_equal(torch.isnan(scales).cpu().numpy(), missing)


@pytest.mark.parametrize("signal", cases.SIGNALS)
def test_gaps_on_both_sides(place, signal):
    train, val = cases.trajectories(12, 90), cases.trajectories(12, 20, seed=3)
    rng = np.random.default_rng(1)
    train[rng.random(train.shape) < 0.05] = np.nan
    val[rng.random(val.shape) < 0.05] = np.inf
    train[:, 3] = np.nan
    train[:, 4] = 1.5
    val[:, 5] = np.arange(12)
    val[1:10, 6] = np.nan
    check(place, train, val, signal)


def test_many_are_done_in_parts(place, monkeypatch):
    train, val = cases.trajectories(9, 130), cases.trajectories(9, 20, seed=3)
    train[3, ::20] = np.nan
    train[:, ::7] *= 1e-7
    val[4, ::9] = np.nan
    for name, value in (("COLUMNS", 64), ("QUERIES", 16), ("MATRIX_BYTES", 1)):
        monkeypatch.setattr(pairs, name, value)
    monkeypatch.setattr(pairs, "FLOAT64_BYTES", 8 * 9 * 10)
    monkeypatch.setattr(pairs_queries, "FLOAT64_BYTES", 8 * 9 * 10)
    check(place, train, val, "loss")


@pytest.mark.parametrize("rearrange", [lambda x: x.T, lambda x: x[:, ::2], lambda x: x[::2, 1:]])
def test_any_arrangement_in_memory(place, rearrange):
    train, val = cases.trajectories(14, 30), cases.trajectories(14, 30, seed=3)
    actual = pair_correlation(
        rearrange(place(train)), rearrange(place(val)), signal="loss", backend="gpu"
    )
    expected = pair_correlation(rearrange(train), rearrange(val), signal="loss")
    assert_scores_close(actual.cpu().numpy(), expected)


def test_addresses_beyond_31_bits(place, device):
    """Rows 2^30 elements apart; on the host, pages in between are never touched."""
    num_checkpoints, stride = 4, 2**30
    if device.type == "cpu":
        memory = torch.from_numpy(np.empty(num_checkpoints * stride, np.float16))
    else:
        memory = torch.zeros(num_checkpoints * stride, dtype=torch.float16, device=device)
    train = cases.trajectories(num_checkpoints, 70)
    train[2, 5] = np.nan
    losses = torch.as_strided(memory, train.shape, (stride, 1))
    losses.copy_(torch.from_numpy(train))
    val = cases.trajectories(num_checkpoints, 2, seed=3)
    actual = pair_correlation(losses, place(val), signal="loss", backend="gpu")
    expected = pair_correlation(train, val, signal="loss", backend="reference")
    assert_scores_close(actual.cpu().numpy(), expected)


def test_unit_signals_are_those_of_the_definition(place):
    case = cases.case(17, 50, change=cases.missing_in_losses)
    case.losses[:, 3] = 2.0
    for signal in cases.SIGNALS:
        units, defined = pairs_queries.unit_signals(place(case.losses), signal=signal)
        expected = expected_units(case.losses, signal)
        np.testing.assert_allclose(units.cpu().numpy().T, expected[0], atol=1e-14, rtol=0)
        np.testing.assert_array_equal(defined.cpu().numpy(), expected[1])


def expected_units(losses, signal):
    from ltc_kernels.algebra import unit_signals

    return unit_signals(np.ascontiguousarray(losses.T, dtype=np.float64), signal=signal)


def test_bad_arguments(place):
    losses = np.zeros((4, 3), np.float16)
    with pytest.raises(ArgumentValueError, match="as many checkpoints as val, 3, got 4"):
        pair_correlation(place(losses), place(losses[:3]), signal="loss", backend="gpu")
    with pytest.raises(ArgumentTypeError, match="val must be float16 or float32, got float64"):
        pair_correlation(place(losses), np.zeros((4, 3)), signal="loss", backend="gpu")
    with pytest.raises(ArgumentValueError, match="signal must be one of loss, difference"):
        pair_correlation(place(losses), place(losses), signal="gain", backend="gpu")
