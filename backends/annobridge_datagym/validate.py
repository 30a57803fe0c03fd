"""Validation of import items against ``import.schema.json``, which also excludes what DataGym accepts and then stores badly.

This implements only those keywords of JSON Schema that the file uses, and raises ``NotImplementedError`` for others. The schema is
compiled to functions once, because every label that is sent is validated.
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

Fault = tuple[str, str]  # JSON pointer, what is wrong there
Check = Callable[[Any], Fault | None]
_TYPES: dict[str, Callable[[Any], bool]] = {
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}


def validate(items: list[Any]) -> None:
    """Raise ``Rejected`` for items that the schema does not allow."""
    if fault := fault_of(items):
        pointer, problem = fault
        raise Rejected(
            f"datagym: the labels to be imported are not valid: {pointer} {problem}. Nothing of this batch was "
            "sent; correct the label."
        )


def fault_of(items: Any) -> Fault | None:
    """The first thing that is wrong with the body of an import, or ``None``."""
    return _compiled()(items)


@cache
def _compiled() -> Check:
    schema = json.loads(files(__package__).joinpath("import.schema.json").read_text("utf-8"))
    return _Compiler(schema["definitions"]).check({k: v for k, v in schema.items() if k not in _ANNOTATIONS})


_ANNOTATIONS = {"$schema", "$id", "title", "definitions"}


class _Compiler:
    """Turns schemas into functions that return the first fault of a value, or ``None``."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._by_name: dict[str, Check] = {}

    def check(self, schema: Mapping[str, Any]) -> Check:
        if "$ref" in schema:
            return self._named(schema["$ref"].rpartition("/")[2])
        if schema.get("type") == "number":
            return _number(schema)
        tests = [self._keyword(keyword, schema) for keyword in schema if keyword not in _READ_WITH_ANOTHER]
        if len(tests) == 1:
            return tests[0]

        def run(value: Any) -> Fault | None:
            for test in tests:
                if (fault := test(value)) is not None:
                    return fault
            return None

        return run

    def _named(self, name: str) -> Check:
        if name not in self._by_name:
            self._by_name[name] = self.check(self._definitions[name])
        return self._by_name[name]

    def _keyword(self, keyword: str, schema: Mapping[str, Any]) -> Check:
        given = schema[keyword]
        match keyword:
            case "type":
                return _simple(_TYPES[given], f"is not of the type {given}")
            case "minLength" | "minItems" | "minProperties":
                return _simple(lambda v: len(v) >= given, f"has fewer than {given}")
            case "maxLength" | "maxItems" | "maxProperties":
                return _simple(lambda v: len(v) <= given, f"has more than {given}")
            case "pattern":
                pattern = re.compile(given)
                return _simple(lambda v: pattern.search(v) is not None, f"has other characters than {given}")
            case "required":
                return _simple(lambda v: all(name in v for name in given), f"lacks one of {', '.join(given)}")
            case "propertyNames":
                return _property_names(self.check(given))
            case "additionalProperties" | "properties":
                return self._properties(schema)
            case "items":
                return self._items(schema)
            case "anyOf" | "oneOf":
                return _any_of([self.check(s) for s in given], exactly=keyword == "oneOf")
        raise NotImplementedError(f"The schema of imports uses {keyword!r}, which is not implemented here.")

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
            return lambda value: _first_fault(value, lambda _: check)
        first, rest = [self.check(s) for s in given], self.check(schema["additionalItems"])
        return lambda value: _first_fault(value, lambda n: first[n] if n < len(first) else rest)


_READ_WITH_ANOTHER = {"additionalItems"}  # keywords that another keyword reads


def _first_fault(values: list[Any], check_at: Callable[[int], Check]) -> Fault | None:
    for n, value in enumerate(values):
        if (fault := check_at(n)(value)) is not None:
            return f"/{n}{fault[0]}", fault[1]
    return None


def _number(schema: Mapping[str, Any]) -> Check:
    """A number and its bounds in one step, because most values that are sent are numbers."""
    if unknown := set(schema) - {"type", "minimum", "exclusiveMinimum"}:
        raise NotImplementedError(f"The schema of imports uses {unknown} for a number, which is not implemented here.")
    minimum, exclusive_minimum = schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf)

    def run(value: Any) -> Fault | None:
        if type(value) is float or type(value) is int:
            if minimum <= value < math.inf and value > exclusive_minimum:
                return None
            bound = (
                f"at least {minimum}"
                if exclusive_minimum == -math.inf
                else f"more than {max(minimum, exclusive_minimum)}"
            )
            return "", f"is {value}, and has to be {bound}"
        return "", "is not of the type number"

    return run


def _simple(is_valid: Callable[[Any], bool], problem: str) -> Check:
    return lambda value: None if is_valid(value) else ("", problem)


def _property_names(check: Check) -> Check:
    valid: set[str] = set()  # the names repeat, and are few

    def run(value: Any) -> Fault | None:
        for name in value:
            if name not in valid:
                if (fault := check(name)) is not None:
                    return f"/{name}", f"as a name {fault[1]}"
                valid.add(name)
        return None

    return run


def _any_of(checks: list[Check], *, exactly: bool) -> Check:
    def run(value: Any) -> Fault | None:
        fits = 0
        for check in checks:
            if check(value) is None:
                if not exactly:
                    return None
                fits += 1
        return None if fits == 1 else ("", f"fits {fits} of the {len(checks)} forms that are allowed")

    return run
