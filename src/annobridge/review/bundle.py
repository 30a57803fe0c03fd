"""The page's modules as one script: each becomes a function that is called once, in the order of the imports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from ..exceptions import ConfigError

_IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"\./([\w.-]+)";[ \t]*$', re.MULTILINE)
_EXPORT = re.compile(r"^export\s+((?:async\s+)?(?:function\*?|class|const)\s+)([A-Za-z_$][\w$]*)", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def bundle(modules: Mapping[str, str], entry: str) -> str:
    """One script that does what the module ``entry`` does.

    Args:
        modules: file name → text. They import each other by ``import { a, b } from "./x.js";``, and export functions, classes and
            constants where they declare them.
        entry: the name of the first.

    Raises:
        ConfigError: a module is missing, or has an import or export of another form; the page was changed.
    """
    order = _order(modules, entry)
    return "\n".join(_wrapped(name, modules[name]) for name in order)


def _order(modules: Mapping[str, str], entry: str) -> list[str]:
    """The modules that are needed, each after those that it imports."""
    graph: dict[str, set[str]] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in graph:
            continue
        if name not in modules:
            raise ConfigError(f"The page has no module {name!r}, which another one imports; install annobridge again.")
        graph[name] = {found[2] for found in _IMPORT.finditer(modules[name])}
        waiting += graph[name]
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ConfigError(
            f"The modules {', '.join(error.args[1])} of the page import each other in a circle."
        ) from None


def _wrapped(name: str, text: str) -> str:
    """A module as a constant: an object with what it exports."""
    exported = [found[2] for found in _EXPORT.finditer(text)]
    body = _EXPORT.sub(r"\1\2", _IMPORT.sub(lambda found: _imported(found[1], found[2]), text))
    if other := _OTHER.search(body):
        raise ConfigError(f"The module {name!r} of the page has {other[0]!r}, which cannot be put into one file.")
    return f"const {_constant(name)} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"


def _imported(names: str, module: str) -> str:
    parts = (part.strip() for part in names.split(","))
    renamed = ", ".join(re.sub(r"\s+as\s+", ": ", part) for part in parts if part)
    return f"const {{ {renamed} }} = {_constant(module)};"


def _constant(name: str) -> str:
    return "module_" + re.sub(r"\W", "_", name.removesuffix(".js"))
