"""Jobs that this process and others take: each is done once, and the results come in their order, whoever was how fast."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

import annobridge as ab
from annobridge.jobs import shared as sharing
from annobridge.jobs.shared import SharedJobs


def doubled(job: int) -> int:
    return 2 * job


@given(st.integers(0, 40), st.integers(1, 4), st.lists(st.booleans(), min_size=40, max_size=40))
def test_the_results_come_in_the_order_of_the_jobs(count, others, slow):
    done: list[int] = []

    def do(job: int) -> int:
        time.sleep(0.001 * slow[job])
        done.append(job)
        return doubled(job)

    with ThreadPoolExecutor(others) as pool:
        shared = SharedJobs(range(count), lambda job: pool.submit(do, job), others)
        assert list(shared.results(do)) == list(map(doubled, range(count)))
    assert sorted(done) == list(range(count))


def test_this_process_does_what_the_others_leave():
    first = Future()  # the other process never ends with it
    mine = []
    shared = SharedJobs(range(5), lambda _: first, 1)
    results = shared.results(
        lambda job: (mine.append(job), first.set_result(0) if job == 4 else None, doubled(job))[-1]
    )
    assert list(results) == [0, 2, 4, 6, 8]
    assert mine == [1, 2, 3, 4]


def test_no_more_results_than_some_wait_for_an_earlier_one():
    made = []

    def jobs() -> Iterator[int]:
        for job in range(100):
            made.append(job)
            yield job

    def at_once(job: int) -> Future:
        future = Future()
        future.set_result(job)
        return future

    shared = SharedJobs(jobs(), at_once, 1)
    results = shared.results(doubled)
    next(results)
    assert len(made) <= 2 * sharing._RESULTS_AHEAD + 1
    assert len(list(results)) == 99


@pytest.mark.parametrize("how", ["raised", "returned"])
def test_an_error_of_another_process_ends_the_work(how):
    done = []

    def fail(job: int) -> Future:
        future = Future()
        error = ab.Unreachable("The server does not answer.")
        future.set_exception(error) if how == "raised" else future.set_result(error)
        return future

    shared = SharedJobs(range(100), fail, 1)
    with pytest.raises(ab.Unreachable, match="does not answer"):
        list(shared.results(done.append))
    assert len(done) <= 1


def test_an_error_of_this_process_ends_the_work():
    handed_over = []

    def submit(job: int) -> Future:
        handed_over.append(job)
        return Future()

    def fail(_: int) -> int:
        raise ab.Unreachable("The server does not answer.")

    with pytest.raises(ab.Unreachable):
        list(SharedJobs(range(100), submit, 2).results(fail))
    assert handed_over == [0, 1]


def test_a_job_that_cannot_be_made_is_an_error_also_in_the_thread_of_another_process():
    begun = threading.Event()

    def jobs() -> Iterator[int]:
        yield 0
        yield 1
        raise OSError("No space left on device")

    with ThreadPoolExecutor(1) as pool:
        shared = SharedJobs(jobs(), lambda job: pool.submit(lambda: (begun.wait(5), job)[1]), 1)

        def do(job: int) -> int:
            begun.set()
            time.sleep(0.05)  # the other one asks for the next job
            return job

        with pytest.raises(OSError, match="No space left"):
            list(shared.results(do))
