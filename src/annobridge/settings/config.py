"""Resolves the backend of a call and its options, each with its origin.

The first source that has a value counts: the arguments of the call, ``annotation_config`` as edited at run time, the variables
``ANNOBRIDGE_<BACKEND>_<OPTION>``, the file ``~/.annobridge``, the defaults. Credentials are looked up in the keyring too, and may
be asked for (``credentials``).
"""

from __future__ import annotations

import json
import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..backend import registry
from ..backend.base import AnnotationBackend, AnnotationBackendConfig
from ..backend.pickling import NotPicklable
from ..core.did_you_mean import did_you_mean
from ..display import html
from ..exceptions import ConfigError, InvalidOption, UnknownBackend
from . import checks, credentials, execution
from .layers import (
    BACKENDS_VARIABLE,
    EXECUTION,
    File,
    Layer,
    Options,
    Value,
    listed_backends,
    read_environment,
    read_file,
)
from .shown import LOGIN, default_of, masked

DEFAULT_BACKEND = "pixano"
EDITED = "annotation_config"
_MISSPELT = 0.75  # of a name: less is the section of another program, as labelbox is none of labelstudio


@dataclass
class AnnotationConfig(NotPicklable):
    """Settings edited at run time: ``annobridge.annotation_config.backends["cvat"]["url"] = …``."""

    default_backend: str | None = None
    executor: str | None = None
    workers: int | None = None
    executor_address: str | None = None
    backends: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict), repr=False)

    def _repr_html_(self) -> str:
        rows, problems = survey()
        return html.titled("Settings", html.table(Setting._fields, rows), *map(html.line, problems))


annotation_config = AnnotationConfig()


@dataclass(frozen=True, slots=True)
class Settings:
    """A backend with its validated options. ``origins`` is option → where it was set."""

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
    """Resolve a backend and its options.

    Args:
        name: the backend; the default one if ``None``.
        arguments: options that the caller gave.

    Raises:
        ConfigError: a sentence for each mistake, with where it was set. No credential is asked for before.
    """
    sources = _Sources()
    chosen = Value(name, "argument") if name else sources.default()
    faults = sources.faults(chosen)
    name = str(chosen.value)
    if name not in sources.names:
        _raise_all(faults)
    backend = registry.get(name, sources.custom)
    found = {**sources.options(name, backend.Config), **{k: Value(v, "argument") for k, v in arguments.items()}}
    _warn_if_exposed(backend.Config, sources.file, name)
    note = _look_further(name, backend.Config, found)
    errors = [e for e in _errors(backend.Config, found) if not _may_be_asked(backend.Config, e)]
    _raise_all([*faults, *_unknown(name, backend.Config, found), *_unusable(name, backend.Config, found, errors)])
    _ask(name, backend.Config, found, note)
    _raise_all(_unusable(name, backend.Config, found, _errors(backend.Config, found)))
    config = backend.Config.model_validate(_values(backend.Config, found))
    origins = {option: found[option].origin if option in found else "default" for option in backend.Config.model_fields}
    return Settings(name, backend, config, origins)


def resolve_execution(arguments: Mapping[str, Any]) -> execution.ChosenExecution:
    """Where a load or an import runs, by the arguments of ``EXECUTION``. Raises ``ConfigError`` with a sentence for each fault."""
    sources = _valid_sources()
    found = execution.found(sources.layers, arguments)
    _raise_all(execution.faults(found))
    return execution.choose(found)


def list_backends() -> list[str]:
    """The names of the backends that are installed or registered, and not excluded by ``ANNOBRIDGE_BACKENDS``."""
    return _valid_sources().names


def broken_backends() -> dict[str, str]:
    """The backends of ``list_backends`` that cannot be loaded: name → reason."""
    sources = _valid_sources()
    return {name: why for name, why in registry.broken(sources.custom).items() if name in sources.names}


def backend_class(name: str | None = None) -> type[AnnotationBackend]:
    """The class of a backend, or of the default one. Its options are not resolved."""
    sources = _Sources()
    chosen = Value(name, "argument") if name else sources.default()
    _raise_all(sources.faults(chosen))
    return registry.get(str(chosen.value), sources.custom)


def describe() -> list[Setting]:
    """Every setting of every backend, with its origin."""
    return survey()[0]


