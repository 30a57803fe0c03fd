"""LabelMe 3.0: an XML file for each image and pictures of masks, as CVAT, datumaro and the LabelMe web tool have them."""

from .format import Labelme3Format

__all__ = ["Labelme3Format"]
