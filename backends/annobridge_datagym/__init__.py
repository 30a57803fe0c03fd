"""annobridge for DataGym: the hosted edition, the open one, and files that people carry by hand."""

from .backend import DatagymBackend
from .config import DatagymConfig

__all__ = ["DatagymBackend", "DatagymConfig"]
