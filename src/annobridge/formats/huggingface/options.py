"""The options of reading and writing Hugging Face's tables."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..common.file_format import ReadOptions, WriteOptions


def names(value: Any) -> Any:
    """A list as it is written on a command line: ``car,person``."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class HuggingFaceReading(ReadOptions):
    """The options of reading."""

    classes: Annotated[tuple[str, ...], BeforeValidator(names)] = Field(
        (), description="the class names by number, from 0, where the source does not have them"
    )
    coordinates: Literal["pixels", "normalized"] | None = Field(None, description="the unit of boxes")
    box_format: Literal["xywh", "xyxy"] | None = Field(None, description="the form of boxes")


class HuggingFaceWriting(WriteOptions):
    """The options of writing."""

    layout: Literal["parquet", "imagefolder"] = Field(
        "parquet", description="tables with the images inside, or folders of images with a metadata file"
    )
    metadata: Literal["parquet", "jsonl"] = Field("parquet", description="the metadata file of a folder of images")
    shard_bytes: int = Field(500_000_000, gt=0, description="how many bytes of images a file has, about")
