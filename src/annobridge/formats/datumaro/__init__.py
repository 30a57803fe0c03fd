"""Datumaro's JSON, as CVAT ("Datumaro 1.0") and datumaro write it: a file per subset, with all items and the list of classes."""

from __future__ import annotations

from .format import DatumaroFormat

__all__ = ["DatumaroFormat"]
