"""Names that Pixano takes without changing them."""

from __future__ import annotations

import hashlib
import re

_SUFFIX = re.compile(r"\.(jpe?g|png|bmp|gif|tiff?|webp)$", re.IGNORECASE)


def dataset_name(task: str) -> str:
    """A dataset's name, equal to that of its folder: Pixano takes names that differ in case or signs for the same."""
    name = re.sub(r"[^a-z0-9]+", "_", task.lower()).strip("_")
    return name if name == task.replace("-", "_") else f"{name}_{hashlib.sha256(task.encode()).hexdigest()[:8]}"


def file_name(number: int, path: str) -> str:
    """The name that an image gets in Pixano, from its number in the task and its name here."""
    suffix = _SUFFIX.search(path)
    return f"{number:06d}{suffix[0].lower() if suffix else '.jpg'}"
