"""A double of Pixano's earlier generation: a server, and the program that imports, over one folder on disk."""

from .server import PixanoItems

__all__ = ["PixanoItems"]
