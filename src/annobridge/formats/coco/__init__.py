"""COCO: JSON with images, annotations and categories, as pycocotools, CVAT, FiftyOne, Roboflow and others write it."""

from __future__ import annotations

from .format import CocoFormat

__all__ = ["CocoFormat"]
