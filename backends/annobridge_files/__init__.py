"""annobridge for every tool that reads and writes files of labels: a folder or a zip in one of the formats."""

from .backend import FilesBackend, backend_of
from .config import FilesConfig

__all__ = ["FilesBackend", "FilesConfig", "backend_of"]
