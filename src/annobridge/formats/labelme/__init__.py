"""The JSON files of labelme, the desktop tool: one beside each image."""

from .format import LabelmeFormat

__all__ = ["LabelmeFormat"]
