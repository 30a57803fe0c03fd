"""Validate: what is imported, against our own schema, which excludes also what DataGym takes and then stores badly.

Only the words of JSON Schema that the file uses are known here; another one is an error, not a gap. Schemas become functions once,
for every label that is sent goes through them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from annobridge.exceptions import Rejected

Fault = tuple[str, str]  # pointer, what is wrong there
Check = Callable[[Any], Fault | None]
_TYPES: dict[str, Callable[[Any], bool]] = {
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}


def require(items: list[Any]) -> None:
    """Raise ``Rejected`` for items that our schema does not allow; nothing is sent then."""
    if fault := fault_of(items):
        place, what = fault
        raise Rejected(
            f"datagym: the labels to be imported are not sound: {place} {what}. Nothing of this batch was sent; correct the label."
        )


def fault_of(items: Any) -> Fault | None:
    """The first thing that is wrong with the body of an import, or ``None``."""
    return _whole()(items)


@cache
def _whole() -> Check:
    schema = json.loads(files(__package__).joinpath("import.schema.json").read_text("utf-8"))
    return _Compiler(schema["definitions"]).check({k: v for k, v in schema.items() if k not in _ABOUT})


_ABOUT = {"$schema", "$id", "title", "definitions"}


class _Compiler:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._made: dict[str, Check] = {}

    def check(self, schema: Mapping[str, Any]) -> Check:
        if "$ref" in schema:
            return self._named(schema["$ref"].rpartition("/")[2])
        if schema.get("type") == "number":
            return _number(schema)
        tests = [self._test(word, schema) for word in schema if word not in _WITH]
        if len(tests) == 1:
            return tests[0]

        def run(value: Any) -> Fault | None:
            for test in tests:
                if (fault := test(value)) is not None:
                    return fault
            return None

        return run

    def _named(self, name: str) -> Check:
        if name not in self._made:
            self._made[name] = self.check(self._definitions[name])
        return self._made[name]

    def _test(self, word: str, schema: Mapping[str, Any]) -> Check:
        given = schema[word]
        match word:
            case "type":
                return _plain(_TYPES[given], f"is not of the type {given}")
            case "minLength" | "minItems" | "minProperties":
                return _plain(lambda v: len(v) >= given, f"has fewer than {given}")
            case "maxLength" | "maxItems" | "maxProperties":
                return _plain(lambda v: len(v) <= given, f"has more than {given}")
            case "pattern":
                pattern = re.compile(given)
                return _plain(lambda v: pattern.search(v) is not None, f"has other characters than {given}")
            case "required":
                return _plain(lambda v: all(name in v for name in given), f"lacks one of {', '.join(given)}")
            case "propertyNames":
                return _each_name(self.check(given))
            case "additionalProperties" | "properties":
                return self._properties(schema)
            case "items":
                return self._items(schema)
            case "anyOf" | "oneOf":
                return _choice([self.check(s) for s in given], exactly=word == "oneOf")
        raise NotImplementedError(f"The schema of imports says {word!r}, which is not known here.")

    def _properties(self, schema: Mapping[str, Any]) -> Check:
        known = {name: self.check(s) for name, s in schema.get("properties", {}).items()}
        rest = schema.get("additionalProperties", True)
        other = self.check(rest) if isinstance(rest, dict) else None

        def run(value: Any) -> Fault | None:
            for name, inner in value.items():
                check = known.get(name, other)
                if check is None:
                    if rest is False:
                        return f"/{name}", "is not known"
                elif (fault := check(inner)) is not None:
                    return f"/{name}{fault[0]}", fault[1]
            return None

        return run

    def _items(self, schema: Mapping[str, Any]) -> Check:
        given = schema["items"]
        if isinstance(given, dict):
            check = self.check(given)
            return lambda value: _first(value, lambda _: check)
        places, rest = [self.check(s) for s in given], self.check(schema["additionalItems"])
        return lambda value: _first(value, lambda n: places[n] if n < len(places) else rest)


_WITH = {"additionalItems"}  # read with another word


def _first(values: list[Any], check_at: Callable[[int], Check]) -> Fault | None:
    for n, value in enumerate(values):
        if (fault := check_at(n)(value)) is not None:
            return f"/{n}{fault[0]}", fault[1]
    return None


def _number(schema: Mapping[str, Any]) -> Check:
    """A number and its bound in one step, for most of what is sent are numbers."""
    if strange := set(schema) - {"type", "minimum", "exclusiveMinimum"}:
        raise NotImplementedError(f"The schema of imports says {strange} of a number, which is not known here.")
    least, above = schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf)

    def run(value: Any) -> Fault | None:
        if type(value) is float or type(value) is int:
            if least <= value < math.inf and value > above:
                return None
            return (
                "",
                f"is {value}, and has to be {'at least' if above == -math.inf else 'more than'} {max(least, above)}",
            )
        return "", "is not of the type number"

    return run


def _plain(holds: Callable[[Any], bool], what: str) -> Check:
    return lambda value: None if holds(value) else ("", what)


def _each_name(check: Check) -> Check:
    good: set[str] = set()  # the keys of a configuration, which are few

    def run(value: Any) -> Fault | None:
        for name in value:
            if name not in good:
                if (fault := check(name)) is not None:
                    return f"/{name}", f"as a name {fault[1]}"
                good.add(name)
        return None

    return run


def _choice(checks: list[Check], *, exactly: bool) -> Check:
    def run(value: Any) -> Fault | None:
        fits = 0
        for check in checks:
            if check(value) is None:
                if not exactly:
                    return None
                fits += 1
        return None if fits == 1 else ("", f"fits {fits} of the {len(checks)} forms that there are")

    return run