def survey() -> tuple[list[Setting], list[str]]:
    """Every setting of every backend with its origin, and a sentence for each mistake.

    A missing value is not a mistake here: it may be given as an argument, or asked for.
    """
    sources = _Sources()
    chosen = sources.default()
    rows = [Setting("", "default_backend", chosen.value, chosen.origin)]
    faults = sources.faults(chosen)
    for name in sources.names:
        try:
            config = registry.get(name, sources.custom).Config
        except ConfigError as error:
            said = sources.registered.get(name)
            rows.append(Setting(name, "", str(error), "config_cls" if said else "installed"))
            if said or name == chosen.value:
                faults.append(ConfigError(f"{said.origin}: {error}" if said else str(error)))
            continue
        found = sources.options(name, config)
        faults += _unknown(name, config, found)
        _look_further(name, config, found)
        rows += _described(name, config, found)
        errors = [e for e in _errors(config, found) if e["type"] != "missing"] if found else []
        faults += _unusable(name, config, found, errors)
    absent = sorted(set(sources.file.backends) - set(sources.names))
    rows += [Setting(name, "", "not installed", sources.file.shown) for name in absent]
    rows += [Setting("checks", option, str(said.value), said.origin) for option, said in checks.listed(sources.file)]
    faults += checks.faults(sources.file)
    where = execution.found(sources.layers, {})
    rows[1:1] = [Setting("", name, masked(said.value), said.origin) for name, said in execution.listed(where)]
    faults += execution.faults(where)
    return rows, [str(fault) for fault in faults]


def _valid_sources() -> _Sources:
    """The sources of settings. Raises ``ConfigError`` for mistakes of form."""
    sources = _Sources()
    _raise_all(sources.mistakes())
    return sources


def _raise_all(faults: Iterable[ConfigError]) -> None:
    """Raise the mistakes as one error, if there are any: of their class if they have the same."""
    faults = list(faults)
    kinds = {type(fault) for fault in faults}
    if faults:
        raise (kinds.pop() if len(kinds) == 1 else ConfigError)("\n".join(map(str, faults)))


class _Sources:
    """The file, the environment and ``annotation_config`` at the time of a call."""

    def __init__(self) -> None:
        self.file = read_file()
        self.edited = Layer(
            Value(annotation_config.default_backend, EDITED) if annotation_config.default_backend else None,
            {n: {k: Value(v, EDITED) for k, v in o.items()} for n, o in annotation_config.backends.items()},
            {n: Value(v, EDITED) for n in EXECUTION if (v := getattr(annotation_config, n)) is not None},
        )
        installed = registry.names()
        self.environment = read_environment({*installed, *self.file.backends, *self.edited.backends})
        self.layers = (self.file, self.environment, self.edited)
        self.registered: Options = {}  # backend name -> its config_cls
        for layer in self.layers:
            self.registered |= {n: o["config_cls"] for n, o in layer.backends.items() if "config_cls" in o}
        self.custom = {name: str(said.value) for name, said in self.registered.items()}
        self.known, self.listed = registry.names(self.custom), listed_backends()
        listed = self.listed
        self.names = [n for n in self.known if listed is None or n in listed or ("*" in listed and n in installed)]

    def default(self) -> Value:
        said = [layer.default_backend for layer in reversed(self.layers) if layer.default_backend]
        return said[0] if said else Value(DEFAULT_BACKEND, "default")

    def mistakes(self) -> list[ConfigError]:
        """Mistakes in the form of the file; and, if it could be read, in the names of variables."""
        faults = [ConfigError(problem) for problem in self.file.problems]
        if not self.file.readable:
            return faults
        faults += [ConfigError(problem) for problem in self.environment.problems]
        for name in self.listed or ():
            if name != "*" and name not in self.known:
                hint = did_you_mean(name, self.known)
                faults.append(UnknownBackend(f"There is no backend {name!r} (environment {BACKENDS_VARIABLE}); {hint}"))
        return faults

    def faults(self, chosen: Value) -> list[ConfigError]:
        """All mistakes, including unknown names of backends."""
        faults = self.mistakes()
        if not self.file.readable:
            return faults
        if chosen.value not in self.names:
            hint = did_you_mean(str(chosen.value), self.names)
            faults.append(UnknownBackend(f"There is no backend {chosen.value!r} ({chosen.origin}); {hint}"))
        for section in self.file.backends:
            hint = did_you_mean(section, self.names, _MISSPELT)
            if section not in registry.names(self.custom) and hint.startswith("did you mean"):
                what = f"{self.file.shown} has a section for {section!r}, which is no backend; {hint}"
                faults.append(UnknownBackend(what))
        return faults

    def options(self, name: str, config: type[AnnotationBackendConfig]) -> Options:
        merged: Options = {}
        for layer in self.layers:
            merged |= layer.backends.get(name, {})
        merged.pop("config_cls", None)
        return {k: v for k, v in merged.items() if v.in_file or k not in config.variables}


def _unknown(name: str, config: type[AnnotationBackendConfig], found: Options) -> list[ConfigError]:
    known = list(config.model_fields)
    return [
        InvalidOption(f"{name} has no option {option!r} ({value.origin}); {did_you_mean(option, known)}")
        for option, value in found.items()
        if option not in known
    ]


def _errors(config: type[AnnotationBackendConfig], found: Options) -> list[ErrorDetails]:
    """The validation errors of the values, without the values, which may be secrets."""
    try:
        config.model_validate(_values(config, found))
    except ValidationError as error:
        return error.errors(include_url=False, include_context=False, include_input=False)
    return []


