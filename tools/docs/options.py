"""Tables of the options of backends and formats, from the pydantic models that declare them."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from annobridge.backend.base import AnnotationBackend, AnnotationBackendConfig
from annobridge.formats.common.fidelity import KEPT, Fidelity
from annobridge.formats.common.file_format import FileFormat, ReadOptions, WriteOptions

_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", SecretStr: "secret"}
_CONTAINERS: dict[Any, str] = {
    list: "list", tuple: "list", Sequence: "list", frozenset: "list", dict: "table", Mapping: "table", type: "class",
}  # fmt: skip


def of_backends(tools: Iterable[type[AnnotationBackend]]) -> str:
    """A section for each backend, with a table of its options."""
    return "\n\n".join(f"## {tool.name}\n\n{_variables(tool)}\n\n{of_tool(tool)}" for tool in tools)


def of_tool(tool: type[AnnotationBackend]) -> str:
    """The options of one backend, as a table."""
    rows = [(name, info, _where(tool.Config, name)) for name, info in tool.Config.model_fields.items()]
    return _table(["option", "type", "default", "", "kept with a run"], [[*_cells(n, i), w] for n, i, w in rows])


def _variables(tool: type[AnnotationBackend]) -> str:
    return (
        f"In the file under `[backends.{tool.name}]`, in the environment as `ANNOBRIDGE_{tool.name.upper()}_<OPTION>`, "
        "in a call by name."
    )


def _where(config: type[AnnotationBackendConfig], name: str) -> str:
    if name in config.credentials:
        return "never"
    return "no" if name in config.transient else "yes"


def common() -> str:
    """The options that all formats of label files have."""
    models: list[tuple[str, type[BaseModel]]] = [("Of reading:", ReadOptions), ("Of writing:", WriteOptions)]
    heads = ["option", "type", "default", ""]
    return "\n\n".join(f"{head}\n\n{_table(heads, _rows(model, None))}" for head, model in models)


def of_format(one: Any) -> str:
    """What a format declares: whether it is read and written, what survives in it, and the options of its own."""
    writing = None if _is_read_only(one) else one.writing
    ways = " and ".join(way for way, model in [("read", one.reading), ("written", writing)] if model)
    lines = [f'`format="{one.name}"` · {ways if writing else "read only"}']
    if isinstance(one, FileFormat) and writing:
        lines.append(_survives(one.fidelity))
    models: list[tuple[str, type[BaseModel] | None, type[BaseModel]]] = [
        ("reading", one.reading, ReadOptions), ("writing", writing, WriteOptions),
    ]  # fmt: skip
    for head, model, base in models:
        if model and (rows := list(_rows(model, base))):
            lines.append(_table([f"option of {head}", "type", "default", ""], rows))
    return "\n\n".join(lines)


def _is_read_only(one: Any) -> bool:
    return isinstance(one, FileFormat) and type(one).write_files is FileFormat.write_files


def _survives(fidelity: Fidelity) -> str:
    kept = [f"`{kind}`" for kind, fate in fidelity.kinds.items() if fate == KEPT]
    changed = [f"`{kind}` is {fate}" for kind, fate in fidelity.kinds.items() if fate != KEPT]
    return f"Kept as they are: {', '.join(kept) or 'none'}." + (f" Changed: {'; '.join(changed)}." if changed else "")


def _rows(model: type[BaseModel], base: type[BaseModel] | None) -> Iterable[Sequence[str]]:
    """The rows of the options that have a description, without those that the model has from its base."""
    shared = base.model_fields if base and issubclass(model, base) else {}
    return (_cells(n, i) for n, i in model.model_fields.items() if n not in shared and i.description)


def _cells(name: str, info: FieldInfo) -> list[str]:
    return [f"`{name}`", _type(info.annotation), _default(info), _cell(info.description or "")]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or (isinstance(value, (list, tuple, dict, frozenset)) and not value):
        return ""
    if isinstance(value, SecretStr):
        return ""
    if isinstance(value, Enum):
        value = value.value
    return f"`{_cell(json.dumps(value, ensure_ascii=False, default=str))}`"


def _type(annotation: Any) -> str:
    """The type of an option in words."""
    if annotation is type(None):
        return ""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _type(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(filter(None, map(_type, typing.get_args(annotation)))))
    if origin in _CONTAINERS or annotation in _CONTAINERS:
        return _CONTAINERS[origin or annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{json.dumps(member.value)}`" for member in annotation)
    return str(getattr(annotation, "__name__", annotation))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
