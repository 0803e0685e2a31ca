"""The sums between two commits, in NumPy and on a torch device, which mean the same."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ltc.errors import ArgumentIndexError, RecorderStateError
from ltc.recorder.buffers import DeviceBatch, DeviceBuffer, HostBatch, HostBuffer
from ltc.recorder.splits import SplitBuffer

FLOAT32_MAX = float(np.finfo(np.float32).max)


def host_batch(index, losses):
    return HostBatch(np.array(index, np.intp), np.array(losses, np.float32))


def device_batch(index, losses, valid=None):
    return DeviceBatch(
        torch.tensor(index, dtype=torch.int64),
        torch.tensor(losses, dtype=torch.float32),
        None if valid is None else torch.tensor(valid),
    )


BATCHES = pytest.mark.parametrize("batch", [host_batch, device_batch], ids=["host", "device"])


def whole(buffer):
    (found,) = buffer.records(buffer.size)
    return found


def record(size, *batches):
    buffer = SplitBuffer("train", size)
    for batch in batches:
        buffer.add(batch, "training")
    return whole(buffer)


@BATCHES
def test_a_sample_that_is_not_seen_is_missing_and_not_zero(batch):
    found = record(4, batch([1, 3], [0.5, 0.0]))
    np.testing.assert_array_equal(found.losses, np.float16([np.nan, 0.5, np.nan, 0.0]))
    assert found.losses.dtype == np.float16
    assert (found.observed, found.duplicate, found.clipped, found.nonfinite) == (2, 0, 0, 0)
    assert found.mode == "training"


@BATCHES
def test_duplicates_are_averaged_and_not_added_up(batch):
    found = record(3, batch([0, 0, 1], [1.0, 2.0, 5.0]), batch([0], [6.0]))
    np.testing.assert_array_equal(found.losses, np.float16([3.0, 5.0, np.nan]))
    assert (found.observed, found.duplicate) == (2, 1)


@BATCHES
@pytest.mark.parametrize("times", [300, 70_000], ids=["past uint8", "past uint16"])
def test_counts_do_not_overflow(batch, times):
    found = record(1, batch([0] * times, [0.25] * times))
    assert found.losses[0] == np.float16(0.25)
    assert (found.observed, found.duplicate) == (1, 1)


@BATCHES
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_is_missing_and_counted(batch, value):
    found = record(3, batch([0, 1, 1], [value, value, 2.0]))
    assert np.isnan(found.losses).all()
    assert (found.observed, found.nonfinite, found.clipped) == (2, 2, 0)


@BATCHES
def test_a_finite_loss_beyond_float16_is_stored_as_its_end_and_counted(batch):
    found = record(5, batch([0, 1, 2, 3], [1e6, -1e6, 65504.0, -FLOAT32_MAX]))
    np.testing.assert_array_equal(found.losses, np.float16([65504, -65504, 65504, -65504, np.nan]))
    assert (found.clipped, found.nonfinite) == (3, 0)


@BATCHES
def test_a_sum_of_finite_losses_does_not_overflow(batch):
    found = record(1, batch([0, 0], [FLOAT32_MAX, FLOAT32_MAX]))
    assert found.losses[0] == 65504
    assert (found.clipped, found.nonfinite) == (1, 0)


@BATCHES
def test_the_smallest_float16_survives_the_scaling_of_the_sum(batch):
    smallest = float(np.finfo(np.float16).smallest_subnormal)
    assert record(1, batch([0], [smallest])).losses[0] == np.float16(smallest)


OCCURRENCES = st.lists(
    st.tuples(st.integers(0, 4), st.floats(-60_000, 60_000, width=16)), max_size=40
)


@BATCHES
@given(occurrences=OCCURRENCES)
def test_any_sequence_gives_the_mean_per_sample(batch, occurrences):
    index = [i for i, _ in occurrences]
    losses = [x for _, x in occurrences]
    half = len(index) // 2
    found = record(5, batch(index[:half], losses[:half]), batch(index[half:], losses[half:]))
    for sample in range(5):
        values = [x for i, x in occurrences if i == sample]
        if not values:
            assert np.isnan(found.losses[sample])
            continue
        # Half a unit in the last place of float16, and float32 sums that may cancel.
        limit = (
            float(np.spacing(np.float16(abs(np.mean(values))))) / 2 + 1e-6 * np.abs(values).sum()
        )
        assert abs(float(found.losses[sample]) - np.mean(values)) <= limit
    assert found.observed == len(set(index))
    assert found.duplicate == sum(index.count(i) > 1 for i in set(index))


def test_losses_from_two_devices_make_one_record():
    found = record(4, host_batch([0, 1], [1.0, 2.0]), device_batch([1, 2], [4.0, 5.0]))
    np.testing.assert_array_equal(found.losses, np.float16([1.0, 3.0, 5.0, np.nan]))
    assert (found.observed, found.duplicate) == (3, 1)


@BATCHES
def test_a_cleared_buffer_starts_again(batch):
    buffer = SplitBuffer("val", 2)
    buffer.add(batch([0, 0], [np.nan, 1.0]), "training")
    buffer.clear()
    assert buffer.mode is None
    buffer.add(batch([1], [2.0]), "evaluation")
    found = whole(buffer)
    np.testing.assert_array_equal(found.losses, np.float16([np.nan, 2.0]))
    assert (found.observed, found.nonfinite, found.mode) == (1, 0, "evaluation")


def test_a_split_that_was_not_recorded_is_missing():
    found = whole(SplitBuffer("val", 3))
    assert np.isnan(found.losses).all()
    assert (found.observed, found.nonfinite) == (0, 0)


def test_modes_do_not_mix():
    buffer = SplitBuffer("val", 3)
    buffer.check_mode("training")
    buffer.add(host_batch([0], [1.0]), "training")
    buffer.check_mode("training")
    with pytest.raises(RecorderStateError, match="'val' has training losses"):
        buffer.check_mode("evaluation")


@pytest.mark.parametrize("outside", [-1, 3, -(2**40), 2**40])
def test_an_index_outside_on_a_device_touches_no_sample_and_is_reported(outside):
    buffer = DeviceBuffer(3, torch.device("cpu"))
    buffer.add(device_batch([0, outside, 2], [1.0, 100.0, 3.0]))
    totals = buffer.totals(0, 3)
    np.testing.assert_array_equal(totals.counts, [1, 0, 1])
    np.testing.assert_array_equal(totals.sums * 2.0**32, [1.0, 0.0, 3.0])
    assert buffer.kept_out() == (1, 0)
    with pytest.raises(ArgumentIndexError, match=r"index must lie in 0\.\.2 .*'train'; 2 of"):
        record(3, device_batch([outside, outside, 1], [1.0, 2.0, 3.0]))


def test_a_target_outside_on_a_device_touches_no_sample_and_is_reported():
    batch = device_batch([0, 1, 7], [1.0, 100.0, 3.0], valid=[True, False, False])
    buffer = DeviceBuffer(2, torch.device("cpu"))
    buffer.add(batch)
    np.testing.assert_array_equal(buffer.totals(0, 2).counts, [1, 0])
    with pytest.raises(ArgumentIndexError, match=r"2 of the losses of split 'train' .* a target"):
        record(2, batch)


def test_a_buffer_made_in_inference_mode_is_of_use_outside():
    with torch.inference_mode():
        buffer = DeviceBuffer(2, torch.device("cpu"))
        buffer.add(device_batch([0], [1.0]))
    buffer.add(device_batch([0], [1.0]))
    assert buffer.totals(0, 2).counts.tolist() == [2, 0]


def test_adding_on_a_device_reads_nothing_back():
    # A tensor on the meta device has no values: anything that would wait for one raises.
    buffer = DeviceBuffer(3, torch.device("meta"))
    index = torch.empty(4, dtype=torch.int64, device="meta")
    losses = torch.empty(4, device="meta")
    buffer.add(DeviceBatch(index, losses, valid=torch.empty(4, dtype=torch.bool, device="meta")))
    with pytest.raises(NotImplementedError):
        buffer.totals(0, 3)


def test_a_buffer_takes_at_most_8_bytes_per_sample():
    size = 1_000_000
    tracemalloc.start()
    try:
        buffer = HostBuffer(size)
        buffer.add(host_batch([0], [1.0]))
        assert tracemalloc.get_traced_memory()[0] <= 8 * size + 10_000
    finally:
        tracemalloc.stop()
    tensors = [
        t for t in vars(DeviceBuffer(size, torch.device("cpu"))).values() if torch.is_tensor(t)
    ]
    memory = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    assert 8 * size <= sum(memory.values()) <= 8 * size + 100
