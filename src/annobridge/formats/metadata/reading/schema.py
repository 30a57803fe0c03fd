"""The types of columns and attributes by a pydantic model, where they are not to be found by the values."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from ....core.did_you_mean import did_you_mean
from ....exceptions import InvalidOption, InvalidSource
from .pixano_classes import PixanoClasses

Fitting = Callable[[Any, str], Any]  # a value and its location -> the value as the model has it
_PIXANO_FIELDS = frozenset(
    {"id", "created_at", "updated_at", "item_ref", "view_ref", "parent_ref"}
)  # of Pixano's own models


class ValueSchema:
    """The types that a model declares.

    A model whose fields are models (or lists of one) describes lines: those fields are label fields, and the others
    columns of the samples. Any other model describes the labels of every field.
    """

    def __init__(self, model: type[BaseModel] | None) -> None:
        fields = {name: field.annotation for name, field in model.model_fields.items()} if model else {}
        inner = {name: found for name, kind in fields.items() if (found := _inner_model(kind))}
        self._labels = {name: _adapters(found) for name, found in inner.items()}
        whole = _adapters(model) if model else {}
        self._samples = {n: a for n, a in whole.items() if n not in inner} if inner else {}
        self._any = whole if model and not inner else None
        self._known: dict[tuple[int, type, Any], Any] = {}

    def fitting(self, space: str, name: str) -> Fitting | None:
        """A function that converts the values of a name; ``None`` if the model does not say their type.

        The function raises ``InvalidSource`` for values of another type, and for attributes that the model does not have.

        Args:
            space: the label field; ``""`` for columns of the samples.
            name: the attribute, or the column.
        """
        adapters = self._labels.get(space, self._any) if space else self._samples
        if adapters is None or (not space and name not in adapters):
            return None

        def fit(value: Any, where: str) -> Any:
            if name not in adapters:
                raise InvalidSource(
                    f"{where} has {name!r} in {space!r}, which the schema does not have; {did_you_mean(name, adapters)}"
                )
            return self._fitted(adapters[name], value, f"{where} has {name!r} = {json.dumps(value)[:80]}")

        return fit

    def _fitted(self, adapter: TypeAdapter[Any], value: Any, what: str) -> Any:
        key = (id(adapter), type(value), value) if not isinstance(value, list | dict) else None
        if key is None or key not in self._known:
            try:
                found = adapter.dump_python(adapter.validate_json(json.dumps(value), strict=True), mode="json")
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise InvalidSource(f"{what}, which does not fit the schema: {reason}; correct it.") from None
            if key is None:
                return found
            self._known[key] = found
        return self._known[key]


def load_model(specifier: str) -> type[BaseModel]:
    """The model that ``path/to/file.py:Class`` names. Raises ``InvalidOption``.

    A class that derives from one of Pixano's is parsed, as Pixano need not be installed; any other file is run.
    """
    file, colon, name = specifier.rpartition(":")
    if not colon or not file or not name:
        raise InvalidOption(f"A schema is given as path/to/file.py:Class, not {specifier!r}.")
    path = Path(file).expanduser()
    if not path.is_file():
        raise InvalidOption(f"There is no file {file!r} to take the schema from; correct the path.")
    return _declared(path, file, name) or _run_file(path, file, name)


def _declared(path: Path, file: str, name: str) -> type[BaseModel] | None:
    """The model of a class that derives from one of Pixano's, by parsing the file; ``None`` for other classes."""
    try:
        return PixanoClasses(path.read_text(encoding="utf-8"), file).model(name)
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidOption):
            raise
        raise InvalidOption(f"The schema file {file!r} cannot be read as Python: {error}; mend it.") from None


def _run_file(path: Path, file: str, name: str) -> type[BaseModel]:
    """The model in a file, by running it."""
    spec = importlib.util.spec_from_file_location("annobridge_schema", path)
    if spec is None or spec.loader is None:
        raise InvalidOption(f"The file {file!r} is not Python; give a file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's file raises
        cure = (
            "install it, or write the same fields as a pydantic.BaseModel"
            if isinstance(error, ImportError)
            else "mend it"
        )
        raise InvalidOption(
            f"The schema file {file!r} cannot be run: {type(error).__name__}: {error}; {cure}."
        ) from error
    models = {n: m for n, m in vars(module).items() if isinstance(m, type) and issubclass(m, BaseModel)}
    if name not in models:
        what = "is not a pydantic model" if hasattr(module, name) else "is not in it"
        raise InvalidOption(f"{name!r} {what} ({file}); {did_you_mean(name, set(models) - {'BaseModel'})}")
    return models[name]


def _inner_model(kind: Any) -> type[BaseModel] | None:
    """The model that a field holds, or holds a list of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next((found for inner in get_args(kind) if (found := _inner_model(inner))), None)


def _adapters(model: type[BaseModel]) -> dict[str, TypeAdapter[Any]]:
    found = {}
    for name, field in model.model_fields.items():
        if name not in _PIXANO_FIELDS:
            try:
                found[name] = TypeAdapter(field.rebuild_annotation())
            except PydanticSchemaGenerationError as error:
                raise InvalidOption(
                    f"The schema's field {name!r} has a type that pydantic cannot check: {error}"
                ) from None
    return found
