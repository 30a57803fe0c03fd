"""The settings of the files backend."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from annobridge.backend import AnnotationBackendConfig


class FilesConfig(AnnotationBackendConfig):
    """Where the files are, and in which format."""

    path: str = Field(
        "annotation",
        description="the folder, or the name of a zip, that is written and read back; more tasks of a run get -2, -3, …",
    )
    format: str = Field("coco", description="the format of the files, as coco, yolo, labelme, voc or cvat")
    media: Literal["copy", "link", "none"] = Field(
        "copy", description="copy the images into it, link to them, or neither"
    )
