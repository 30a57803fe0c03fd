"""The format ``datagym``: a JSON file of labels, and the images that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from annobridge.exceptions import InvalidSource, Unsupported
from annobridge.formats.base import Context, Options, Part

from .source import DocumentSource

_HEAD = 65_536  # bytes that are looked at
_PATTERN = re.compile(rb'\A(\xef\xbb\xbf)?\s*\[\s*\{.*?"(label_classes|internal_media_ID)"\s*:', re.DOTALL)


class ReadOptions(Options):
    """How to read a file."""

    images: Path | None = Field(None, description="the folder of the images, to any depth; by default that of the file")
    media_ids: Path | None = Field(
        None, description="a JSON file with the ids of the images in DataGym, where the labels have ids only"
    )


class DocumentFormat:
    """Exports of DataGym, and files for its import."""

    name: ClassVar[str] = "datagym"
    title: ClassVar[str] = "DataGym's JSON of labels"
    reading: ClassVar[type[Options] | None] = ReadOptions
    writing: ClassVar[type[Options] | None] = None

    def recognises(self, source: Path) -> bool:
        """Whether it is such a file, or a folder with one."""
        return bool(_label_files(source))

    def open(self, source: Path, options: Options, context: Context | None = None) -> DocumentSource:  # noqa: ARG002 - has its images beside it
        """Read all of the file and the headers of its images. Raises ``InvalidSource``."""
        chosen = ReadOptions.model_validate(options.model_dump())
        found = _label_files(source) if source.is_dir() else [source]
        if len(found) != 1:
            what = f"{len(found)} files of labels" if found else "no file of labels"
            raise InvalidSource(f"There is {what} of DataGym in {str(source)!r}; give the file itself.")
        folder = (chosen.images or found[0].parent).expanduser().absolute()
        return DocumentSource(found[0], folder, chosen.media_ids)

    def write(self, parts: Iterator[Part], folder: Path, options: Options) -> list[str]:  # noqa: ARG002
        """Not possible: labels are sent to DataGym by a run. Raises ``Unsupported``."""
        raise Unsupported("datagym: labels are sent there by ds.annotate(…, backend='datagym', transport='files').", [])


def _label_files(source: Path) -> list[Path]:
    candidates = sorted(source.glob("*.json")) if source.is_dir() else [source] if source.suffix == ".json" else []
    return [path for path in candidates if _is_label_file(path)]


def _is_label_file(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _PATTERN.match(file.read(_HEAD)) is not None
    except OSError:
        return False
