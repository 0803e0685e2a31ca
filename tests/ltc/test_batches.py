"""What an update accepts, what it refuses, and in which words."""

import numpy as np
import pytest
import torch

from ltc.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError
from ltc.recorder import batches
from ltc.recorder.batches import logits_batch, losses_batch
from ltc.recorder.buffers import DeviceBatch, HostBatch

# float32 at the size of the largest logit, from which the loss is a difference.
ATOL = 4 * float(np.spacing(np.float32(4.0)))
LOSSES = np.float32([0.5, 1.5, 2.5])
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 4.0, 1.0]])
TARGETS = torch.tensor([0, 2, 1])


def cross_entropy_by_hand(logits, targets):
    logits = np.asarray(logits, np.float64)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), targets]


@pytest.fixture
def on_device(monkeypatch):
    """Take the CPU for another device, whose values can't be looked at."""
    monkeypatch.setattr(batches, "_on_host", lambda value: isinstance(value, np.ndarray))


INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4"]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_every_integer_dtype_is_an_index(dtype):
    batch = losses_batch(np.array([4, 0, 4], dtype), LOSSES, 5)
    assert batch.index.tolist() == [4, 0, 4]
    assert batch.index.dtype == np.intp


@pytest.mark.parametrize("dtype", INTEGERS[:-1])
def test_every_integer_dtype_of_torch_is_an_index(dtype):
    index = torch.from_numpy(np.array([4, 0, 4], dtype))
    batch = losses_batch(index, torch.from_numpy(LOSSES), 5)
    assert isinstance(batch, HostBatch)
    assert batch.index.tolist() == [4, 0, 4]


