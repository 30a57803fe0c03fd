"""annobridge for DataGym: the hosted edition, the open-core edition, and either by files."""

from .backend import DatagymBackend
from .config import DatagymConfig

__all__ = ["DatagymBackend", "DatagymConfig"]
