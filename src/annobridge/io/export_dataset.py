"""A dataset, or a view of it, is written in the format of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ..dataset import ExportReport, View
from ..display.progress import ProgressChoice
from ..formats import registry


def export_dataset(
    view: View,
    folder: str | Path,
    format: str,  # noqa: A002 - the word that everybody looks for
    progress: ProgressChoice = None,
    **options: Any,
) -> ExportReport:
    """Write a dataset or view in the format of another tool: ``view.export(folder, format, …)``, which see."""
    return view.export(folder, format, progress=progress, **options)


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


__all__ = ["ExportReport", "export_dataset", "export_metadata", "write_metadata"]
