"""A dataset, or a view of it, is written in the format of another tool."""

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
from ..formats import registry
from ..formats.base import Part
from ..store.errors import is_disk_full


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        folder: the new folder.
        format: the name of the format.
        samples: how many samples were written.
        labels: how many labels were written.
        notes: what the format could not hold, a sentence each.
    """

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
    """Write the samples of a view, with their labels, into a new folder.

    The folder appears when it is complete; after an error, nothing is left of it.

    Args:
        view: a dataset, or a view of it.
        folder: a folder that does not exist yet, or is empty.
        format: the name of the format, as ``"folder"``, ``"fiftyone"`` or ``"pixano"``.
        progress: whether to show a progress bar; by default, on a terminal. Or a function that is called with the number of
            samples that are done, and of all samples.
        **options: the options of the format.

    Returns:
        What was written, and notes on what was left out or changed.

    Raises:
        InvalidOption: there is no such format or option.
        StoreError: the folder is not empty, or the disk is full.
        Unsupported: the format cannot hold some labels.
        InvalidMedia: a file that is to be copied cannot be read.
    """
    writer = registry.get(format)
    chosen = registry.options(writer.writing, options, f"Writing {writer.title}")
    target = Path(folder).expanduser().resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"There is something at {str(folder)!r} already; give a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))  # on the disk of the target
    draft = temporary / target.name  # writers may use the name of the folder
    draft.mkdir()
    counts: Counter[str] = Counter()
    try:
        with view.sample_parts() as samples, Progress(progress, len(samples), "exporting") as bar:
            notes = writer.write(_counted(samples.parts(), counts, bar), draft, chosen)
        draft.rename(target)
    except Exception as error:
        if is_disk_full(error):
            raise StoreError("The disk is full, so nothing was exported; make room, and repeat.") from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ExportReport(target, writer.name, counts["samples"], counts["labels"], notes)


def export_metadata(
    view: View, folder: str | Path, dialect: str, progress: ProgressChoice = None, **options: Any
) -> ExportReport:
    """Write images and their ``metadata.jsonl``.

    An import of the folder gives equal samples and labels; in dialects of pixels, positions are equal to within 1e-15.

    Args:
        view: a dataset, or a view of it.
        folder: a folder that does not exist yet, or is empty.
        dialect: ``"file_name"`` (Hugging Face), ``"opsml"``, ``"opsml2"``, ``"pixano"`` (its quickstart) or ``"pixano-0.8"``.
        progress: as in ``export_dataset``.
        **options: other options of the format ``folder``: ``media`` and ``field``.

    Returns:
        What was written, and notes on what was left out or changed.

    Raises:
        Unsupported: the dialect cannot hold some labels.
        StoreError, InvalidOption, InvalidMedia: as in ``export_dataset``.
    """
    return export_dataset(view, folder, registry.GENERAL, progress, dialect=dialect, **options)


def write_metadata(view: View, path: str | Path, version: Literal[1, 2] = 1, field: str = "objects") -> list[str]:
    """Write the ``metadata.jsonl`` of opsml for the images of a view, which stay where they are.

    Args:
        view: a dataset, or a view of it.
        path: the file. All images must be in its folder, or in folders below.
        version: the major version of opsml.
        field: the label field that is written as ``objects``.

    Returns:
        Notes on what was left out.

    Raises:
        Unsupported: opsml cannot hold some labels, or an image is elsewhere.
        InvalidMedia: the size of an image cannot be read.
    """
    from ..formats import opsml

    with view.sample_parts() as samples:
        return opsml.write_metadata(samples.parts(), path, version, field)


def _counted(parts: Iterable[Part], counts: Counter[str], bar: Progress) -> Iterator[Part]:
    for part in parts:
        yield part
        counts.update(samples=part.samples.num_rows, labels=part.labels.num_rows)
        bar.advance(part.samples.num_rows)
