"""Which allocator Arrow takes its memory from, and when that gives it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa


def give_back() -> None:
    """Give memory that is free back to the system. The allocator keeps it in pieces, and what comes next may fit into none."""
    pa.default_memory_pool().release_unused()


@contextmanager
def system_memory() -> Iterator[None]:
    """Arrow takes memory from the allocator of the system, which gives back what was freed. Its own keeps some times of what is in
    use, which counts where batches come and go. Arrays that exist do not change; other threads use the same allocator meanwhile.
    """
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)
