"""Open Images V6 1.0: tables of boxes, of classes of images and of masks, as CVAT, FiftyOne and the original have them."""

from __future__ import annotations

from .format import OpenImagesFormat

__all__ = ["OpenImagesFormat"]
