"""Which of the tool's objects is which of those that were sent, where it gives ids of its own and an order of its own."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Candidate = TypeVar("Candidate")


def pair(
    items: Sequence[Item], candidates: Iterable[Candidate], *keys: Callable[[Item | Candidate], Hashable]
) -> list[Candidate | None]:
    """The candidate that belongs to each item.

    Args:
        items: what was sent.
        candidates: what the tool has. Each is given to one item at most.
        keys: functions of an item or a candidate; the two belong together where a key is equal. They are tried one after
            another, so begin with the strictest: all of the content, say, then the place and the class. Of several equal
            candidates, the items get the first first.

    Returns:
        A candidate or ``None`` for each item.

    >>> pair(["Ab", "aB", "c"], ["ab", "aB"], lambda text: text, str.lower)
    ['ab', 'aB', None]
    """
    found: list[Candidate | None] = [None] * len(items)
    open_items, left = list(range(len(items))), list(candidates)
    for key in keys:
        by_key: dict[Hashable, deque[Candidate]] = defaultdict(deque)
        for candidate in left:
            by_key[key(candidate)].append(candidate)
        unpaired = []
        for n in open_items:
            if same := by_key.get(key(items[n])):
                found[n] = same.popleft()
            else:
                unpaired.append(n)
        open_items, left = unpaired, [one for group in by_key.values() for one in group]
        if not open_items:
            break
    return found
