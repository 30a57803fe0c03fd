"""The format: a Pixano dataset on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from annobridge.formats.base import Options, Part

from . import images, place, rules
from .sidecar import Sidecar
from .source import LibrarySource
from .write import write


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
    """Datasets of Pixano 0.7 and 0.8 in, for Pixano 0.8 out."""

    name: ClassVar[str] = "pixano"
    title: ClassVar[str] = "a Pixano library"
    reading: ClassVar[type[Options] | None] = Reading
    writing: ClassVar[type[Options] | None] = Writing

    def recognises(self, source: Path) -> bool:
        """Whether there is a Pixano dataset, or a library of them."""
        return place.recognises(source)

    def open(self, source: Path, options: Options) -> LibrarySource:
        """Look at the one dataset that is there."""
        chosen = Reading.model_validate(options.model_dump())
        found = place.find(source)
        sidecar = Sidecar.of(found.folder)
        how = rules.of(found, sidecar, chosen.field, chosen.class_attribute, chosen.record_labels)
        media = chosen.media_folder or images.default_folder(found)
        return LibrarySource(found, how, sidecar, media.expanduser().absolute())

    def write(self, parts: Iterator[Part], folder: Path, options: Options) -> list[str]:
        """Fill a folder that Pixano opens when it lies in a library.

        Images go into its tables, as Pixano's own import does; those at http addresses stay there.
        """
        chosen = Writing.model_validate(options.model_dump())
        return write(parts, folder, chosen.name or folder.name, chosen.description, chosen.template)
