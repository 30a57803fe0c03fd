"""Label Studio: tasks with annotations and predictions as JSON, its short JSON_MIN, CSV and TSV, and pictures of brushes."""

from .format import LabelStudioFormat

__all__ = ["LabelStudioFormat"]
