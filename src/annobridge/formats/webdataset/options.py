"""The options of reading and writing WebDataset."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from ..common.file_format import ReadOptions, WriteOptions
from ..huggingface.options import names


class WebDatasetReading(ReadOptions):
    """The options of reading."""

    classes: Annotated[tuple[str, ...], BeforeValidator(names)] = Field(
        (), description="the class names by number, from 0"
    )
    coordinates: str | None = Field(None, pattern="^(pixels|normalized)$", description="the unit of boxes")
    box_format: str | None = Field(None, pattern="^(xywh|xyxy)$", description="the form of boxes")


class WebDatasetWriting(WriteOptions):
    """The options of writing."""

    shard_bytes: int = Field(1_000_000_000, gt=0, description="how many bytes a tar has, about")
    shard_samples: int = Field(10_000, gt=0, description="how many samples a tar has at most")
