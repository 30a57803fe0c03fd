"""The files in ``config/`` are those that the code would write, and they load."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from annobridge import checks
from annobridge.backend import registry
from annobridge.core.labels import LABEL_TYPES
from annobridge.core.schema import ATTRIBUTE_TYPES, LabelSchema
from annobridge.settings import example_files as config_samples
from annobridge.settings.checks import chosen
from annobridge.settings.config import resolve

FOLDER = Path(__file__).parents[1] / "config"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def uncommented(text: str) -> str:
    lines = [re.sub(r"^# (?=\w+ = )", "", line) for line in text.splitlines()]
    return "\n".join(
        lines[: lines.index("# a backend of your own: the module that holds this class holds the backend too")]
    )


@pytest.mark.parametrize("name", ["config.schema.json", "config.example.toml"])
def test_the_samples_are_current(tmp_path: Path, name: str) -> None:
    config_samples.write(tmp_path)
    written, kept = (tmp_path / name).read_text("utf-8"), (FOLDER / name).read_text("utf-8")
    assert written == kept, "run `python -m annobridge.settings.example_files config`"


def test_the_example_has_every_option_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (FOLDER / "config.example.toml").read_text("utf-8")
    assert set(tomllib.loads(text)["backends"]) == set(registry.names())
    path = tmp_path / "config.toml"
    monkeypatch.setenv("ANNOBRIDGE_CONFIG_PATH", str(path))
    for content in (text, uncommented(text)):
        path.write_text(content, "utf-8")
        path.chmod(0o600)
        for name in registry.names():
            config = registry.get(name).Config
            given = dict.fromkeys(config.credentials[:1], "a token")  # without one, the person would be asked
            found, plain = resolve(name, given).config, config(**given)
            for option, info in config.model_fields.items():
                if content == text or info.default is not None:
                    assert getattr(found, option) == getattr(plain, option)
    for name, section in tomllib.loads(uncommented(text))["backends"].items():
        assert set(section) == set(registry.get(name).Config.model_fields)


def test_the_example_shows_every_check_with_its_defaults(home: Path) -> None:
    text = uncommented((FOLDER / "config.example.toml").read_text("utf-8"))
    sections = tomllib.loads(text)["checks"]
    assert sections.pop("use") == checks.names()
    assert sections == {name: dict(checks.get(name).parameters) for name in checks.names()}
    (home / ".annobridge").write_text(text)
    assert chosen() == (checks.names(), sections)


def test_every_option_says_what_it_means() -> None:
    for name in registry.names():
        for option, info in registry.get(name).Config.model_fields.items():
            assert info.description, f"{name}.{option} has no description"


def test_the_schema_knows_every_backend() -> None:
    schema = json.loads((FOLDER / "config.schema.json").read_text("utf-8"))
    assert set(schema["properties"]["backends"]["properties"]) == set(registry.names())
    assert set(schema["properties"]) == {
        "$schema", "default_backend", "executor", "workers", "executor_address", "backends", "checks",
    }  # fmt: skip
    assert "required" not in json.dumps(schema["$defs"])


def test_the_label_schema_has_one_field_of_each_type() -> None:
    parsed = LabelSchema.parse(json.loads((FOLDER / "label_schema.example.json").read_text("utf-8")))
    assert sorted(f.type for f in parsed.fields.values()) == sorted(LABEL_TYPES)
    used = {a.type for f in parsed.fields.values() for a in f.all_attributes().values()}
    assert used == set(ATTRIBUTE_TYPES)
