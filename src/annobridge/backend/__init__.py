"""The protocol of a backend, how backends are found, and an HTTP client for them."""

from .address import WebAddress
from .base import (
    AnnotationBackend,
    AnnotationBackendConfig,
    Capabilities,
    Download,
    Media,
    Receipt,
    SentBack,
    Status,
    Task,
    Terms,
)

__all__ = [
    "AnnotationBackend",
    "AnnotationBackendConfig",
    "Capabilities",
    "Download",
    "Media",
    "Receipt",
    "SentBack",
    "Status",
    "Task",
    "Terms",
    "WebAddress",
]
