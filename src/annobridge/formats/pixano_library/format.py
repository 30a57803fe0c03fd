"""The format ``pixano``, and its options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from ..base import Context, Options, Part
from .reading import column_roles, dataset_folder, image_files
from .reading.source import LibrarySource
from .sidecar import Sidecar
from .writing.writer import write


class Reading(Options):
    """How to read a dataset."""

    field: str = Field("objects", description="the label field of shapes; messages and classifications have their own")
    class_attribute: str = Field("category", description="the entity attribute that is the class")
    record_labels: tuple[str, ...] | None = Field(
        None,
        description="record attributes that are labels of the image (texts: classes, others: scalars), not columns",
    )
    media_folder: Path | None = Field(
        None, description="where images that lie inside of the tables are put; else the server's media/<dataset>"
    )


class Writing(Options):
    """How to write a dataset."""

    name: str | None = Field(None, description="what Pixano calls the dataset; else the name of the folder")
    description: str = Field("", description="what Pixano says of it")
    template: Literal["annobridge", "face", "person", "cow"] = Field(
        "annobridge", description="Pixano's keypoint template; it draws face, person and cow only"
    )


class LibraryFormat:
    """Reads datasets of Pixano 0.7 and 0.8, and writes them for Pixano 0.8."""

    name: ClassVar[str] = "pixano"
    title: ClassVar[str] = "a Pixano library"
    reading: ClassVar[type[Options] | None] = Reading
    writing: ClassVar[type[Options] | None] = Writing

    def recognises(self, source: Path) -> bool:
        """Whether a folder is a Pixano dataset, or a library of them."""
        return dataset_folder.has_dataset(source)

    def open(self, source: Path, options: Options, context: Context | None = None) -> LibrarySource:
        """Open the one dataset in ``source``."""
        chosen = Reading.model_validate(options.model_dump())
        dataset = dataset_folder.open_dataset(source)
        sidecar = Sidecar.of(dataset.path)
        roles = column_roles.find_roles(dataset, sidecar, chosen.field, chosen.class_attribute, chosen.record_labels)
        media = chosen.media_folder or image_files.default_folder(dataset.path)
        return LibrarySource(dataset, roles, sidecar, media.expanduser().absolute())

    def write(self, parts: Iterator[Part], folder: Path, options: Options) -> list[str]:
        """Fill a folder that Pixano opens when it is in a library; returns notes.

        Images are copied into the tables, as Pixano's own import does; those at http addresses stay there.
        """
        chosen = Writing.model_validate(options.model_dump())
        return write(parts, folder, chosen.name or folder.name, chosen.description, chosen.template)
