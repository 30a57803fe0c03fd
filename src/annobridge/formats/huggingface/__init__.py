"""Hugging Face: tables with images inside, as Parquet or as ``save_to_disk`` writes them, and folders of images with metadata."""

from __future__ import annotations

from .format import HuggingFaceFormat

__all__ = ["HuggingFaceFormat"]
