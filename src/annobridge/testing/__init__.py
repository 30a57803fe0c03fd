"""Tests for writers of backends: ``BackendContract``, the laws; ``strategies``, generated labels; ``examples``, fixed ones."""

try:
    from .contract import BackendContract, Tool
except ModuleNotFoundError as error:
    if error.name not in ("pytest", "hypothesis"):
        raise
    raise ImportError(f"annobridge.testing needs {error.name}; run: pip install 'annobridge[testing]'") from error

__all__ = ["BackendContract", "Tool"]
