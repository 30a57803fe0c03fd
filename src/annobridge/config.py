"""Which backend, with which options, and who said so.

Arguments of the call, then ``annotation_config`` as edited at run time, then ``ANNOBRIDGE_<BACKEND>_<OPTION>``, then
``~/.annobridge``, then defaults. Credentials also look into the keyring, and may be asked for (``credentials``).
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from . import credentials
from ._layers import File, Layer, Options, Value, listed_backends, read_environment, read_file
from .backend import registry
from .backend.base import AnnotationBackend, AnnotationBackendConfig
from .core.text import near
from .exceptions import ConfigError, InvalidOption, UnknownBackend

DEFAULT_BACKEND = "pixano"
EDITED = "annotation_config"


@dataclass
class AnnotationConfig:
    """Settings edited at run time: ``annobridge.annotation_config.backends["cvat"]["url"] = …``."""

    default_backend: str | None = None
    backends: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict), repr=False)


annotation_config = AnnotationConfig()


@dataclass(frozen=True, slots=True)
class Settings:
    """A backend and its validated options; ``origins`` says where each was set."""

    name: str
    backend: type[AnnotationBackend]
    config: AnnotationBackendConfig
    origins: dict[str, str]


class Setting(NamedTuple):
    """One line of ``annobridge config``; secrets are masked."""

    backend: str
    option: str
    value: str
    origin: str


def resolve(name: str | None, arguments: Mapping[str, Any]) -> Settings:
    """The backend of that name, or the default one, configured. Raises a ``ConfigError`` that names the origin."""
    sources = _Sources()
    name = sources.backend_name(name)
    backend = registry.get(name, sources.custom)
    found = {**sources.options(name, backend.Config), **{k: Value(v, "argument") for k, v in arguments.items()}}
    _check_names(name, backend.Config, found)
    _warn_if_exposed(backend.Config, sources.file, name)
    _ask(name, backend.Config, found, _look_further(name, backend.Config, found))
    config = _validated(name, backend.Config, found)
    origins = {option: found[option].origin if option in found else "default" for option in backend.Config.model_fields}
    return Settings(name, backend, config, origins)


def list_backends() -> list[str]:
    """The names of the backends in use: installed or registered, and not left out by ``ANNOBRIDGE_BACKENDS``."""
    return _Sources().names


def broken_backends() -> dict[str, str]:
    """Those of them that cannot be loaded, with the reason."""
    sources = _Sources()
    return {name: why for name, why in registry.broken(sources.custom).items() if name in sources.names}


def backend_class(name: str | None = None) -> type[AnnotationBackend]:
    """The backend of that name, or the default one, not configured yet."""
    sources = _Sources()
    return registry.get(sources.backend_name(name), sources.custom)


def describe() -> list[Setting]:
    """Every setting of every backend with its origin."""
    sources = _Sources()
    chosen = sources.default()
    rows = [Setting("", "default_backend", chosen.value, chosen.origin)]
    for name in sources.names:
        try:
            config = registry.get(name, sources.custom).Config
            rows += _described(name, config, sources.options(name, config))
        except ConfigError as error:
            rows.append(Setting(name, "", str(error), "installed" if name not in sources.custom else "config_cls"))
    absent = sorted(set(sources.file.backends) - set(sources.names))
    return rows + [Setting(name, "", "not installed", sources.file.shown) for name in absent]


class _Sources:
    """The layers as they are at the moment of a call."""

    def __init__(self) -> None:
        self.file = read_file()
        self.edited = Layer(
            Value(annotation_config.default_backend, EDITED) if annotation_config.default_backend else None,
            {n: {k: Value(v, EDITED) for k, v in o.items()} for n, o in annotation_config.backends.items()},
        )
        installed = registry.names()
        self.environment = read_environment({*installed, *self.file.backends, *self.edited.backends})
        self.layers = (self.file, self.environment, self.edited)
        self.custom: dict[str, str] = {}
        for layer in self.layers:
            self.custom |= {n: str(o["config_cls"].value) for n, o in layer.backends.items() if "config_cls" in o}
        known, listed = registry.names(self.custom), listed_backends()
        self.names = [n for n in known if listed is None or n in listed or ("*" in listed and n in installed)]

    def default(self) -> Value:
        said = [layer.default_backend for layer in reversed(self.layers) if layer.default_backend]
        return said[0] if said else Value(DEFAULT_BACKEND, "default")

    def backend_name(self, name: str | None) -> str:
        chosen = Value(name, "argument") if name else self.default()
        if chosen.value not in self.names:
            raise UnknownBackend(
                f"There is no backend {chosen.value!r} ({chosen.origin}); {near(chosen.value, self.names)}"
            )
        for section in self.file.backends:
            hint = near(section, self.names)
            if section not in registry.names(self.custom) and hint.startswith("did you mean"):
                raise UnknownBackend(f"{self.file.shown} has a section for {section!r}, which is no backend; {hint}")
        return str(chosen.value)

    def options(self, name: str, config: type[AnnotationBackendConfig]) -> Options:
        merged: Options = {}
        for layer in self.layers:
            merged |= layer.backends.get(name, {})
        merged.pop("config_cls", None)
        return {k: v for k, v in merged.items() if v.in_file or k not in config.variables}


def _check_names(name: str, config: type[AnnotationBackendConfig], found: Options) -> None:
    known = list(config.model_fields)
    unknown = [
        f"{name} has no option {option!r} ({value.origin}); {near(option, known)}"
        for option, value in found.items()
        if option not in known
    ]
    if unknown:
        raise InvalidOption("\n".join(unknown))


def _validated(name: str, config: type[AnnotationBackendConfig], found: Options) -> AnnotationBackendConfig:
    values = {option: _parsed(config.model_fields[option], value) for option, value in found.items()}
    try:
        return config.model_validate(values)
    except ValidationError as error:
        problems = [_problem(name, config, found, e) for e in error.errors(include_url=False, include_context=False)]
    raise InvalidOption("\n".join(problems))  # outside of ``except``: pydantic's message shows the values


def _parsed(info: FieldInfo, value: Value) -> Any:
    """Texts of the environment become lists, dictionaries and booleans where expected; pydantic does the rest."""
    kinds = {get_origin(a) or a for a in (info.annotation, *get_args(info.annotation))}
    if not value.origin.startswith("environment"):
        return value.value
    if {bool, str} <= kinds:  # as in ``verify``: pydantic would take "false" for the text
        return {"true": True, "false": False}.get(value.value.lower(), value.value)
    if not kinds & {list, tuple, set, frozenset, dict}:
        return value.value
    try:
        return json.loads(value.value)
    except ValueError:
        return [part.strip() for part in value.value.split(",")]


def _problem(name: str, config: type[AnnotationBackendConfig], found: Options, error: Mapping[str, Any]) -> str:
    option, expected = str(error["loc"][0]) if error["loc"] else "", str(error["msg"])
    if not option:
        return f"{name}: {expected.removeprefix('Value error, ')}"
    if error["type"] == "missing":
        variable = credentials.variable(name, option)
        return f"{name} needs {option}: give it as an argument, as {variable}, or under [backends.{name}] of the file."
    shown = "its value cannot be used" if is_secret(config, option) else expected[:1].lower() + expected[1:]
    return f"{name} cannot use {option} ({found[option].origin if option in found else 'default'}): {shown}."


def is_secret(config: type[AnnotationBackendConfig], option: str) -> bool:
    """Whether an option's value may never be shown."""
    annotation = config.model_fields[option].annotation
    return SecretStr in (annotation, *get_args(annotation))


