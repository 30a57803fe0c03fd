"""Folders of classes: formats that put the class of an image in front of its name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import Unsupported
from .archive import is_safe_name
from .export import ExportData
from .path_lookup import stem

NO_LABEL = "no_label"  # the folder of images without a class
_SHOWN = 20


def split_name(name: str) -> tuple[str | None, str]:
    """The first folder of a name, and the rest.

    >>> split_name("car/cam 1/a.jpg"), split_name("a.jpg")
    (('car', 'cam 1/a.jpg'), (None, 'a.jpg'))
    """
    folder, slash, rest = name.partition("/")
    return (folder, rest) if slash else (None, name)


def first_classes(
    data: ExportData, kinds: Sequence[str], fitting: Callable[[pa.Table], pa.Table] = lambda labels: labels
) -> list[str | None]:
    """The class of each item: that of its first label of the first of these kinds, then of the second, and so on.

    Args:
        data: The export.
        kinds: The kinds of labels that count.
        fitting: Gives those of some labels that are written; all by default.
    """
    found: list[list[str | None]] = [[None] * data.items.num_rows for _ in kinds]
    for part in data.parts():
        labels = fitting(part.labels)
        for kind, classes in zip(kinds, found, strict=True):
            rows = labels.filter(pc.and_(pc.equal(labels["kind"], kind), labels["label"].is_valid()))
            for item, label in zip(rows["item"].to_pylist(), rows["label"].to_pylist(), strict=True):
                if classes[item] is None:
                    classes[item] = label
    return [next((c for c in some if c is not None), None) for some in zip(*found, strict=True)]


def require_folder_names(classes: Collection[str]) -> None:
    """Raises ``Unsupported`` for classes that cannot be the name of a folder."""
    odd = sorted(c for c in classes if not _is_folder_name(c))
    if odd:
        raise Unsupported(
            "", [f"The class {name!r} cannot be the name of a folder; rename it." for name in odd[:_SHOWN]]
        )


def _is_folder_name(name: str) -> bool:
    is_line = name == name.strip() and len(name.splitlines()) == 1
    return is_safe_name(name) and is_line and not any(c in name for c in "/:") and name not in (".", NO_LABEL)


def unique(names: Sequence[str], splits: Sequence[str | None]) -> list[str]:
    """Names of which none is twice in one split, whatever their suffix: of two, the second gets a number."""
    taken: set[tuple[str | None, str]] = set()
    found = []
    for name, split in zip(names, splits, strict=True):
        first = new = stem(name)
        number = 1
        while (split, new) in taken:
            number += 1
            new = f"{first}_{number}"
        taken.add((split, new))
        found.append(new + name[len(first) :])
    return found
