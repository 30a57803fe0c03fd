"""The options of reading and writing a folder."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, field_validator

from ..base import Options
from ..common.archive import Limits
from .reading.schema import load_model

Dialect = Literal["file_name", "opsml", "opsml2", "pixano", "pixano-0.7", "pixano-0.8"]
FILE_NAME = ("file_name", "opsml", "opsml2")  # the dialects with parallel arrays under ``bbox``
BY_VIEWS = ("pixano-0.7", "pixano-0.8")


def _names(value: Any) -> Any:
    """A list as it is written on a command line: ``car,person``."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) and value != "text" else value


with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # pydantic's models once had a method ``schema``

    class _Schema(Options):
        schema: type[BaseModel] | None = None  # type: ignore[assignment]


class Reading(_Schema):
    """Options of reading a folder, where its content does not tell.

    Attributes:
        dialect: the dialect, if it is not to be found by the lines.
        image_key: the key of the image, or the keys, with a sample for each.
        class_key: the key of the class of a label.
        field: the label field of Pixano's entities.
        classes: the names that numbers stand for, from 0; ``"text"`` keeps the numbers as texts.
        schema: a pydantic model, or ``file.py:Class``, with the types of attributes and columns.
        coordinates: the unit of boxes.
        box_format: ``"xywh"``, or ``"xyxy"`` for boxes that are corners.
        splits: whether sub-folders are splits.
        ignore: leave label files of other formats out, with a note.
        clip: accept boxes that leave their image; the import clips them.
        media_dir: the folder into which a zip is unpacked.
        max_files: how many files a zip may hold.
        max_bytes: how many bytes it may unpack to.
        max_file_bytes: how many bytes one file may unpack to.
        max_ratio: to how many times its size a file may unpack.
    """

    dialect: Dialect | None = None
    image_key: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    class_key: str | None = None
    field: str = "objects"
    classes: Annotated[tuple[str, ...] | Literal["text"] | None, BeforeValidator(_names)] = None
    coordinates: Literal["pixels", "normalized"] | None = None
    box_format: Literal["xywh", "xyxy"] | None = None
    splits: bool | None = None
    ignore: bool = False
    clip: bool = False
    media_dir: Path | None = None
    max_files: Annotated[int, Field(gt=0)] = Limits.max_files
    max_bytes: Annotated[int, Field(gt=0)] = Limits.max_bytes
    max_file_bytes: Annotated[int, Field(gt=0)] = Limits.max_file_bytes
    max_ratio: Annotated[int, Field(gt=0)] = Limits.max_ratio

    @property
    def limits(self) -> Limits:
        """The limits of a zip."""
        return Limits(self.max_files, self.max_bytes, self.max_file_bytes, self.max_ratio)

    @field_validator("classes")
    @classmethod
    def _named_once(cls, value: Any) -> Any:
        if isinstance(value, tuple) and len(set(value)) < len(value):
            raise ValueError("a class is named twice; name each once, in the order of the numbers")
        return value

    @field_validator("schema", mode="before")
    @classmethod
    def _loaded(cls, value: Any) -> Any:
        return load_model(value) if isinstance(value, str) else value


class Writing(Options):
    """Options of writing a folder.

    Attributes:
        dialect: ``"file_name"`` (Hugging Face), ``"opsml"`` and ``"opsml2"`` (the keys of opsml and no others), ``"pixano"`` (the
            quickstart, with its ``schema.py``) or ``"pixano-0.8"``.
        media: copy images, hard-link them where the disk can, or write the lines only.
        field: the label field that is written as ``objects``, where a dialect has one field only.
    """

    dialect: Literal["file_name", "opsml", "opsml2", "pixano", "pixano-0.8"] = "file_name"
    media: Literal["copy", "link", "none"] = "copy"
    field: str = "objects"
