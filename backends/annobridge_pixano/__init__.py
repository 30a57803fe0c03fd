"""Label in a local Pixano 0.8: one Pixano dataset for each task, over HTTP only."""

from .backend import PixanoBackend, PixanoConfig

__all__ = ["PixanoBackend", "PixanoConfig"]
