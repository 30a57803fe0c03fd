"""Reads settings from the configuration file and the environment, each value with its origin. ``config`` combines them."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..core.did_you_mean import did_you_mean
from ..core.media import CACHE, CACHE_SIZE, MAX_PIXELS
from ..exceptions import ConfigError

PATH_VARIABLE = "ANNOBRIDGE_CONFIG_PATH"
BACKENDS_VARIABLE = "ANNOBRIDGE_BACKENDS"
_PREFIX = "ANNOBRIDGE_"
EXECUTION = ("executor", "workers", "executor_address")  # where loads and imports run, see ``execution``
_RESERVED = {
    PATH_VARIABLE, BACKENDS_VARIABLE, "ANNOBRIDGE_DEFAULT_BACKEND", "ANNOBRIDGE_DATASET", MAX_PIXELS, CACHE, CACHE_SIZE,
    *(f"ANNOBRIDGE_{name.upper()}" for name in EXECUTION),
}  # fmt: skip
# What ``annobridge watch --exec`` tells a command, which may be one of annobridge
_TOLD = {"ANNOBRIDGE_KEY", "ANNOBRIDGE_REVIEWED", "ANNOBRIDGE_TOTAL"}
_TESTS = "ANNOBRIDGE_TEST_"  # prefix of variables of the test suite, which are not settings
_KEYS = ("default_backend", *EXECUTION, "backends", "checks")
_USE = "use"  # in the section of checks: the names of those to run
_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


class Value(NamedTuple):
    """A value, and where it was set (``origin``, for messages)."""

    value: Any
    origin: str
    in_file: bool = False

    def __repr__(self) -> str:
        """Omits the value: it may be a secret, and tracebacks may show variables."""
        return f"Value(origin={self.origin!r})"


Options = dict[str, Value]


@dataclass
class Layer:
    """The settings of one source: the default backend, the options by backend, and where loads and imports run.

    ``problems`` has a sentence for each unknown name and each mistake of form.
    """

    default_backend: Value | None = None
    backends: dict[str, Options] = field(default_factory=dict)
    execution: Options = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass
class File(Layer):
    """The configuration file; ``path`` is ``None`` when there is none. ``checks`` are the names of the checks of plans that run
    (``None``: all), ``limits`` their parameters by name of the check.
    """

    path: Path | None = None
    shown: str = "~/.annobridge"
    readable: bool = True
    checks: Value | None = None
    limits: dict[str, Options] = field(default_factory=dict)


def read_file() -> File:
    """Read the file of ``ANNOBRIDGE_CONFIG_PATH``, or ``~/.annobridge``; if that is a folder, ``config.toml`` in it."""
    named = os.environ.get(PATH_VARIABLE)
    path = Path(named).expanduser() if named else Path.home() / ".annobridge"
    if path.is_dir():
        path /= "config.toml"
    file = File(shown=_shown(path))
    if path.exists():
        file.path = path
        _read(path, file)
    elif named:
        _give_up(file, f"{PATH_VARIABLE} names {file.shown}, which does not exist; write it, or unset the variable.")
    return file


def _read(path: Path, file: File) -> None:
    is_json = False
    try:
        text = path.read_text("utf-8-sig")
        is_json = path.suffix == ".json" or text.lstrip().startswith(
            "{"
        )  # a file of FiftyOne; TOML cannot begin like that
        parsed, lines = _parse_json(text, file.shown) if is_json else _parse_toml(text, file.shown)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        _give_up(file, f"{file.shown} cannot be read: {reason}. Correct it, or its permissions.")
    except ConfigError as error:
        _give_up(file, str(error))
    else:
        _fill(file, parsed, lines, foreign=is_json)


def _give_up(file: File, problem: str) -> None:
    file.problems.append(problem)
    file.readable = False


def _shown(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except ValueError:
        return str(path)


def _parse_toml(text: str, shown: str) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    try:
        return tomllib.loads(text), _lines(text)
    except tomllib.TOMLDecodeError as error:
        message, found = str(error), re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", str(error))
    number = int(found[1]) if found and found[1] else len(text.splitlines())
    raise _syntax_error(text, shown, number, message.replace(found[0], "") if found else message)


def _parse_json(text: str, shown: str) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        number, message = error.lineno, error.msg
    else:
        if isinstance(parsed, dict):
            return parsed, {}
        number, message = 1, "it should be an object"
    raise _syntax_error(text, shown, number, message)


def _syntax_error(text: str, shown: str, number: int, message: str) -> ConfigError:
    line = (text.splitlines() or [""])[max(min(number, len(text.splitlines())) - 1, 0)]
    key = re.split(r"[=:'\"#]", line.strip().lstrip("\"'"))[0].strip()  # the rest of the line may be a secret
    return ConfigError(f"{shown} line {number}, at {key!r}: {message}. Correct the line.")


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Path of each table and key of a valid TOML text → the number of its first line.

    ``tomllib`` does not tell. Messages, and the table of ``annobridge config``, say where a value was set, and a file of several
    backends repeats the names of options. A line of a multi-line string may look like a key; then only a number is wrong.
    """
    table: tuple[str, ...] = ()
    lines: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if found := header or key:
            path = tuple(part.strip("\"'") for part in _PART.findall(found[1]))
            if header:
                table = path
            else:
                path = (*table, *path)
            for length in range(1, len(path) + 1):
                lines.setdefault(path[:length], number)
    return lines


