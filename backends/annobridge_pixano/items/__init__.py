"""Pixano's earlier generation: items, views, entities and annotations; its own command makes a dataset."""

from .generation import Items

__all__ = ["Items"]
