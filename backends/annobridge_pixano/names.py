"""Names of datasets and files that Pixano does not change."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

from annobridge.core.media import without_secrets

_SUFFIX = re.compile(r"\.(jpe?g|png|bmp|gif|tiff?|webp)$", re.IGNORECASE)


def dataset_name(task: str) -> str:
    """The name of a task's dataset, which is also that of its folder. Pixano ignores case and punctuation in names."""
    name = re.sub(r"[^a-z0-9]+", "_", task.lower()).strip("_")
    return name if name == task.replace("-", "_") else f"{name}_{hashlib.sha256(task.encode()).hexdigest()[:8]}"


def file_name(number: int, path: str) -> str:
    """The file name of an image in Pixano, from its number in the task and its path."""
    suffix = _SUFFIX.search(without_secrets(path))
    return f"{number:06d}{suffix[0].lower() if suffix else '.jpg'}"


def base_name(path: str | None) -> str:
    """The name of an image's own file, without folders, and of an address without its query, which may have a secret."""
    plain = urlsplit(path or "").path if "://" in (path or "") else path or ""
    return re.split(r"[/\\]", plain)[-1]