def _extra(config: type[AnnotationBackendConfig], option: str) -> dict[str, Any]:
    extra = config.model_fields[option].json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _look_further(name: str, config: type[AnnotationBackendConfig], found: Options) -> str:
    """Add what a tool's own variables and the keyring hold; both come before the file. Says if a keyring failed."""
    note = ""
    for option in config.model_fields:
        if option in found and not found[option].in_file:
            continue
        own = next((v for v in _extra(config, option).get("env", ()) if os.environ.get(v)), None)
        if own:
            found[option] = Value(os.environ[own], f"environment {own}")
        elif option in config.credentials:
            secret, problem = credentials.lookup(name, _url(config, found), option)
            note = note or problem
            if secret:
                found[option] = Value(secret.get_secret_value(), "keyring")
    return note


def _ask(name: str, config: type[AnnotationBackendConfig], found: Options, note: str) -> None:
    """Ask for credentials that are required, and for those marked ``{"ask": True}`` unless another kind was found."""
    marked = [o for o in config.credentials if _extra(config, o).get("ask")]
    enough = any(o in found for o in config.credentials if o not in marked)
    for option in config.credentials:
        wanted = config.model_fields[option].is_required() or (option in marked and not enough)
        if wanted and option not in found:
            hidden = is_secret(config, option)
            answer = credentials.ask(name, _url(config, found), option, hidden=hidden, note=note)
            found[option] = Value(answer.get_secret_value(), "prompt")


def _url(config: type[AnnotationBackendConfig], found: Options) -> str | None:
    default = config.model_fields["url"].default if "url" in config.model_fields else None
    url = found["url"].value if "url" in found else default
    return url if isinstance(url, str) else None


def _warn_if_exposed(config: type[AnnotationBackendConfig], file: File, name: str) -> None:
    secrets = [o for o in file.backends.get(name, {}) if o in config.model_fields and is_secret(config, o)]
    if file.path and (warning := credentials.exposure(file.path, file.shown, secrets)):
        warnings.warn(warning, credentials.ExposedSecretWarning, stacklevel=3)


def _described(name: str, config: type[AnnotationBackendConfig], found: Options) -> Iterator[Setting]:
    _look_further(name, config, found)
    for option, info in config.model_fields.items():
        default = Value("", "not set") if info.is_required() else Value(info.get_default(), "default")
        said = found.pop(option, default)
        hidden = is_secret(config, option) and said.value
        yield Setting(name, option, "***" if hidden else _masked(said.value), said.origin)
    for option, said in found.items():
        yield Setting(name, option, "", f"{said.origin}: unknown, {near(option, config.model_fields)}")


def _masked(value: Any) -> str:
    """A value without what addresses may hide."""
    return "" if value is None else re.sub(r"(?<=//)[^/@]*(?=@)|(?<=\?).+", "***", str(value))
