"""The names of a skeleton's points, which formats have beside their positions: an attribute of the label, a list of names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache

POINT_NAMES = "keypoints"  # the name of the attribute


def points_attribute(names: Iterable[str]) -> tuple[str, str]:
    """Type and JSON text of the attribute.

    >>> points_attribute(["nose", "hand"])
    ('json', '["nose", "hand"]')
    """
    return "json", json.dumps(list(names), ensure_ascii=False)


@lru_cache(1024)
def point_names(value: str | None, count: int) -> Sequence[str]:
    """The names that an attribute's JSON text holds; numbers from 1 where there is none, or it has another number of names.

    >>> point_names('["nose", "hand"]', 2), point_names(None, 2)
    (('nose', 'hand'), ('1', '2'))
    """
    try:
        names = json.loads(value) if value is not None else None
    except ValueError:
        names = None
    if isinstance(names, list) and len(names) == count == len(set(map(str, names))):
        return tuple(map(str, names))
    return tuple(map(str, range(1, count + 1)))
