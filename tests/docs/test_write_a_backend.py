"""The code of ``docs/extend/backend.md`` runs as it stands: its module is a backend, and its tests are run here."""

from __future__ import annotations

import pytest
from tests.docs.pages import ROOT, make_module

PAGE = ROOT / "docs/extend/backend.md"
_name, _tests = make_module(PAGE, "TablesBackend")
exec(compile(_tests, f"{PAGE.name}, the tests", "exec"))  # defines TestTables


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend as its entry point would make it known."""
    monkeypatch.setenv("ANNOBRIDGE_BACKENDS", "*,tables")
    monkeypatch.setenv("ANNOBRIDGE_TABLES_CONFIG_CLS", f"{_name}.TablesConfig")


def test_a_guide_is_150_lines_at_most() -> None:
    for page in (ROOT / "docs/extend").glob("*.md"):
        assert len(page.read_text("utf-8").splitlines()) <= 150, page.name
