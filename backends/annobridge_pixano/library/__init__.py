"""Pixano libraries: datasets on disk, read from their Lance tables and written for a Pixano 0.8 server; without Pixano."""

from .format import LibraryFormat

__all__ = ["LibraryFormat"]
