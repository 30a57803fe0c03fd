"""annobridge for CVAT, from server 2.15 on."""

from .backend import CvatBackend
from .config import CvatConfig

__all__ = ["CvatBackend", "CvatConfig"]
