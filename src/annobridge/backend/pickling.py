"""Objects with credentials can be copied, but not pickled, which would write the credentials in plain text."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NoReturn, Self, SupportsIndex

from ..exceptions import ConfigError


def refuse_pickling(what: str) -> NoReturn:
    """Raise ``ConfigError``: ``what`` cannot be pickled."""
    raise ConfigError(
        f"{what} may hold a credential, and so cannot be pickled; give the other process the uri of the dataset and the key of the "
        "run, and call load_annotation_results there."
    )


class NotPicklable:
    """Base class of objects that may hold credentials."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Raise ``ConfigError``, as ``pickle`` calls this. The methods for ``copy`` are below."""
        refuse_pickling(f"The {type(self).__name__}")

    def __copy__(self) -> Self:
        """A shallow copy."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A deep copy."""
        made = memo[id(self)] = object.__new__(type(self))
        made.__dict__.update(deepcopy(self.__dict__, memo))
        return made
