"""The files of a FiftyOne dataset, and what it says of itself."""

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
    """``rel_dir`` is where relative paths of images start (the folder of the export). ``omit_fields`` are left out."""

    rel_dir: Path | None = None
    omit_fields: tuple[str, ...] = ()


_UNUSED = (
    "info", "description", "tags", "classes", "default_classes", "skeletons", "default_skeleton", "saved_views", "workspaces",
    "annotation_runs", "brain_methods", "evaluations", "runs", "camera_intrinsics", "static_transforms",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """The files of a dataset, and what it says of itself."""

    folder: Path
    samples: Path
    frames: Path | None
    about: Mapping[str, Any]

    @classmethod
    def of(cls, source: Path) -> Layout:
        """The layout of an export, or of the one file that ``write_json`` makes. Raises ``InvalidSource``."""
        if source.is_file() and source.name != "samples.json":
            return cls(source.parent, source, None, documents.whole(source, "samples"))
        folder = source.parent if source.is_file() else source
        samples = next((p for n in ("samples.json", "samples") if (p := folder / n).exists()), None)
        if samples is None:
            raise InvalidSource(
                f"The folder {str(folder)!r} has no samples.json; give the folder of a FiftyOne export."
            )
        about = documents.whole(path) if (path := folder / "metadata.json").exists() else {}
        frames = next((p for n in ("frames.json", "frames") if (p := folder / n).exists()), None)
        return cls(folder, samples, frames if "version" in about or not (frames and frames.is_dir()) else None, about)

    def check(self) -> None:
        """Use what the dataset says of itself, so that a value of another type raises before a sample was read."""
        self.targets("")
        if not isinstance(self.about.get("media_type"), str | None):
            raise TypeError(f"media_type is {self.about['media_type']!r:.80}")

    def targets(self, field: str) -> dict[int, str]:
        """The classes of a segmentation field by pixel value."""
        info = self.about.get("info") or {}
        for home in (self.about, info):
            for found in ((home.get("mask_targets") or {}).get(field), home.get("default_mask_targets")):
                if found:
                    return {int(v): str(name) for v, name in found.items() if re.fullmatch(r"\d+", str(v))}
        return {}

    def unused(self) -> list[str]:
        """What the dataset says of itself and has no place here."""
        return [name for name in _UNUSED if self.about.get(name)]

    def dates(self) -> set[str]:
        """The fields that hold days, which look like moments in the documents."""
        fields = self.about.get("sample_fields") or []
        kinds = fields if isinstance(fields, dict) else {f.get("name"): f.get("ftype") for f in fields}
        return {name for name, kind in kinds.items() if str(kind).endswith(".DateField")}
