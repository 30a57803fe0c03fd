"""Export: a dataset, or a view of it, written in another tool's format."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..dataset import View
from ..display.progress import Progress, ProgressChoice
from ..exceptions import StoreError
from ..formats import opsml, registry
from ..formats.base import Part
from ..store.errors import is_disk_full


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote, and where; ``notes`` say what the format could not hold, a sentence each."""

    folder: Path
    format: str
    samples: int
    labels: int
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {**vars(self), "folder": str(self.folder)}


def export_dataset(
    view: View,
    folder: str | Path,
    format: str,  # noqa: A002 - the word that everybody looks for
    progress: ProgressChoice = None,
    **options: Any,
) -> ExportReport:
    """Write the samples of a view, with their labels, into a new folder. ``options`` are those of the format.

    Raises ``StoreError`` for a folder that is not empty, and ``Unsupported`` for labels that the format cannot hold; nothing
    is left then.
    """
    writer = registry.get(format)
    chosen = registry.options(writer.writing, options, f"Writing {writer.title}")
    place = Path(folder).expanduser().resolve()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise StoreError(f"There is something at {str(folder)!r} already; give a new folder.")
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    draft = beside / place.name  # writers may go by the name
    draft.mkdir()
    counts: Counter[str] = Counter()
    try:
        with view.sample_parts() as content, Progress(progress, len(content), "exporting") as bar:
            notes = writer.write(_counted(content.parts(), counts, bar), draft, chosen)
        draft.rename(place)
    except Exception as error:
        if is_disk_full(error):
            raise StoreError("The disk is full, so nothing was exported; make room, and repeat.") from error
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return ExportReport(place, writer.name, counts["samples"], counts["labels"], notes)


def export_metadata(
    view: View, folder: str | Path, dialect: str, progress: ProgressChoice = None, **options: Any
) -> ExportReport:
    """Write images and their ``metadata.jsonl`` in a dialect. See ``export_dataset``.

    An import of the folder is equal; in dialects of pixels, positions are equal to within 1e-15.
    """
    return export_dataset(view, folder, registry.GENERAL, progress, dialect=dialect, **options)


def write_metadata(view: View, path: str | Path, version: Literal[1, 2] = 1, field: str = "objects") -> list[str]:
    """Write the ``metadata.jsonl`` of opsml 1.x or 2.x beside the images of a view, which stay where they are; returns notes.

    Raises ``Unsupported`` for labels that opsml cannot hold, and for images that do not lie below the file's folder.
    """
    with view.sample_parts() as content:
        return opsml.write_metadata(content.parts(), path, version, field)


def _counted(parts: Iterable[Part], counts: Counter[str], bar: Progress) -> Iterator[Part]:
    for part in parts:
        yield part
        counts.update(samples=part.samples.num_rows, labels=part.labels.num_rows)
        bar.advance(part.samples.num_rows)
