"""The generated parts of pages are what the declarations say."""

from __future__ import annotations

import re

import pytest
from tests.docs.pages import ROOT
from tools.docs import cli, generated

MADE = generated.parts()


@pytest.mark.parametrize("path", generated.pages(ROOT), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_is_current(path: object) -> None:
    text = path.read_text("utf-8")  # type: ignore[attr-defined]
    assert generated.filled(text, MADE) == text, "run: python -m tools.docs write"


def test_no_page_has_a_folder_of_a_machine() -> None:
    for path in [*generated.pages(ROOT), ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]:
        found = re.findall(r"(?<![\w./])/(?:root|home|Users|work|tmp|var)/\S*", path.read_text("utf-8"))
        assert found == [], path.name


def test_the_home_of_whoever_writes_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/ann")
    monkeypatch.setenv("XDG_DATA_HOME", "/data/ann/")
    text = "by default /users/ann/.local/share/annobridge or /data/ann/annobridge, not /users/anna."
    told = "by default ~/.local/share/annobridge or ~/.local/share/annobridge, not /users/anna."
    assert cli._without_home(text) == told


def test_every_part_is_on_a_page() -> None:
    text = "\n".join(path.read_text("utf-8") for path in generated.pages(ROOT))
    shown = set(re.findall(r"<!-- ([\w: .-]+): begin -->", text))
    assert {name for name in MADE if not name.startswith("tool: ")} <= shown


def test_every_installed_format_and_backend_has_its_part() -> None:
    from annobridge.backend import registry as backends
    from annobridge.formats import registry as formats

    assert {f"format: {name}" for name in formats.names()} <= set(MADE)
    assert {f"tool: {name}" for name in backends.names()} <= set(MADE)
    for name in backends.names():
        assert (ROOT / "docs" / "tools" / f"{name}.md").exists(), f"{name} has no page in docs/tools"
