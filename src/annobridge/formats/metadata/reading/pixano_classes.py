"""Schemas of Pixano's quickstart, parsed from the source of their classes.

Pixano 0.8 no longer has the classes that such a file imports (``Entity``, ``DefaultImageDatasetItem``, …), and Pixano need not be
installed to import a folder. Only the fields and their types are needed, so the file is parsed and never run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Literal, NoReturn, Union

from pydantic import BaseModel, ConfigDict, create_model

from ....core.did_you_mean import did_you_mean
from ....exceptions import InvalidOption

_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "Any": Any, "object": Any, "None": None}
_ITEM = "DatasetItem"  # the end of the names of Pixano's classes that describe a line
_LISTS = frozenset({"list", "List", "Sequence", "tuple", "Tuple"})
_ITEM_FIELDS = {"objects": "Entity"}  # the label fields that Pixano's own items have
_CONFIG = ConfigDict(protected_namespaces=())


class PixanoClasses:
    """The classes of a Python file, as pydantic models."""

    def __init__(self, text: str, file: str) -> None:
        tree = ast.parse(text)
        self._file = file
        self._classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        self._pixano = dict(_pixano_imports(tree))  # names in the file, and the names that Pixano has for them
        self._made: dict[str, type[BaseModel]] = {}

    def model(self, name: str) -> type[BaseModel] | None:
        """The model of a class that derives from one of Pixano's; ``None`` for other classes. Raises ``InvalidOption``."""
        if name not in self._classes and self._pixano:
            raise InvalidOption(
                f"There is no class {name!r} in the schema file {self._file!r}; {did_you_mean(name, self._classes)}"
            )
        if self._base(name, ()) is None:
            return None
        if name not in self._made:
            fields = dict(self._fields(name, ()))
            self._made[name] = create_model(name, __config__=_CONFIG, **fields)
        return self._made[name]

    def _base(self, name: str, below: tuple[str, ...]) -> str | None:
        """The name of Pixano's class that a class derives from."""
        if name not in self._classes or name in below:
            return None
        for base in self._classes[name].bases:
            text = ast.unparse(base)
            found = self._pixano_name(text) or self._base(text, (*below, name))
            if found is not None:
                return found
        return None

    def _pixano_name(self, name: str) -> str | None:
        """Pixano's name for a name in the file; ``None`` if it is not Pixano's."""
        root, dot, rest = name.partition(".")
        return (rest if dot else self._pixano[root]).rpartition(".")[2] if root in self._pixano else None

    def _fields(self, name: str, below: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """The fields of a class and of its base classes; a later one replaces an earlier one of the same name."""
        if (pixano_name := self._pixano_name(name)) is not None:
            if pixano_name.endswith(_ITEM):
                empty = create_model("Entity", __config__=_CONFIG)
                yield from ((field, (list[empty], ...)) for field in _ITEM_FIELDS)  # type: ignore[valid-type]
            return
        if name not in self._classes or name in below:
            return
        for base in reversed(self._classes[name].bases):
            yield from self._fields(ast.unparse(base), (*below, name))
        for node in self._classes[name].body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id[0] != "_":
                kind = self._type(node.annotation, node.target.id)
                if kind is not _PixanoType:
                    yield node.target.id, (kind, ...)

    def _type(self, node: ast.expr, field: str) -> Any:
        """The type that an annotation means; ``_PixanoType`` for types that Pixano stores in other tables."""
        if isinstance(node, ast.Constant):
            return self._type(ast.parse(node.value, mode="eval").body, field) if isinstance(node.value, str) else None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._union([node.left, node.right], field)
        if isinstance(node, ast.Subscript):
            return self._generic(node, field)
        name = ast.unparse(node)
        last = name.rpartition(".")[2]
        if name in self._classes:
            found = self.model(name)
            return found if found is not None else self._unknown(name, field)
        if self._pixano_name(name) is not None:
            return _PixanoType
        if last in _TYPES:
            return _TYPES[last]
        return (
            list[Any] if last in _LISTS else dict[str, Any] if last in ("dict", "Dict") else self._unknown(name, field)
        )

    def _generic(self, node: ast.Subscript, field: str) -> Any:
        name = ast.unparse(node.value).rpartition(".")[2]
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Literal":
            return Literal[tuple(ast.literal_eval(each) for each in inner)]
        if name in ("Optional", "Union"):
            return self._union([*inner, *([ast.Constant(None)] if name == "Optional" else [])], field)
        if name in ("Annotated", *_LISTS):
            kind = self._type(inner[0], field)
            return kind if kind is _PixanoType or name == "Annotated" else list[kind]  # type: ignore[valid-type]
        return dict[str, Any] if name in ("dict", "Dict") else self._unknown(ast.unparse(node), field)

    def _union(self, nodes: list[ast.expr], field: str) -> Any:
        kinds = [self._type(node, field) for node in nodes]
        return _PixanoType if _PixanoType in kinds else Union[tuple(kinds)]  # noqa: UP007 - of kinds that only the file knows

    def _unknown(self, name: str, field: str) -> NoReturn:
        raise InvalidOption(
            f"The field {field!r} of the schema in {self._file!r} has the type {name!r}, which cannot be told from the file "
            "alone; use str, int, float, bool, lists of them, or a class of the file that derives from Pixano's."
        )


class _PixanoType:
    """Marks a type of Pixano's own, as ``BBox``."""


def _pixano_imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What a file imports of Pixano: the name in the file, and the name there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pixano":
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "pixano":
                    yield alias.asname or "pixano", alias.name