def _may_be_asked(config: type[AnnotationBackendConfig], error: ErrorDetails) -> bool:
    """Whether asking for credentials may resolve an error."""
    return not error["loc"] or (error["type"] == "missing" and error["loc"][0] in config.credentials)


def _unusable(
    name: str, config: type[AnnotationBackendConfig], found: Options, errors: Iterable[ErrorDetails]
) -> list[ConfigError]:
    return [InvalidOption(_problem(name, config, found, error)) for error in errors]


def _values(config: type[AnnotationBackendConfig], found: Options) -> dict[str, Any]:
    fields = config.model_fields
    return {option: _parsed(fields[option], value) for option, value in found.items() if option in fields}


def _parsed(info: FieldInfo, value: Value) -> Any:
    """Convert a string of the environment to a list, dictionary or boolean where expected; pydantic does the rest."""
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


def _problem(name: str, config: type[AnnotationBackendConfig], found: Options, error: ErrorDetails) -> str:
    option, expected = str(error["loc"][0]) if error["loc"] else "", str(error["msg"])
    if not option:
        return f"{name}: {expected.removeprefix('Value error, ')}"
    if error["type"] == "missing":
        variable = credentials.variable(name, option)
        return f"{name} needs {option}: give it as an argument, as {variable}, or under [backends.{name}] of the file."
    shown = "its value cannot be used" if is_secret(config, option) else expected[:1].lower() + expected[1:]
    origin = found[option].origin if option in found else "default"
    return f"{name} cannot use {option} ({origin}): {shown.removeprefix('value error, ')}."


def is_secret(config: type[AnnotationBackendConfig], option: str) -> bool:
    """Whether the value of an option must never be shown."""
    annotation = config.model_fields[option].annotation
    return SecretStr in (annotation, *get_args(annotation))


def _extra(config: type[AnnotationBackendConfig], option: str) -> dict[str, Any]:
    extra = config.model_fields[option].json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _look_further(name: str, config: type[AnnotationBackendConfig], found: Options) -> str:
    """Add values of the tool's own variables and of the keyring; both precede the file. Returns a note if the keyring failed."""
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
    """Ask for missing credentials: for required ones, and for those marked ``{"ask": True}`` unless another one was found.

    Where one of several sets is required, the set of which some are given is completed; or else the marked ones are asked for, or
    the first set.
    """
    marked = [o for o in config.credentials if _extra(config, o).get("ask")]
    enough = any(o in found for o in config.credentials if o not in marked)
    wanted = {o for o in config.credentials if config.model_fields[o].is_required() or (o in marked and not enough)}
    if config.required and not any(all(o in found for o in options) for options in config.required):
        partly_given = [options for options in config.required if any(o in found for o in options)]
        wanted |= (
            set(*partly_given[:1])
            or {o for options in config.required for o in options if o in marked}
            or {*config.required[0]}
        )
    for option in config.credentials:
        if option in wanted and option not in found:
            more = _alternatives(name, config) if config.required else {}
            hidden = is_secret(config, option)
            answer = credentials.ask(name, _url(config, found), option, hidden=hidden, note=note, **more)
            found[option] = Value(answer.get_secret_value(), "prompt")


def _alternatives(name: str, config: type[AnnotationBackendConfig]) -> dict[str, str]:
    """Arguments for the message: the sets of credentials, one of which is needed, and the variable for the first."""
    first = config.required[0][0]
    own = _extra(config, first).get("env", ())
    needs = ", or ".join(" and ".join(options) for options in config.required)
    return {"needs": needs, "name": own[0] if own else credentials.variable(name, first)}


def _url(config: type[AnnotationBackendConfig], found: Options) -> str | None:
    default = config.model_fields["url"].default if "url" in config.model_fields else None
    url = found["url"].value if "url" in found else default
    return url if isinstance(url, str) else None


def _warn_if_exposed(config: type[AnnotationBackendConfig], file: File, name: str) -> None:
    said = file.backends.get(name, {})
    secrets = [option for option in said if option in config.model_fields and is_secret(config, option)]
    texts = {option: v.value for option, v in said.items() if isinstance(v.value, str) and option not in secrets}
    urls = [option for option, text in texts.items() if LOGIN.search(text)]
    if file.path and (warning := credentials.exposure(file.path, file.shown, secrets, urls)):
        warnings.warn(warning, credentials.ExposedSecretWarning, stacklevel=3)


def _described(name: str, config: type[AnnotationBackendConfig], found: Options) -> Iterator[Setting]:
    for option, info in config.model_fields.items():
        said = found.get(option) or default_of(info)
        hidden = is_secret(config, option) and said.value
        yield Setting(name, option, "***" if hidden else masked(said.value), said.origin)
    for option, said in found.items():
        if option not in config.model_fields:
            yield Setting(name, option, "", f"{said.origin}: unknown, {did_you_mean(option, config.model_fields)}")
