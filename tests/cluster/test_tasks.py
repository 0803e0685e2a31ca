"""Tasks are given to the scheduler a few at a time, in few messages, and all workers share them."""

import threading
import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from ltc.distributed import tasks as running
from ltc.distributed.cluster import chunk_ranges
from ltc.distributed.tasks import FEW, TOGETHER, Call, Tasks
from ltc.errors import DistributedError

THREADS = 16


@pytest.fixture
def graphs(client, monkeypatch):
    """Count the messages that bring tasks, and let the cluster look larger than it is."""
    monkeypatch.setattr(running, "count_threads", lambda _client: THREADS)
    sizes, plain = [], client._graph_to_futures

    def counted(expression, keys, *arguments, **options):
        sizes.append(len(keys))
        return plain(expression, keys, *arguments, **options)

    monkeypatch.setattr(client, "_graph_to_futures", counted)
    return sizes


def times(number, factor):
    return number * factor


def minus(number, other):
    return number - other


def divide(number, other):
    return other / number


def find_worker(_number, _shared, seconds=0.0):
    from distributed import get_worker

    time.sleep(seconds)
    return get_worker().address


def results(tasks, calls, **options):
    found = {}
    for call, future in tasks.completed(calls, **options):
        found[call.what] = future.result()
        tasks.release(future)
    return found


def test_many_tasks_take_few_messages(client, graphs):
    def calls():
        for number in range(200):
            yield Call(f"{number}", minus if 90 <= number < 130 else times, (number, 3))

    with Tasks(client, "count") as tasks:
        found = results(tasks, calls())
    assert found == {f"{n}": n - 3 if 90 <= n < 130 else 3 * n for n in range(200)}
    assert sum(graphs) == 200
    assert max(graphs) <= TOGETHER
    assert len(graphs) <= 200 / (THREADS // FEW) + 4


def test_what_tasks_share_comes_from_a_worker(client, graphs):
    with Tasks(client, "count") as tasks:
        shared = tasks.submit(Call("sharing", times, (2, 5)))
        found = results(tasks, [Call(f"{n}", minus, (n, shared)) for n in range(100)])
    assert found == {f"{n}": n - 10 for n in range(100)}
    assert max(graphs) > 1


def test_large_arguments_have_a_message_each(client, graphs):
    # Of more than 10 MB in one message Dask warns, which is an error here.
    large = np.zeros(3_000_000, np.uint8)
    with Tasks(client, "count") as tasks:
        calls = [Call(f"{n}", np.add.reduce, (large, 0)) for n in range(6)]
        assert results(tasks, calls, large=True) == dict.fromkeys("012345", 0)
    assert graphs == [1] * 6


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_each_worker_has_its_share_of_few_tasks(client, count, large):
    # Beside what they depend on they would all be with one of the two.
    with Tasks(client, "count") as tasks:
        shared = tasks.submit(Call("sharing", times, (2, 5)))
        calls = [Call(f"{n}", find_worker, (n, shared)) for n in range(count)]
        found = Counter(results(tasks, calls, large=large).values())
    assert sorted(found.values()) == {1: [1], 2: [1, 1], 4: [2, 2]}[count]


def test_each_worker_has_its_share_of_many_tasks(client):
    with Tasks(client, "count") as tasks:
        shared = tasks.submit(Call("sharing", times, (2, 5)))
        calls = [Call(f"{n}", find_worker, (n, shared, 0.01)) for n in range(40)]
        found = Counter(results(tasks, calls).values())
    assert len(found) == 2
    assert min(found.values()) >= 10


def test_results_come_to_the_client_a_few_at_a_time(client, monkeypatch):
    sizes, plain = [], client.gather

    def counted(futures, *arguments, **options):
        sizes.append(len(futures))
        return plain(futures, *arguments, **options)

    monkeypatch.setattr(client, "gather", counted)
    with Tasks(client, "count") as tasks:
        calls = [Call(f"{n}", times, (n, 3)) for n in range(31)]
        found = {call.what: result for call, result in tasks.gathered(calls, direct=True)}
        assert not tasks._all
    assert found == {f"{n}": 3 * n for n in range(31)}
    assert sum(sizes) == 31
    assert max(sizes) == 2  # of the threads that there are


def test_a_call_that_fails_among_those_that_are_gathered(client):
    with Tasks(client, "count") as tasks:
        calls = [Call(f"number {n}", divide, (n, 10)) for n in (1, 2, 0, 4)]
        with pytest.raises(DistributedError, match="number 0 failed on a worker: ZeroDivision"):
            list(tasks.gathered(calls))


def test_no_calls(client):
    with Tasks(client, "count") as tasks:
        assert results(tasks, []) == {}


def test_a_result_that_its_worker_has_lost_is_waited_for_again(client, monkeypatch):
    import distributed

    lost = []

    class Losing(distributed.as_completed):
        def __next__(self):
            future = super().__next__()
            if len(lost) < 3:
                lost.append(future.key)
                client.sync(lose, future)
            return future

    async def lose(future):
        future._state.lose()
        client._send_to_scheduler({"op": "report-key", "key": future.key})

    monkeypatch.setattr(distributed, "as_completed", Losing)
    with Tasks(client, "count") as tasks:
        found = results(tasks, [Call(f"{n}", times, (n, 3)) for n in range(8)])
    assert found == {f"{n}": 3 * n for n in range(8)}
    assert len(lost) == 3


GO_ON = threading.Event()


def wait_for_go_on():
    return GO_ON.wait(60)


def test_tasks_that_somebody_cancels(client):
    with Tasks(client, "count") as tasks:
        future = tasks.submit(Call("waiting", wait_for_go_on, ()))
        client.cancel([future], force=True)
        with pytest.raises(DistributedError, match=r"waiting was given up: .* cancelled the task"):
            tasks.results("waiting", [future])
    GO_ON.set()


def test_ranges_of_a_pass_are_as_equal_as_may_be_and_none_is_empty():
    def chunks(ranges, threads, **options):
        divided = chunk_ranges(ranges, 10, threads, **options)
        ends = [(each.start, each.stop) for each in divided]
        return [-(-(stop - start) // 10) for start, stop in ends], ends

    sizes, ends = chunks([slice(0, 547)], 2)
    assert sizes == [6] * 5 + [5] * 5
    assert ends[0][0] == 0
    assert ends[-1][1] == 547
    assert all(stop == start for (_, stop), (start, _) in pairwise(ends))
    assert chunks([slice(0, 547)], 2, most=4)[0] == [4] * 13 + [3]
    apart = [(30, 40), (40, 50), (50, 60), (80, 90), (90, 95)]
    assert chunks([slice(30, 60), slice(80, 95)], 1) == ([1] * 5, apart)
    assert chunks([slice(0, 0)], 3) == chunks([], 3) == ([], [])
