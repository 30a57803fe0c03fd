"""WebDataset: tars with the parts of each sample one after another: ``key.jpg``, ``key.json``, ``key.cls`` and ``key.txt``."""

from __future__ import annotations

from .format import WebDatasetFormat

__all__ = ["WebDatasetFormat"]
