"""Tiles on their way to a device, in a double of one."""

import numpy as np
import pytest
import torch
from places import FullError, HostPlace

from ltc.conveyor import Conveyor, one_piece
from ltc.errors import BackendUnavailableError


def losses(count, num_checkpoints=3):
    return np.arange(num_checkpoints * count, dtype=np.float16).reshape(num_checkpoints, count) % 97


def carry(place, tiles, width, *, room=None):
    """What the work was given, in one array; work on more than ``room`` samples runs out."""
    given = {}

    def work(begin, tile):
        if room is not None and tile.shape[1] > room:
            raise FullError
        for i in range(tile.shape[1]):
            assert begin + i not in given
            given[begin + i] = tile[:, i].numpy().copy()

    conveyor = Conveyor(place, work, 3, width)
    begin = 0
    for tile in tiles:
        memory = tile.copy()
        conveyor.take(begin, memory)
        memory[:] = -1  # as the thread that reads ahead does
        begin += tile.shape[1]
    conveyor.finish()
    assert sorted(given) == list(range(begin))
    return np.stack([given[i] for i in range(begin)], axis=1), conveyor


def test_every_sample_arrives_once_in_its_place():
    whole = losses(5000)
    found, conveyor = carry(HostPlace(), np.split(whole, [2048, 4096], axis=1), 2048)
    np.testing.assert_array_equal(found, whole)
    assert conveyor.width == 2048


def test_a_tile_is_at_work_while_the_next_is_copied():
    place = HostPlace()
    carry(place, np.split(losses(3 * 128), 3, axis=1), 128)
    assert place.events == ["send", "send", "work", "send", "work", "work"]


@pytest.mark.parametrize("room", [5000, 4096, 2500, 2048])
def test_tiles_that_do_not_fit_are_halved(room):
    whole = losses(9000)
    place = HostPlace(room)
    found, conveyor = carry(place, [whole[:, :4096], whole[:, 4096:8192], whole[:, 8192:]], 4096)
    np.testing.assert_array_equal(found, whole)
    assert conveyor.width == (4096 if room >= 4096 else 2048)
    assert place.released == (room < 4096)


@pytest.mark.parametrize("room", [3000, 1500, 1024])
def test_work_that_runs_out_of_memory_is_done_in_halves(room):
    whole = losses(8192)
    found, conveyor = carry(HostPlace(), np.split(whole, 2, axis=1), 4096, room=room)
    np.testing.assert_array_equal(found, whole)
    assert conveyor.width == 2048 if room == 3000 else 1024


def test_a_device_that_is_full_is_named():
    text = r"double:0 must have memory free for a tile of 1,024 samples at 3 checkpoints"
    for place, room in ((HostPlace(100), None), (HostPlace(), 100)):
        with pytest.raises(BackendUnavailableError, match=text):
            carry(place, [losses(4096)], 4096, room=room)


def test_rows_of_equal_length_are_one_transfer():
    source, target = torch.arange(12.0).reshape(3, 4)[:, :3], torch.zeros(3, 4)[:, :3]
    parts = one_piece(source, target)
    assert [part.shape for part in parts] == [(11,), (11,)]
    assert all(part.is_contiguous() for part in parts)
    parts[1].copy_(parts[0])
    assert torch.equal(source, target)
    other = torch.zeros(3, 5)[:, :3]
    assert one_piece(source, other) == (source, other)
