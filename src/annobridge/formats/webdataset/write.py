"""Writing: the JSON of samples, and tars of a size."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ..common.export import ExportData, ExportPart
from ..common.object_table import ObjectColumns, object_lists
from .options import WebDatasetWriting
from .read import CLASS_KEYS, OWN

Parts = dict[str, bytes]


def json_of(data: ExportData, part: ExportPart, columns: ObjectColumns) -> Iterator[dict[str, Any]]:
    """The JSON of each item."""
    classes = part.labels.filter(pc.equal(part.labels["kind"], "classification"))
    own: dict[int, list[str]] = {}
    for item, label in zip(classes["item"].to_pylist(), classes["label"].to_pylist(), strict=True):
        own.setdefault(item - part.first, []).append(label)
    rows = part.columns.to_pylist() if part.columns is not None and part.columns.num_columns else None
    for n, (item, found) in enumerate(
        zip(part.items.to_pylist(), object_lists(data, part, columns, None).to_pylist(), strict=True)
    ):
        more = rows[n] if rows is not None else {}
        labels = own.get(n, [])
        yield {
            **{
                name: value
                for name, value in more.items()
                if value is not None and name not in (*OWN, "objects", *CLASS_KEYS)
            },
            **{name: item[name] for name in ("split", "width", "height") if item[name] is not None},
            **({"label": labels[0]} if len(labels) == 1 else {"labels": labels} if labels else {}),
            "objects": [{key: value for key, value in entry.items() if value is not None} for entry in found],
        }


class Shards:
    """The tars of one split."""

    def __init__(self, stem: Path, options: WebDatasetWriting) -> None:
        self._stem, self._options = stem, options
        self._tar: tarfile.TarFile | None = None
        self._count = self._samples = self._bytes = 0

    def add(self, key: str, parts: Parts) -> None:
        """Append the parts of a sample."""
        if self._tar is None:
            self._tar = tarfile.open(f"{self._stem}-{self._count:06d}.tar", "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed below
        for suffix, data in parts.items():
            entry = tarfile.TarInfo(f"{key}.{suffix}")
            entry.size, entry.mode = len(data), 0o644
            self._tar.addfile(entry, io.BytesIO(data))
            self._bytes += len(data) + 1024
        self._tar.members.clear()  # type: ignore[attr-defined]  # which tarfile would keep
        self._samples += 1
        if self._bytes >= self._options.shard_bytes or self._samples >= self._options.shard_samples:
            self.close()

    def close(self) -> None:
        """Finish the tar."""
        if self._tar is not None:
            self._tar.close()
            self._tar, self._count, self._samples, self._bytes = None, self._count + 1, 0, 0
