"""Which sample is each of the media of a tool: by the name of the file, or by as much of its path as both have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple


class MediaMatch(NamedTuple):
    """The sample of each of the media; ``None`` where there is none, or where several would fit."""

    sample_ids: list[str | None]
    ambiguous: dict[str, list[str]]  # the name of a medium → the samples that would fit


def match_media(names: Sequence[str], samples: Iterable[tuple[str, str | None]], by_path: bool) -> MediaMatch:
    """Match media with samples.

    Args:
        names: of the media, perhaps with folders, as ``"cam/0.png"``.
        samples: the id and the path of each sample.
        by_path: whether of several files of one name, the one counts that has the most folders in common; else, such a name is
            ambiguous.

    >>> match_media(["b/0.png", "1.png"], [("s0", "/a/0.png"), ("s1", "/b/0.png")], by_path=True)
    MediaMatch(sample_ids=['s1', None], ambiguous={})
    """
    wanted = [_parts(name) for name in names]
    by_name: dict[str, list[tuple[str, tuple[str, ...]]]] = {parts[-1]: [] for parts in wanted if parts}
    for sample_id, path in samples:
        parts = _parts(path or "")
        if parts and parts[-1] in by_name:
            by_name[parts[-1]].append((sample_id, parts))
    found: list[str | None] = []
    ambiguous: dict[str, list[str]] = {}
    for name, parts in zip(names, wanted, strict=True):
        candidates = by_name[parts[-1]] if parts else []
        if by_path and len(candidates) > 1:
            most = max(_common(parts, other) for _, other in candidates)
            candidates = [c for c in candidates if _common(parts, c[1]) == most]
        if len(candidates) > 1:
            ambiguous[name] = [sample_id for sample_id, _ in candidates]
        found.append(candidates[0][0] if len(candidates) == 1 else None)
    return MediaMatch(found, ambiguous)


def _parts(path: str) -> tuple[str, ...]:
    """The folders and the name, of a path of any system or a URI."""
    return tuple(
        part for part in PurePosixPath(path.partition("?")[0].replace("\\", "/")).parts if part not in ("/", ".")
    )


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    """How many parts two paths have in common, from the end."""
    return next(
        (n for n, (x, y) in enumerate(zip(reversed(a), reversed(b), strict=False)) if x != y), min(len(a), len(b))
    )
