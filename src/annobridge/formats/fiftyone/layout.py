"""The files of a FiftyOne export, and the document of the dataset."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...exceptions import InvalidSource
from ..base import Options
from . import documents


class Reading(Options):
    """Options of reading.

    Attributes:
        rel_dir: the folder that paths of images are relative to; by default, that of the export.
        omit_fields: fields that are left out.
    """

    rel_dir: Path | None = None
    omit_fields: tuple[str, ...] = ()


_UNUSED = (
    "info", "description", "tags", "classes", "default_classes", "skeletons", "default_skeleton", "saved_views", "workspaces",
    "annotation_runs", "brain_methods", "evaluations", "runs", "camera_intrinsics", "static_transforms",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """The files of an export.

    Attributes:
        folder: the folder of the export.
        samples: the file, or folder of files, with the samples.
        frames: the file, or folder of files, with the frames of videos.
        about: the document of the dataset.
    """

    folder: Path
    samples: Path
    frames: Path | None
    about: Mapping[str, Any]

    @classmethod
    def of(cls, source: Path) -> Layout:
        """The files of an export, or of the single file that ``write_json`` writes. Raises ``InvalidSource``."""
        if source.is_file() and source.name != "samples.json":
            return cls(source.parent, source, None, documents.read_document(source, "samples"))
        folder = source.parent if source.is_file() else source
        samples = next((p for n in ("samples.json", "samples") if (p := folder / n).exists()), None)
        if samples is None:
            raise InvalidSource(
                f"The folder {str(folder)!r} has no samples.json; give the folder of a FiftyOne export."
            )
        about = documents.read_document(path) if (path := folder / "metadata.json").exists() else {}
        frames = next((p for n in ("frames.json", "frames") if (p := folder / n).exists()), None)
        return cls(folder, samples, frames if "version" in about or not (frames and frames.is_dir()) else None, about)

    def check(self) -> None:
        """Use the document of the dataset, so that a value of an unexpected type raises before a sample is read."""
        self.targets("")
        if not isinstance(self.about.get("media_type"), str | None):
            raise TypeError(f"media_type is {self.about['media_type']!r:.80}")

    def targets(self, field: str) -> dict[int, str]:
        """The classes of a segmentation field by pixel value."""
        info = self.about.get("info") or {}
        for document in (self.about, info):
            for found in ((document.get("mask_targets") or {}).get(field), document.get("default_mask_targets")):
                if found:
                    return {int(v): str(name) for v, name in found.items() if re.fullmatch(r"\d+", str(v))}
        return {}

    def unused(self) -> list[str]:
        """The keys of the document that have a value and are not read."""
        return [name for name in _UNUSED if self.about.get(name)]

    def dates(self) -> set[str]:
        """The fields that hold dates, which documents write as timestamps."""
        fields = self.about.get("sample_fields") or []
        kinds = fields if isinstance(fields, dict) else {f.get("name"): f.get("ftype") for f in fields}
        return {name for name, kind in kinds.items() if str(kind).endswith(".DateField")}
