"""Objects without new attributes: setting a misspelt attribute is an error."""

from __future__ import annotations

from typing import Any


class NoNewAttributes:
    """A base class, for classes with ``__slots__``, that explains why an attribute cannot be set."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute that is in ``__slots__``. Raises ``AttributeError`` for any other."""
        if any(name in getattr(kind, "__slots__", ()) for kind in type(self).__mro__):
            super().__setattr__(name, value)
            return
        if name == "persistent":  # FiftyOne's datasets have this attribute
            raise AttributeError(
                "Datasets are always persistent: they are on disk from the start. Leave this line out."
            )
        raise AttributeError(
            f"{name!r} cannot be set on a {type(self).__name__}, and nothing would read it; keep such values in variables of "
            "your own, or in a column of the samples."
        )
