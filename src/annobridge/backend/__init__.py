"""The protocol of a backend, how backends are found, and an HTTP client for them."""

from ..core.media import Media
from ..core.terms import Terms
from .address import WebAddress
from .base import AnnotationBackend, AnnotationBackendConfig, Capabilities
from .values import Answer, Download, Edits, FoundTask, Pushed, Receipt, SentBack, Status, Task

__all__ = [
    "AnnotationBackend",
    "AnnotationBackendConfig",
    "Answer",
    "Capabilities",
    "Download",
    "Edits",
    "FoundTask",
    "Media",
    "Pushed",
    "Receipt",
    "SentBack",
    "Status",
    "Task",
    "Terms",
    "WebAddress",
]