@pytest.mark.parametrize(
    "index",
    [[4, 0, 4], (4, 0, 4), np.arange(10)[4:1:-1] - 1, range(3), torch.arange(9)[::3] // 2],
    ids=["list", "tuple", "strided", "range", "strided tensor"],
)
def test_lists_and_views_are_indices(index):
    assert losses_batch(index, LOSSES, 5).index.tolist() == [int(i) for i in index]


def test_an_empty_batch_is_one():
    for index in ([], (), np.empty(0, np.int32), torch.empty(0, dtype=torch.int64)):
        assert losses_batch(index, np.empty(0, np.float32), 5).index.size == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_index_given_as_float_is_refused(dtype):
    index = np.array([16_777_217, 1, 2], dtype)
    for given in (index, torch.from_numpy(index), index.tolist()):
        with pytest.raises(ArgumentTypeError, match=r"index must hold integers, got .*float"):
            losses_batch(given, LOSSES, 20_000_000)


@pytest.mark.parametrize("index", [[True, False, True], torch.ones(3, dtype=torch.bool), ["a"] * 3])
def test_an_index_that_is_no_number_is_refused(index):
    with pytest.raises(ArgumentTypeError, match="index must hold integers"):
        losses_batch(index, LOSSES, 5)


@pytest.mark.parametrize("kind", [np.int32, np.int64, torch.int32, torch.int64, list])
def test_an_index_past_16_777_216_arrives_as_it_is(kind):
    index = [16_777_217, 16_777_219, 19_999_999]
    if isinstance(kind, torch.dtype):
        index = torch.tensor(index, dtype=kind)
    elif kind is not list:
        index = np.array(index, kind)
    batch = losses_batch(index, LOSSES, 20_000_000)
    assert batch.index.tolist() == [16_777_217, 16_777_219, 19_999_999]


@pytest.mark.parametrize("bad", [-1, 5, -(2**63), 2**63 - 1])
def test_an_index_outside_is_refused_and_named(bad):
    for index in ([0, bad, 1], torch.tensor([0, bad, 1])):
        with pytest.raises(
            ArgumentIndexError, match=rf"index must lie in 0\.\.4, .* got {bad} at position 1"
        ):
            losses_batch(index, LOSSES, 5)


def test_an_unsigned_index_beyond_int64_is_refused():
    with pytest.raises(ArgumentIndexError, match="got 18446744073709551615 at position 0"):
        losses_batch(np.array([2**64 - 1, 0, 0], np.uint64), LOSSES, 5)


@pytest.mark.parametrize(
    ("index", "losses", "error", "text"),
    [
        ([0, 1], LOSSES, ArgumentValueError, r"shape \(3,\), got shape \(2,\)"),
        ([[0, 1, 2]], LOSSES, ArgumentValueError, r"index .* got shape \(1, 3\)"),
        (0, LOSSES, ArgumentValueError, r"index .* got shape \(\)"),
        ([0], np.float32(1.0), ArgumentValueError, r"reduction='none'.*got shape \(\)"),
        ([0], torch.tensor(1.0), ArgumentValueError, r"reduction='none'.*got shape \(\)"),
        ([0, 1, 2], LOSSES[:, None], ArgumentValueError, r"losses .* got shape \(3, 1\)"),
        ([0, 1, 2], [1, 2, 3], ArgumentTypeError, "losses must hold floating-point .* int64"),
        ([0, 1, 2], TARGETS, ArgumentTypeError, r"floating-point numbers, got torch\.int64"),
        ([0, 1, 2], LOSSES * 1j, ArgumentTypeError, "losses .* complex64"),
    ],
)
def test_wrong_shapes_and_dtypes_are_refused(index, losses, error, text):
    with pytest.raises(error, match=text):
        losses_batch(index, losses, 5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_losses_of_every_float_become_float32(dtype):
    losses = torch.tensor(LOSSES, dtype=dtype, requires_grad=True)
    batch = losses_batch([0, 1, 2], losses, 5)
    assert batch.losses.dtype == np.float32
    assert batch.losses.tolist() == LOSSES.tolist()


def test_losses_from_a_read_only_or_strided_array_are_taken():
    losses = np.repeat(LOSSES, 2).astype(">f4")[::2]
    losses.flags.writeable = False
    assert losses_batch([0, 1, 2], losses, 5).losses.tolist() == LOSSES.tolist()


@pytest.mark.usefixtures("on_device")
def test_a_finite_float64_stays_finite_in_float32():
    losses = np.array([1e300, -1e300, np.inf, np.nan])
    expected = np.float32([3.4028235e38, -3.4028235e38, np.inf, np.nan])
    host = losses_batch([0, 1, 2, 3], losses, 5)
    device = losses_batch([0, 1, 2, 3], torch.from_numpy(losses), 5)
    assert isinstance(device, DeviceBatch)
    np.testing.assert_array_equal(host.losses, expected)
    np.testing.assert_array_equal(device.losses.numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_logits_give_hard_label_cross_entropy_in_float32(dtype):
    logits = LOGITS.to(dtype)
    batch = logits_batch([0, 1, 2], logits, TARGETS, 5)
    assert batch.losses.dtype == np.float32
    expected = cross_entropy_by_hand(logits.double(), TARGETS)
    np.testing.assert_allclose(batch.losses, expected, rtol=1e-6, atol=ATOL)


def test_cross_entropy_ignores_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        batch = logits_batch([0, 1, 2], LOGITS, TARGETS, 5)
    np.testing.assert_allclose(
        batch.losses, cross_entropy_by_hand(LOGITS, TARGETS), rtol=1e-6, atol=ATOL
    )


def test_logits_and_targets_may_be_arrays():
    logits = LOGITS.numpy().astype(">f4")
    logits.flags.writeable = False
    batch = logits_batch([0, 1, 2], logits, TARGETS.numpy().astype(np.uint8), 5)
    np.testing.assert_allclose(
        batch.losses, cross_entropy_by_hand(LOGITS, TARGETS), rtol=1e-6, atol=ATOL
    )


def test_the_graph_of_the_logits_is_not_touched():
    logits = LOGITS.clone().requires_grad_()
    output = logits * 1.0
    batch = logits_batch([0, 1, 2], output, TARGETS, 5)
    assert isinstance(batch.losses, np.ndarray)
    assert output._version == 0
    torch.nn.functional.cross_entropy(output, TARGETS).backward()
    assert logits.grad is not None


@pytest.mark.parametrize(
    ("logits", "targets", "error", "text"),
    [
        (
            LOGITS,
            LOGITS.softmax(1),
            ArgumentTypeError,
            r"class indices .*float32; for soft or mixed",
        ),
        (LOGITS, TARGETS.float(), ArgumentTypeError, r"targets must be class indices"),
        (LOGITS, TARGETS > 0, ArgumentTypeError, r"targets must be class indices .*torch\.bool"),
        (LOGITS, TARGETS[:, None], ArgumentValueError, r"targets .* \(3,\), got shape \(3, 1\)"),
        (LOGITS, TARGETS[:2], ArgumentValueError, r"targets .* got shape \(2,\)"),
        (LOGITS[0], TARGETS, ArgumentValueError, r"\[batch, classes\].*Got shape \(3,\)"),
        (LOGITS[:, :0], TARGETS, ArgumentValueError, r"\[batch, classes\].*Got shape \(3, 0\)"),
        (LOGITS.long(), TARGETS, ArgumentTypeError, r"logits must hold floating.*int64"),
        (np.array([["a"]]), TARGETS, ArgumentTypeError, "logits and targets must hold numbers"),
        (
            LOGITS,
            TARGETS + 1,
            ArgumentIndexError,
            r"targets must lie in 0\.\.2, .* 3 at position 1",
        ),
        (LOGITS, [0, -100, 1], ArgumentIndexError, r"targets must lie .* got -100 at position 1"),
        (LOGITS[:2], TARGETS[:2], ArgumentValueError, r"index .*logits, shape \(2,\)"),
    ],
)
def test_wrong_logits_and_targets_are_refused(logits, targets, error, text):
    with pytest.raises(error, match=text):
        logits_batch([0, 1, 2], logits, targets, 5)


@pytest.mark.usefixtures("on_device")
def test_on_a_device_a_wrong_target_is_marked_and_not_looked_at():
    batch = logits_batch(torch.tensor([0, 1, 2]), LOGITS, torch.tensor([0, -100, 3]), 5)
    assert batch.valid.tolist() == [True, False, False]
    expected = cross_entropy_by_hand(LOGITS, [0, 0, 2])
    np.testing.assert_allclose(batch.losses.numpy(), expected, rtol=1e-6, atol=ATOL)


@pytest.mark.parametrize("index_device", ["meta", "cpu"])
@pytest.mark.parametrize("targets_device", ["meta", "cpu"])
def test_nothing_is_read_back_from_a_device(index_device, targets_device):
    # A tensor on the meta device has no values: anything that would wait for one raises.
    index = torch.zeros(3, dtype=torch.int32, device=index_device)
    targets = TARGETS.to(targets_device)
    losses = torch.empty(3, dtype=torch.bfloat16, device="meta")
    for batch in (
        losses_batch(index, losses, 5),
        losses_batch(index, losses.double(), 5),
        logits_batch(index, LOGITS.half().to("meta"), targets, 5),
    ):
        assert batch.index.device.type == batch.losses.device.type == "meta"
        assert batch.index.dtype == torch.int64
        assert batch.losses.dtype == torch.float32


def test_losses_on_the_cpu_go_to_the_device_of_their_index():
    index = torch.zeros(3, dtype=torch.int64, device="meta")
    for losses in (LOSSES, torch.from_numpy(LOSSES)):
        assert losses_batch(index, losses, 5).losses.device.type == "meta"


def test_what_the_host_knows_is_checked_on_a_device_too():
    losses = torch.empty(3, device="meta")
    with pytest.raises(ArgumentIndexError, match="got 5 at position 2"):
        losses_batch([0, 1, 5], losses, 5)
    with pytest.raises(ArgumentTypeError, match="index must hold integers"):
        losses_batch(losses, losses, 5)
    with pytest.raises(ArgumentValueError, match="index must be one-dimensional"):
        losses_batch(torch.zeros(2, dtype=torch.int64, device="meta"), losses, 5)
    with pytest.raises(ArgumentIndexError, match="got -100 at position 0"):
        logits_batch([0, 1, 2], LOGITS.to("meta"), torch.full((3,), -100), 5)
    with pytest.raises(ArgumentValueError, match="targets must be on the CPU or on the device of"):
        logits_batch([0, 1, 2], LOGITS, TARGETS.to("meta"), 5)
