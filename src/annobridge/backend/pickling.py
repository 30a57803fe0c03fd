"""Objects that hold credentials: they are copied within this process, and never written anywhere."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NoReturn, Self, SupportsIndex

from ..exceptions import ConfigError


def refuse_pickling(what: str) -> NoReturn:
    """Raise the sentence about pickling something."""
    raise ConfigError(
        f"{what} may hold a credential, and so cannot be pickled; give the other process the uri of the dataset and the key of the "
        "run, and call load_annotation_results there."
    )


class NotPicklable:
    """A base for such objects."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse ``pickle``, which would write credentials in the clear."""
        refuse_pickling(f"The {type(self).__name__}")

    def __copy__(self) -> Self:
        """A copy that shares everything."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that shares nothing."""
        made = memo[id(self)] = object.__new__(type(self))
        made.__dict__.update(deepcopy(self.__dict__, memo))
        return made
