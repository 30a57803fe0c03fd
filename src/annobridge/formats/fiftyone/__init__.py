"""FiftyOne datasets, read from and written as their JSON export. FiftyOne need not be installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from ..base import Context, Options, Part
from .layout import Reading
from .source import FiftyOneSource
from .writer import Writing, write

_HEAD = 65_536  # bytes
_SAMPLES = rb'\A\s*\{\s*"samples"\s*:'
_METADATA = rb'"sample_fields"\s*:'


class FiftyOneFormat:
    """What ``dataset.export(dataset_type=fo.types.FiftyOneDataset)`` writes, of any version, and ``dataset.write_json()``."""

    name: ClassVar[str] = "fiftyone"
    title: ClassVar[str] = "a FiftyOne dataset"
    reading: ClassVar[type[Options]] = Reading
    writing: ClassVar[type[Options]] = Writing

    def recognises(self, source: Path) -> bool:
        """Whether the first bytes of its files are those of a FiftyOne export."""
        folder = source.parent if source.name == "samples.json" else source
        if not folder.is_dir():
            return source.suffix == ".json" and _has(source, _METADATA)
        if (folder / "samples").is_dir():
            return _has(folder / "metadata.json", _METADATA)
        return _has(folder / "samples.json", _SAMPLES)

    def open(self, source: Path, options: Options, context: Context | None = None) -> FiftyOneSource:
        """Read and check all of it. Raises ``InvalidSource`` with the file and the document."""
        return FiftyOneSource(source, Reading.model_validate(options.model_dump()))

    def write(self, parts: Iterator[Part], folder: Path, options: Options) -> list[str]:
        """Write ``metadata.json``, ``samples.json``, for videos ``frames.json``, and the media in ``data/``."""
        return write(parts, folder, Writing.model_validate(options.model_dump()))


def _has(path: Path, pattern: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return re.search(pattern, file.read(_HEAD)) is not None
    except OSError:
        return False
