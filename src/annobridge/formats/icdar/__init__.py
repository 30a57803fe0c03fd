"""ICDAR 2013 and 2015: the texts of images, where texts are in images, and the pixels of characters."""

from .localization import LocalizationFormat
from .recognition import RecognitionFormat
from .segmentation import SegmentationFormat

__all__ = ["LocalizationFormat", "RecognitionFormat", "SegmentationFormat"]
