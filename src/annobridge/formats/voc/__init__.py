"""Pascal VOC: XML of boxes, lists of images and classes, masks."""

from .format import VocFormat

__all__ = ["VocFormat"]
