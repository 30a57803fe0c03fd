"""Supervisely projects of images: ``meta.json``, and for each dataset a folder ``img`` with ``ann``, a JSON file for each image."""

from __future__ import annotations

from .format import SuperviselyFormat

__all__ = ["SuperviselyFormat"]
