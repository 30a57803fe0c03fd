"""Files that are looked at one after the other, or in threads where that pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from time import perf_counter
from typing import TypeVar

THREADS = 4
_BLOCK = 256  # files that a thread reads one after the other
_SLOW = 0.0005  # seconds per file from which threads pay off; a file in the cache of the system takes some 10 µs

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_files(look: Callable[[Item], Result], files: Sequence[Item]) -> list[Result]:
    """What ``look`` returns for each file.

    In parallel if the first files take long: for files in the cache of the system, threads only wait for each other. A future for
    each file would cost more than reading it, so threads are given blocks.
    """
    found: list[Result] = []
    start = perf_counter()
    for at in range(0, len(files), _BLOCK):
        if at and perf_counter() - start > _SLOW * at:
            rest = [files[n : n + _BLOCK] for n in range(at, len(files), _BLOCK)]
            with ThreadPoolExecutor(THREADS) as pool:
                return [*found, *chain.from_iterable(pool.map(lambda block: list(map(look, block)), rest))]
        found += map(look, files[at : at + _BLOCK])
    return found
