"""For the tests of backends: the ``BackendContract``, Hypothesis ``strategies`` for labels, and ``examples`` of labels."""

try:
    from .contract import BackendContract, Tool
except ModuleNotFoundError as error:
    if error.name not in ("pytest", "hypothesis"):
        raise
    raise ImportError(f"annobridge.testing needs {error.name}; run: pip install 'annobridge[testing]'") from error

__all__ = ["BackendContract", "Tool"]
