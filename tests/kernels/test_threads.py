"""Ranges that several threads work on."""

import threading

import pytest

from ltc_kernels.cpu.threads import for_ranges, thread_count


@pytest.mark.parametrize(("length", "step"), [(0, 3), (1, 3), (3, 3), (10, 3), (1000, 1)])
def test_ranges_cover_everything_once(length, step):
    seen = []
    for_ranges(lambda begin, end: seen.extend(range(begin, end)), length, step)
    assert sorted(seen) == list(range(length))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_stops_one_task_stops_those_that_have_not_begun(error):
    begun, stopped = [], threading.Event()

    def task(begin, end):
        begun.append((begin, end))
        if begin == 0:
            raise error
        stopped.wait(30)

    threads = threading.active_count()
    try:
        with pytest.raises(error):
            for_ranges(task, 1000, 1)
    finally:
        stopped.set()
    assert 1 <= len(begun) <= 2 * thread_count()
    assert threading.active_count() <= threads + thread_count()
