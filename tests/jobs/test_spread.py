"""Calls that are spread over processes, or over given executors: results in order, and sentences when they cannot be had."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from annobridge.exceptions import ExecutorError
from annobridge.jobs.execution import Execution
from annobridge.jobs.spread import JOBS_PER_PROCESS, SpreadCalls

MANY = 3 * JOBS_PER_PROCESS


def process_of(shared: str, job: int) -> tuple[str, int, int]:
    return shared, job, os.getpid()


def test_few_jobs_are_done_here() -> None:
    calls = SpreadCalls(Execution.of({"workers": 8}), [])
    count = 2 * JOBS_PER_PROCESS - 1
    assert calls.processes(count) == 1
    assert list(calls.results(process_of, "x", range(count), count)) == [("x", n, os.getpid()) for n in range(count)]


def test_one_worker_is_this_process() -> None:
    assert SpreadCalls(Execution.of({"workers": 1}), []).processes(10_000) == 1


def test_many_jobs_are_done_in_several_processes() -> None:
    calls = SpreadCalls(Execution.of({"workers": 2}), [])
    found = list(calls.results(process_of, "x", range(2_000), 2_000))
    assert [(shared, job) for shared, job, _ in found] == [("x", n) for n in range(2_000)]
    assert {process for _, _, process in found} >= {os.getpid()}
    assert len({process for _, _, process in found}) <= 2


def test_an_executor_that_is_given_does_all_of_them() -> None:
    with ThreadPoolExecutor(2) as threads:
        calls = SpreadCalls(Execution.of({"executor": threads}), [])
        found = list(calls.results(process_of, "x", range(MANY), MANY))
    assert [job for _, job, _ in found] == list(range(MANY))


def test_workers_that_do_not_see_the_source(tmp_path: Path) -> None:
    place = str(tmp_path / "gone")
    with ThreadPoolExecutor(1) as threads:
        calls = SpreadCalls(Execution.of({"executor": threads}), [str(tmp_path), place])
        with pytest.raises(ExecutorError) as caught:
            list(calls.results(process_of, "x", range(MANY), MANY))
    assert str(caught.value) == (
        f"A worker on {socket.gethostname()} does not see {place!r}; workers need the source at the same path, as on a shared "
        "disk. Or leave executor= out."
    )


class Ending:
    """An executor that ends after some calls."""

    def __init__(self, after: int) -> None:
        self._left = after

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._left -= 1
        if self._left < 0:
            future.set_exception(BrokenExecutor("it ended"))
        else:
            future.set_result(function(*arguments))
        return future


def test_an_executor_that_ends() -> None:
    calls = SpreadCalls(Execution.of({"executor": Ending(after=20)}), [])
    with pytest.raises(ExecutorError, match=r"^The executor Ending ended before the work was done \(BrokenExecutor\)"):
        list(calls.results(process_of, "x", range(MANY), MANY))
