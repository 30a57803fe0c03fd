"""Python's collector of reference cycles, paused while many objects are made that have none.

The collector runs after every few hundred new objects, and looks at the same ones over and over: of the time in which a long JSON
text is decoded, three quarters are its own.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_pauses = 0  # blocks that run now, in all threads
_was_enabled = False  # before the first of them


@contextmanager
def paused() -> Iterator[None]:
    """Pause the collector for a block that only computes; one that waits would keep it from the cycles of other threads.

    Threads may nest and overlap such blocks: after the last one, the collector is as it was.
    """
    global _pauses, _was_enabled
    with _lock:
        if _pauses == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if _pauses == 0 and _was_enabled:
                gc.enable()
