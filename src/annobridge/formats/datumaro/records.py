"""The records of Datumaro's files."""

from __future__ import annotations

from typing import Any

import msgspec


class Label(msgspec.Struct):
    """A class; those of a skeleton's points have the skeleton as ``parent``."""

    name: str
    parent: str | None = ""


class Labels(msgspec.Struct):
    """All classes; annotations have their places."""

    labels: list[Label] = []


class PointNames(msgspec.Struct):
    """The names of a class's points."""

    label_id: int
    labels: list[str] = []


class Points(msgspec.Struct):
    """The names of the points of classes."""

    items: list[PointNames] = []


class Categories(msgspec.Struct):
    """What the numbers of a file stand for."""

    label: Labels = msgspec.field(default_factory=Labels)
    points: Points = msgspec.field(default_factory=Points)


class Medium(msgspec.Struct):
    """Where the image of an item is; ``size`` is [height, width]."""

    path: str = ""
    size: list[float] | None = None


class Item(msgspec.Struct):
    """An image with its annotations."""

    id: str | int
    annotations: list[dict[str, Any]] = []
    attr: dict[str, Any] = {}
    image: Medium | None = None
    media: Medium | None = None
    point_cloud: Any = None
