"""Label in a local Pixano: one Pixano dataset for each task."""

from .backend import PixanoBackend
from .config import PixanoConfig

__all__ = ["PixanoBackend", "PixanoConfig"]
