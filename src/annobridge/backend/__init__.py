"""What a backend is, how it is found, and how it speaks HTTP."""

from .address import WebAddress
from .base import AnnotationBackend, AnnotationBackendConfig, Capabilities, Download, Media, Receipt, Status, Task

__all__ = [
    "AnnotationBackend",
    "AnnotationBackendConfig",
    "Capabilities",
    "Download",
    "Media",
    "Receipt",
    "Status",
    "Task",
    "WebAddress",
]
