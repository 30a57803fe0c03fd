"""The collector is paused in blocks of any thread, and is as it was after the last of them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from annobridge.core.collector import paused


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    yield
    gc.enable()


def test_it_runs_again_after_the_block_and_after_an_error() -> None:
    with paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), paused():
        1 / 0  # noqa: B018
    assert gc.isenabled()


def test_blocks_nest() -> None:
    with paused():
        with paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_has_turned_it_off_keeps_it_off() -> None:
    gc.disable()
    with paused():
        pass
    assert not gc.isenabled()


def test_blocks_of_threads_overlap() -> None:
    begun = threading.Barrier(4)

    def work() -> bool:
        with paused():
            begun.wait(10)
            return gc.isenabled()

    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(lambda _: work(), range(4)))
    assert gc.isenabled()