def _fill(file: File, parsed: dict[str, Any], lines: Mapping[tuple[str, ...], int], *, foreign: bool) -> None:
    def at(*path: str) -> str:
        number = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
        return f"{file.shown} line {number}" if number else file.shown

    def wrong(sentence: str, *path: str) -> None:
        file.problems.append(f"{at(*path)}: {sentence}")

    for key in parsed:
        if key not in (*_KEYS, "$schema"):
            wrong(f"there is no setting {key!r}; {did_you_mean(key, _KEYS)}", key)
    if isinstance(default := parsed.get("default_backend"), str):
        file.default_backend = Value(default, at("default_backend"))
    elif default is not None:
        wrong("default_backend should be the name of a backend, in quotes.", "default_backend")
    file.execution = {name: Value(parsed[name], at(name), in_file=True) for name in EXECUTION if name in parsed}
    sections = parsed.get("backends", {})
    if not isinstance(sections, dict):
        wrong("backends should be a table, as [backends.pixano].", "backends")
        sections = {}
    for name, options in sections.items():
        if not isinstance(options, dict):
            wrong(f"backends.{name} should be a table, as [backends.{name}].", "backends", name)
            continue
        file.backends[name] = {
            option: Value(value, at("backends", name, option), in_file=True)
            for option, value in options.items()
            if not (foreign and option == "config_cls" and str(value).startswith("fiftyone."))
        }
    _fill_checks(file, parsed.get("checks", {}), at, wrong)


def _fill_checks(file: File, section: Any, at: Callable[..., str], wrong: Callable[..., None]) -> None:
    """Read the section ``[checks]``: the list ``use``, and a table of parameters for each check. Names are not looked up here."""
    if not isinstance(section, dict):
        wrong("checks should be a table, as [checks.share_of_deletions].", "checks")
        return
    for name, given in section.items():
        if name == _USE and isinstance(given, list) and all(isinstance(check, str) for check in given):
            file.checks = Value(given, at("checks", name), in_file=True)
        elif name == _USE:
            wrong('checks.use should be a list of names of checks, as ["share_of_deletions"].', "checks", name)
        elif isinstance(given, dict):
            file.limits[name] = {
                key: Value(value, at("checks", name, key), in_file=True) for key, value in given.items()
            }
        else:
            wrong(f"checks.{name} should be a table, as [checks.{name}].", "checks", name)


def read_environment(known: Iterable[str]) -> Layer:
    """Read ``ANNOBRIDGE_<BACKEND>_<OPTION>`` for the known backends, and those that ``…_CONFIG_CLS`` registers."""
    names = {_upper(name): name for name in known}
    for variable in os.environ:
        if variable.startswith(_PREFIX) and variable.endswith("_CONFIG_CLS"):
            upper = variable.removeprefix(_PREFIX).removesuffix("_CONFIG_CLS")
            names.setdefault(upper, upper.lower())
    layer = Layer()
    if default := os.environ.get("ANNOBRIDGE_DEFAULT_BACKEND"):
        layer.default_backend = Value(default, "environment ANNOBRIDGE_DEFAULT_BACKEND")
    for name in EXECUTION:
        if text := os.environ.get(variable := f"{_PREFIX}{name.upper()}"):
            layer.execution[name] = Value(text, f"environment {variable}")
    for variable in sorted(v for v in os.environ if v.startswith(_PREFIX) and v not in _RESERVED and os.environ[v]):
        rest = variable.removeprefix(_PREFIX)
        owners = [u for u in names if rest.startswith(f"{u}_")]
        if owners:  # the longest name: ANNOBRIDGE_CVAT_EU_URL belongs to cvat_eu if there is such a backend
            upper = max(owners, key=len)
            option = rest.removeprefix(f"{upper}_").lower()
            value = Value(os.environ[variable], f"environment {variable}")
            layer.backends.setdefault(names[upper], {})[option] = value
        elif variable not in _TOLD and not variable.startswith(_TESTS):
            layer.problems.append(_unread(variable, names))
    return layer


def _unread(variable: str, names: Iterable[str]) -> str:
    """The sentence about an unknown variable. The hint compares names without the prefix that all of them share."""
    rest = variable.removeprefix(_PREFIX)
    option = rest.partition("_")[2]
    known = {name.removeprefix(_PREFIX) for name in _RESERVED} | {f"{name}_{option}" for name in names if option}
    hint = did_you_mean(rest.removeprefix("ANNOTATION_"), known)  # FiftyOne's variables have that
    if hint.startswith("did you mean"):
        hint = hint.replace("mean '", f"mean '{_PREFIX}")
    else:
        hint = f"there is {', '.join(sorted(_RESERVED))}, and {_PREFIX}<BACKEND>_<OPTION> for each backend that is installed."
    return f"The environment has {variable}, which is no setting; {hint}"


def listed_backends() -> list[str] | None:
    """The names in ``ANNOBRIDGE_BACKENDS``, the only backends to use (``*`` stands for all installed); ``None`` if unset."""
    text = os.environ.get(BACKENDS_VARIABLE, "")
    return [n for n in re.split(r"[\s,\[\]'\"]+", text) if n] or None


def _upper(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).upper()
