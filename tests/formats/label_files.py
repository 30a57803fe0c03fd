"""What tests of label files share: small sources made in code, read and written by one format."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from annobridge.formats.base import Part
from annobridge.formats.common.file_format import FileFormat
from annobridge.formats.common.source import LabelSource

Rows = list[dict[str, Any]]


def image(path: Path, width: int = 100, height: int = 50) -> Path:
    """A small image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)
    return path


def files(folder: Path, texts: Mapping[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def packed(folder: Path, target: Path) -> Path:
    """A folder as a zip."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return target


def opened(format_: FileFormat, source: Path, **options: Any) -> LabelSource:
    """A source that was read."""
    return format_.open(source, format_.reading(**options))


def read(format_: FileFormat, source: Path, **options: Any) -> tuple[Rows, Rows, LabelSource]:
    """The samples and the labels of a source. Labels have ``image``, the name of their file, and attributes as a dictionary."""
    found = opened(format_, source, **options)
    parts = list(found.parts())
    samples = [row for part in parts for row in part.samples.to_pylist()]
    names = {row["sample_id"]: Path(row["filepath"]).name for row in samples}
    return samples, [tidy(row, names) for part in parts for row in part.labels.to_pylist()], found


def tidy(row: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A label's row without nulls and ids, with attributes as a dictionary."""
    given = {a["name"]: json.loads(a["value"]) for a in row.pop("attributes", None) or ()}
    row["image"] = names[row.pop("sample_id")]
    return {name: value for name, value in row.items() if value is not None and name != "label_id"} | {
        "attributes": given
    }


def parts(found: LabelSource) -> Iterator[Part]:
    """The parts of a source as they come out of a dataset: labels have all columns."""
    from annobridge.core.labels import LABELS

    for part in found.parts():
        columns = {
            f.name: part.labels[f.name]
            if f.name in part.labels.column_names
            else pa.nulls(part.labels.num_rows, f.type)
            for f in LABELS
        }
        yield Part(part.samples, pa.table(columns))


def rewritten(format_: FileFormat, source: Path, folder: Path, **options: Any) -> list[str]:
    """Read a source, and write it again; returns the notes."""
    assert format_.writing is not None
    folder.mkdir(parents=True, exist_ok=True)
    return format_.write(parts(opened(format_, source)), folder, format_.writing(**options))
