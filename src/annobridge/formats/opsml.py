"""opsml's records, read, and its ``metadata.jsonl``, written, for both major versions.

opsml is not imported: a record is any object that has ``file_name`` (1.x) or ``filepath`` (2.x), and perhaps ``caption``,
``categories`` and ``objects`` with ``bbox`` and ``categories``; a dictionary with these keys serves as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..core.rows import Sample
from ..exceptions import InvalidSource
from .base import CallsHere, Part
from .metadata.options import Reading, Writing
from .metadata.reading.folder_files import ImageFolder
from .metadata.reading.source import FolderReader, FolderSource
from .metadata.writing.file_name import FileNameWriter
from .metadata.writing.line_writer import unsupported
from .metadata.writing.survey import survey

_NAMES = ("file_name", "filepath")
_DEFAULT = Reading()


def is_records(value: Any) -> bool:
    """Whether a value is a record of opsml, an ``ImageMetadata``, or a list of records."""
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_record, value))
    return _is_record(value) or (not isinstance(value, Mapping) and hasattr(value, "records"))


def _is_record(value: Any) -> bool:
    return not isinstance(value, Mapping | Sample) and any(
        isinstance(_get(value, n), str | os.PathLike) for n in _NAMES
    )


def source_of(
    records: Any, image_dir: str | os.PathLike[str] | None = None, options: Reading = _DEFAULT
) -> FolderSource:
    """The samples and labels of records, read as lines of the ``file_name`` dialect: boxes are in pixels.

    Args:
        records: an ``ImageMetadata``, a record, or a list of records. Records of one image become one sample.
        image_dir: the folder that file names (1.x) are relative to. Paths (2.x) are absolute, or relative to the working directory.
        options: options of reading.

    Raises:
        InvalidSource: names the number of the record.
    """
    found = list(getattr(records, "records", None) or ([records] if _is_record(records) else records))
    lines = [(number, _line(record, number)) for number, record in enumerate(found, 1)]
    root = _root(lines, image_dir)
    for number, line in lines:
        for name in _NAMES:
            if name in line:
                line[name] = _relative(line[name], root, number, name == "filepath")
    reader = FolderReader(options, CallsHere())
    content = reader.add(ImageFolder.of(root, None), Path("record"), lines)
    content.unlisted = np.zeros(0, np.int64)  # other images of the folder are not meant
    return reader.open()


def write_metadata(
    parts: Iterable[Part], path: str | Path, version: Literal[1, 2] = 1, field: str = "objects"
) -> list[str]:
    """Write the lines that opsml reads, for images that stay where they are; returns notes on what was left out.

    Args:
        parts: the samples and labels.
        path: the file. All images must be in its folder, or in folders below.
        version: the major version of opsml.
        field: the label field that is written as ``objects``.

    Raises:
        Unsupported: opsml cannot hold some labels, or an image is elsewhere.
    """
    tables, found = survey(parts)
    target = Path(path).absolute()
    writer = FileNameWriter(found, Writing(dialect="opsml" if version == 1 else "opsml2", field=field))
    writer.check()
    draft = target.with_name(f".{target.name}.draft")
    try:
        with draft.open("w", encoding="utf-8") as file:
            for samples, labels in tables:
                names = [_below(place, target.parent) for place in samples["filepath"].to_pylist()]
                for line in writer.lines(samples, labels, names):
                    file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return writer.notes


def _get(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def _line(record: Any, number: int) -> dict[str, Any]:
    """A record as a line of ``metadata.jsonl``."""
    names = [n for n in _NAMES if _get(record, n) is not None]
    if len(names) != 1:
        raise InvalidSource(f"record:{number} has not one of file_name and filepath; give one of them.")
    line = {names[0]: os.fspath(_get(record, names[0]))}
    line |= {n: v for n in ("caption", "categories") if (v := _get(record, n)) is not None}
    if (boxes := _get(record, "objects")) is not None:
        line["objects"] = {n: list(v) for n in ("bbox", "categories") if (v := _get(boxes, n)) is not None}
    return line


def _root(lines: list[tuple[int, dict[str, Any]]], given: str | os.PathLike[str] | None) -> Path:
    """The folder of the images."""
    paths = [os.path.abspath(line["filepath"]) for _, line in lines if "filepath" in line]
    if given is None and (not paths or len(paths) < len(lines)):
        raise InvalidSource("The records name their images without a folder; say which with image_dir=….")
    root = Path(given if given is not None else os.path.commonpath([os.path.dirname(p) for p in paths])).absolute()
    if not root.is_dir():
        raise InvalidSource(f"There is no folder {str(root)!r} of images; correct image_dir.")
    return root


def _relative(name: str, root: Path, number: int, to_working_directory: bool) -> str:
    if not to_working_directory or (not os.path.isabs(name) and (root / name).is_file()):
        return name
    path = os.path.abspath(name)
    if not path.startswith(f"{root}{os.sep}"):
        raise InvalidSource(
            f"record:{number} names the image {name!r}, which is not in {str(root)!r}; correct image_dir."
        )
    return os.path.relpath(path, root).replace(os.sep, "/")


def _below(place: str, folder: Path) -> str:
    path = os.path.abspath(place) if "://" not in place else place
    if not path.startswith(f"{folder}{os.sep}"):
        raise unsupported(
            f"The image {place!r} is not in {str(folder)!r}, where the file of opsml is to be; write it above the images."
        )
    return os.path.relpath(path, folder).replace(os.sep, "/")
