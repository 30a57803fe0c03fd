"""Objects on which nothing can be set: a misspelt attribute is an error, and not a value that nobody reads."""

from __future__ import annotations

from typing import Any


class NoNewAttributes:
    """A base for classes with ``__slots__``."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute that the class has for itself."""
        if any(name in getattr(kind, "__slots__", ()) for kind in type(self).__mro__):
            super().__setattr__(name, value)
            return
        if name == "persistent":  # as FiftyOne's datasets have it
            raise AttributeError(
                "Datasets are always persistent: they are on disk from the start. Leave this line out."
            )
        raise AttributeError(
            f"{name!r} cannot be set on a {type(self).__name__}, and nothing would read it; keep such values in variables of "
            "your own, or in a column of the samples."
        )
