from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from annobridge.exceptions import ExecutorError
from annobridge.executors import local
from annobridge.executors.local import LocalProcesses


def limit_of_memory() -> tuple[int, float]:
    from loky import process_executor

    return os.getpid(), process_executor._MAX_MEMORY_LEAK_SIZE


def test_a_process_that_holds_the_labels_of_a_job_is_not_started_anew():
    """Loky ends processes that hold 300 MB more than at first, which it takes for a leak."""
    with LocalProcesses().connected(None, 1) as cluster:
        process, limit = cluster.executor.submit(limit_of_memory).result(60)
    assert process != os.getpid()
    assert limit > 1e15


def call(function: Callable[[], Any]) -> Any:
    with LocalProcesses().connected(None, 1) as cluster:
        return cluster.executor.submit(function).result(60)


def end_without_a_word() -> None:
    time.sleep(0.5)
    os._exit(1)


def test_a_process_that_ends_after_a_new_start_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause, Loky's processes have ended, and it does not look for those that it starts then."""
    monkeypatch.setattr(local, "_IDLE", 1)
    first = call(os.getpid)
    time.sleep(4)
    assert not os.path.exists(f"/proc/{first}")
    with pytest.raises(ExecutorError, match="was ended by the system"):
        call(end_without_a_word)
