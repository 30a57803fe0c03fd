"""For the tests of backends and formats: ``BackendContract``, ``FormatContract``, Hypothesis ``strategies`` for labels, and
``examples`` of labels.
"""

try:
    from .contract import BackendContract, Tool
    from .format_contract import FormatContract
except ModuleNotFoundError as error:
    if error.name not in ("pytest", "hypothesis"):
        raise
    raise ImportError(f"annobridge.testing needs {error.name}; run: pip install 'annobridge[testing]'") from error

__all__ = ["BackendContract", "FormatContract", "Tool"]
