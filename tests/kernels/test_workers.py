"""Threads that share work out among themselves, and kernels that leave them alone."""

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

import ltc_kernels
from kernels import cases
from ltc_kernels import (
    as_this_thread,
    group_correlation,
    thread_count,
    work_alone,
    working_alone,
)
from ltc_kernels.cpu.threads import for_ranges


def in_a_thread(function, stopped):
    """What a function returns in a new thread that works alone."""

    def alone():
        work_alone(stopped)
        return function()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(alone).result()


def names_of_threads(length=100):
    names = set()
    for_ranges(lambda _begin, _end: names.add(threading.current_thread()), length, 1)
    return names


def test_a_thread_that_works_alone_uses_no_other(monkeypatch):
    monkeypatch.setattr(ltc_kernels.cpu.threads, "thread_count", lambda: 3)
    assert threading.current_thread() not in names_of_threads()
    assert len(in_a_thread(names_of_threads, threading.Event())) == 1
    assert threading.current_thread() not in names_of_threads()  # others are as they were


def test_other_threads_work_as_the_one_that_starts_them(monkeypatch):
    monkeypatch.setattr(ltc_kernels.cpu.threads, "thread_count", lambda: 3)

    def another_works_by_itself():
        with ThreadPoolExecutor(1, initializer=as_this_thread()) as pool:
            return pool.submit(lambda: names_of_threads() == {threading.current_thread()}).result()

    assert not another_works_by_itself()
    with working_alone():
        assert another_works_by_itself()
    assert not another_works_by_itself()


def test_scores_are_the_same_alone():
    case = cases.case(40, 20_000, change=cases.missing_in_losses)

    def scores():
        return group_correlation(case.losses, case.references, case.groups, signal="difference")

    np.testing.assert_array_equal(in_a_thread(scores, threading.Event()), scores())


def test_work_that_is_stopped_ends_after_the_part_at_hand():
    stopped, done = threading.Event(), []

    def part(begin, _end):
        done.append(begin)
        if begin == 7:
            stopped.set()

    with pytest.raises(CancelledError):
        in_a_thread(lambda: for_ranges(part, 100, 1), stopped)
    assert done == list(range(8))


def test_the_number_of_threads_can_be_set(monkeypatch):
    monkeypatch.setattr(ltc_kernels.cpu.threads.config, "NUMBA_NUM_THREADS", 5)
    assert thread_count() == 5
