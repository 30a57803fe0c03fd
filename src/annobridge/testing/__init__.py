"""Tests for writers of backends: ``BackendContract``, the laws; ``strategies``, generated labels; ``examples``, fixed ones."""

from .contract import BackendContract, Tool

__all__ = ["BackendContract", "Tool"]
