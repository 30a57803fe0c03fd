"""The options of reading and writing a folder."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, field_validator

from ..base import Options
from .reading.schema import load_model

Dialect = Literal["file_name", "opsml", "opsml2", "pixano", "pixano-0.7", "pixano-0.8"]
FILE_NAME = ("file_name", "opsml", "opsml2")  # the dialects with parallel arrays under ``bbox``
BY_VIEWS = ("pixano-0.7", "pixano-0.8")


def _names(value: Any) -> Any:
    """A list as a command line has it: ``car,person``."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) and value != "text" else value


with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # pydantic's models once had a method ``schema``

    class _Schema(Options):
        schema: type[BaseModel] | None = None  # type: ignore[assignment]


class Reading(_Schema):
    """How to read a folder, where looking at it does not tell.

    ``dialect`` forces a dialect. ``image_key`` names the key (or keys: one sample for each) that holds the image, ``class_key``
    the one that holds the class of a label. ``field`` is the label field of Pixano's entities. ``classes`` are the names that
    numbers stand for, from 0; ``"text"`` keeps the numbers, as texts. ``schema`` is a pydantic model, or ``file.py:Class``.
    ``splits`` says whether sub-folders are splits. With ``ignore``, label files of
    other formats are left out, and told. With ``clip``, boxes that leave their image are not refused; the import cuts
    them.
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
    """How to write a folder.

    ``dialect``: ``"file_name"`` (Hugging Face), ``"opsml"`` and ``"opsml2"`` (opsml's keys and no other), ``"pixano"`` (the
    quickstart's, with its ``schema.py``) or ``"pixano-0.8"``. ``media``: images are copied, hard-linked where the disk can, or
    left out, so that only the lines are written. ``field`` is the label field that is written as ``objects`` where a dialect has
    one field only.
    """

    dialect: Literal["file_name", "opsml", "opsml2", "pixano", "pixano-0.8"] = "file_name"
    media: Literal["copy", "link", "none"] = "copy"
    field: str = "objects"
