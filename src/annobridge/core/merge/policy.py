"""Who wins where both sides changed the same component of a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import InvalidOption
from ..arrays import Bools, as_array
from ..did_you_mean import did_you_mean
from ..labels import ATTRIBUTE_PREFIX, COMPONENTS

THEIRS, OURS, FAIL = "theirs", "ours", "fail"
POLICIES = (THEIRS, OURS, FAIL)
_ALL, _ATTRIBUTES = "*", "attributes"
_NAMES = (_ALL, "existence", *COMPONENTS, _ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy for each component: ``theirs`` (the tool), ``ours`` (the dataset), or ``fail`` for an error.

    >>> policy = Policy({"*": "fail", "attributes": "theirs", "attributes.checked": "ours"})
    >>> [policy.of(component) for component in ("label", "attributes.colour", "attributes.checked")]
    ['fail', 'theirs', 'ours']
    """

    rules: Mapping[str, str]  # by component, ``attributes`` for all attributes, ``*`` for all components

    @classmethod
    def parse(cls, given: Any) -> Policy:
        """The policy of one word, or of a dictionary. Raises ``InvalidOption`` for anything else."""
        rules = {_ALL: given} if isinstance(given, str) else given
        if not isinstance(rules, Mapping):
            raise InvalidOption(
                f"conflicts={given!r} is not known; give one of {_listed()}, or a dictionary of component to one."
            )
        for name, policy in rules.items():
            if name not in _NAMES and not (isinstance(name, str) and name.startswith(ATTRIBUTE_PREFIX)):
                raise InvalidOption(
                    f"conflicts= names {name!r}, which is no component; {did_you_mean(str(name), _NAMES)}"
                )
            if policy not in POLICIES:
                raise InvalidOption(f"conflicts={policy!r} is not known; give one of {_listed()}.")
        return cls({_ALL: THEIRS, **rules})

    def of(self, component: str) -> str:
        """The policy of a component."""
        group = _ATTRIBUTES if component.startswith(ATTRIBUTE_PREFIX) else component
        return next(self.rules[name] for name in (component, group, _ALL) if name in self.rules)

    def theirs_wins(self, component: str) -> bool:
        """Whether the tool wins. With ``fail``, nothing is written, so that nothing depends on it."""
        return self.of(component) != OURS

    def exchanged(self) -> Policy:
        """The policy for a merge in which the two sides are exchanged."""
        return Policy({name: {THEIRS: OURS, OURS: THEIRS}.get(policy, policy) for name, policy in self.rules.items()})

    def winners(self, components: pa.Array) -> pa.Array:
        """``theirs`` or ``ours`` for each of the components."""
        codes = as_array(components).dictionary_encode()
        names = [THEIRS if self.theirs_wins(name) else OURS for name in codes.dictionary.to_pylist()]
        return pa.array(names, pa.string()).take(codes.indices)

    def fails(self, components: pa.Array | pa.ChunkedArray) -> Bools:
        """At which of the components a conflict is an error."""
        failing = [name for name in pc.unique(components).to_pylist() if self.of(name) == FAIL]
        found: Bools = np.asarray(pc.is_in(as_array(components), value_set=pa.array(failing, pa.string())))
        return found


def _listed() -> str:
    return ", ".join(map(repr, POLICIES))
