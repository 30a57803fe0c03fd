from __future__ import annotations

import os

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
