"""Generates the files of ``config/`` from the ``Config`` classes of the backends: a JSON Schema and an example of the settings.

python -m annobridge.settings.example_files config
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from ..backend import registry as backends
from ..backend.base import AnnotationBackendConfig
from ..checks import registry
from ..checks.base import LEVELS
from .config import DEFAULT_BACKEND, is_secret
from .execution import DEFAULT_EXECUTOR

Configs = Mapping[str, type[AnnotationBackendConfig]]

_HEAD = f"""\
#:schema ./config.schema.json
# The configuration of annobridge. Copy it to ~/.annobridge (or ~/.annobridge/config.toml); uncomment what you change.
# A value of a call comes first, then annobridge.annotation_config, then the environment (ANNOBRIDGE_PIXANO_URL=…), then
# this file, then the default, which is what is shown here. `annobridge config` says what holds, and why.
# Secrets are better kept in the keyring: `annobridge login BACKEND`.

# the backend of a call that names none
# default_backend = "{DEFAULT_BACKEND}"

# where loads and imports run: an executor, how many workers (by default one for each core, or what a cluster has), its address
# executor = "{DEFAULT_EXECUTOR}"
# workers = 8
# executor_address = "tcp://10.0.0.1:8786"
"""
_USE = "the names of those to run; by default all that are installed"
_EXAMPLES = {int: 100, float: 1.5, bool: True, list: [], dict: {}}
_TAIL = """
# a backend of your own: the module that holds this class holds the backend too
# [backends.mine]
# config_cls = "your.module.Config"
"""


def schema(configs: Configs) -> dict[str, Any]:
    """The JSON Schema of the configuration file, for completion and checks in editors."""
    by_mode, shared = models_json_schema(
        [(config, "validation") for config in configs.values()], ref_template="#/$defs/{model}"
    )
    definitions = shared.get("$defs", {})
    for definition in definitions.values():
        definition.pop("required", None)  # a value that is missing in the file may come from another source
    own = {name: by_mode[config, "validation"] for name, config in configs.items()}
    other = {
        "type": "object",
        "properties": {"config_cls": {"type": "string", "description": "the Config class, as your.module.Config"}},
        "required": ["config_cls"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "annobridge configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            "default_backend": {
                "type": "string",
                "default": DEFAULT_BACKEND,
                "description": "the backend of a call that names none",
            },
            "executor": {"type": "string", "default": DEFAULT_EXECUTOR, "description": "where loads and imports run"},
            "workers": {"type": "integer", "minimum": 1, "description": "how many workers a load uses at once"},
            "executor_address": {"type": "string", "description": "the address of the cluster"},
            "backends": {"type": "object", "properties": own, "additionalProperties": other},
            "checks": {
                "type": "object",
                "properties": {"use": {"type": "array", "items": {"type": "string"}, "description": _USE}},
                "additionalProperties": {"type": "object", "properties": {"level": {"enum": [*LEVELS, registry.OFF]}}},
            },
        },
        "$defs": definitions,
    }


def example(configs: Configs) -> str:
    """A configuration file with every option of these backends, with its description and default, commented out."""
    sections = ("\n".join(_section(name, config)) for name, config in configs.items())
    return "\n".join([_HEAD, *sections, *_checks(), _TAIL.lstrip("\n")])


def _checks() -> Iterator[str]:
    yield '# the checks of plans; each has, beside its own parameters, level = "error", "warning" or "off"'
    yield "[checks]"
    yield f"# {_USE}"
    yield f"# use = {_toml(registry.names())}"
    for name in registry.names():
        check = registry.get(name)
        yield f"\n[checks.{name}]"
        yield f"# {(check.function.__doc__ or '').splitlines()[0]}"
        yield from (f"# {key} = {_toml(default)}" for key, default in check.parameters.items())
    yield ""


def _section(name: str, config: type[AnnotationBackendConfig]) -> Iterator[str]:
    yield f"[backends.{name}]"
    for option, info in config.model_fields.items():
        if info.description:
            yield f"# {info.description}"
        yield f"# {option} = {_written(info, secret=is_secret(config, option))}"
    yield ""


def _written(info: FieldInfo, *, secret: bool) -> str:
    """The default of an option as TOML; without one, an example."""
    default = None if info.is_required() or secret else info.get_default(call_default_factory=True, validated_data={})
    if default is not None:
        return _toml(default)
    kinds = [get_origin(a) or a for a in (info.annotation, *get_args(info.annotation))]
    example = next((_EXAMPLES[kind] for kind in kinds if kind in _EXAMPLES), "…")
    return f"{_toml(info.examples[0] if info.examples else example)}  # an example: not set by default"


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # the same for all but tables and None


def _installed() -> Configs:
    return {name: backends.get(name).Config for name in backends.names()}


def write(folder: Path) -> None:
    """Write both files to a folder."""
    configs = _installed()
    text = json.dumps(schema(configs), indent=2, ensure_ascii=False, sort_keys=True)
    (folder / "config.schema.json").write_text(text + "\n", "utf-8")
    (folder / "config.example.toml").write_text(example(configs), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
