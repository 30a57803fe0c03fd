"""Label in Label Studio: one of its projects for each run, or one that exists; each image is one of its tasks."""

from .backend import LabelStudioBackend
from .config import LabelStudioConfig

__all__ = ["LabelStudioBackend", "LabelStudioConfig"]
