"""Finds checks, by entry points of the group ``annobridge.checks``, and runs them.

A plug-in is imported when it is used. One that is broken is an error among the findings, and the other checks run all the same.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ..core.did_you_mean import did_you_mean
from ..entry_points import by_name, source
from ..exceptions import ConfigError, InvalidOption
from .base import ERROR, FINDINGS, LEVELS, CheckFunction, Evidence, Finding

GROUP = "annobridge.checks"
LEVEL = "level"  # a parameter of every check: "error", "warning" or "off", in place of the level that it chooses
OFF = "off"
_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", tuple: "a list of texts"}
Limits = Mapping[str, Mapping[str, Any]]  # name of a check -> its parameters


@dataclass(frozen=True)
class Check:
    """A check that can be run. ``parameters`` is name → default."""

    name: str
    function: CheckFunction
    parameters: Mapping[str, Any]
    source: str


def names() -> list[str]:
    """The names of all checks, sorted. Imports none of them, so some of them may be broken."""
    return sorted(by_name(GROUP))


def get(name: str) -> Check:
    """The check with a name. Raises ``InvalidOption`` for an unknown one, ``ConfigError`` for one that cannot be used."""
    found = by_name(GROUP).get(name)
    if not found:
        raise InvalidOption(f"There is no check {name!r}; {did_you_mean(name, names())}")
    if len({entry.value for entry in found}) > 1:
        raise ConfigError(
            f"The check {name!r} is in several packages, {' and '.join(map(source, found))}; uninstall all but one."
        )
    entry = found[0]
    what = f"The check {name!r} of {source(entry)}"
    try:
        function = entry.load()
    except Exception as error:  # a plug-in may raise anything while it is imported
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{what} cannot be loaded: {reason}. Install what it needs, or uninstall it.") from error
    return Check(name, function, _parameters(function, what), source(entry))


def broken() -> dict[str, str]:
    """The checks that cannot be used: name → reason. Imports all of them."""
    reasons = {}
    for name in names():
        try:
            get(name)
        except ConfigError as error:
            reasons[name] = str(error)
    return reasons


def require_valid(chosen: Collection[str] | None, limits: Limits) -> None:
    """Raise ``InvalidOption`` for a check or parameter that there is not, and for a value of another type."""
    if isinstance(chosen, str):
        raise InvalidOption(f"The checks to run are a list of names; give [{chosen!r}].")
    for name in (*(chosen or ()), *limits):
        if name not in by_name(GROUP):
            raise InvalidOption(f"There is no check {name!r}; {did_you_mean(name, names())}")
    for name, given in limits.items():
        _values(name, given)


def run(evidence: Evidence, chosen: Collection[str] | None = None, limits: Limits | None = None) -> pa.Table:
    """Run checks.

    Args:
        evidence: what they look at.
        chosen: the names of the checks; all of them if ``None``.
        limits: name of a check → its parameters. ``level`` is one of every check: ``"error"`` or ``"warning"`` in place of the
            level that it chooses, or ``"off"``.

    Returns:
        ``FINDINGS``, errors first. A check that cannot be loaded or fails is an error among them.

    Raises:
        InvalidOption: there is no such check or parameter, or a value has another type.
    """
    limits = limits or {}
    require_valid(chosen, limits)
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(names() if chosen is None else chosen):
        level = limits.get(name, {}).get(LEVEL)
        if level == OFF:
            continue
        try:
            rows += [found.row(name, level) for found in _findings(name, evidence, limits.get(name, {}))]
        except ConfigError as error:
            rows.append(Finding(str(error)).row(name))
    rows.sort(key=lambda row: row["level"] != ERROR)
    return pa.Table.from_pylist(rows, FINDINGS)


def _findings(name: str, evidence: Evidence, given: Mapping[str, Any]) -> list[Finding]:
    """What a check returns. Raises ``ConfigError`` if it fails, or returns something else."""
    check = get(name)
    values = {key: value for key, value in _values(name, given).items() if key != LEVEL}
    what = f"The check {name!r} of {check.source}"
    advice = f"report it there, or leave the check out with {name}.level=off."
    try:
        found = list(check.function(evidence, **values))
    except Exception as error:  # a plug-in may raise anything
        raise ConfigError(f"{what} failed with {type(error).__name__}: {error}; {advice}") from error
    for finding in found:
        if not isinstance(finding, Finding) or finding.level not in LEVELS:
            raise ConfigError(
                f"{what} returned {finding!r}, which is no Finding of level {' or '.join(map(repr, LEVELS))}; {advice}"
            )
    return found


def _parameters(function: CheckFunction, what: str) -> dict[str, Any]:
    """The parameters of a check after the first, with their defaults."""
    if not callable(function):
        raise ConfigError(f"{what} is no function; name a function of the evidence and of limits with defaults.")
    found = {}
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if type(parameter.default) not in _TYPES:
            raise ConfigError(
                f"{what} has the parameter {parameter.name!r} without a default that is {', '.join(_TYPES.values())}; give it one."
            )
        found[parameter.name] = parameter.default
    return found


def _values(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a check that are given, in the types of their defaults."""
    if not isinstance(given, Mapping):
        raise InvalidOption(f"The limits of the check {name!r} are a dictionary of parameters, and not {given!r}.")
    if not given:
        return {}
    try:
        known: dict[str, Any] = {**get(name).parameters, LEVEL: ""}
    except ConfigError:
        return {}  # told by ``run``, where the check is an error among the findings
    for key in given:
        if key not in known:
            raise InvalidOption(f"The check {name!r} has no parameter {key!r}; {did_you_mean(key, known)}")
    return {key: _value(f"{name}.{key}", value, known[key]) for key, value in given.items()}


def _value(what: str, given: Any, default: Any) -> Any:
    kind = type(default)
    if what.endswith(f".{LEVEL}"):
        if given not in (*LEVELS, OFF):
            raise InvalidOption(f"{what} should be 'error', 'warning' or 'off', and not {given!r}.")
        return given
    value = _converted(given, kind)
    if value is None:
        raise InvalidOption(f"{what} should be {_TYPES[kind]}, as {default!r}, and not {given!r}.")
    return value


def _converted(given: Any, kind: type) -> Any:
    """The value in a type; ``None`` if it has another one. Numbers, words and lists may be texts, as they are on a command line."""
    if kind is bool:
        return {"true": True, "false": False}.get(str(given).lower())
    if kind is str:
        return given if isinstance(given, str) else None
    if kind is tuple:
        texts = given.split(",") if isinstance(given, str) else given
        is_list = isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts)
        return tuple(text.strip() for text in texts) if is_list else None
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        value = kind(given)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and (isinstance(given, str) or value == given) else None
