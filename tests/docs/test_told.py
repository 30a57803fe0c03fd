"""What pages say is so: every exception has a cure, figures are those of the benchmarks, the table is that of the source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

from annobridge import exceptions
from annobridge.core.merge.cases import Case
from annobridge.settings import checks, config

ERRORS = (ROOT / "docs/errors.md").read_text("utf-8")
LEAVES = [
    name for name in exceptions.__all__ if not getattr(exceptions, name).__subclasses__() and name != "AnnobridgeError"
]


@pytest.mark.parametrize("name", LEAVES)
def test_every_error_has_a_cure(name: str) -> None:
    found = re.search(rf"^#### {name}\n\n(.+?)(?=\n#|\Z)", ERRORS, re.DOTALL | re.MULTILINE)
    assert found, f"docs/errors.md has no section {name}"
    assert len(found[1].split()) > 5


def test_no_error_is_told_that_is_not_there() -> None:
    assert set(re.findall(r"^#### (\w+)$", ERRORS, re.MULTILINE)) == set(LEAVES)


def test_errors_are_under_what_they_are() -> None:
    """Each section of classes names its base class first; the classes below it are subclasses of it."""
    for section in ERRORS.partition("## Every class")[2].split("\n### ")[1:]:
        bases = re.findall(r"\*\*(\w+)\*\*", section)
        for name in re.findall(r"^#### (\w+)$", section, re.MULTILINE):
            leaf = getattr(exceptions, name)
            assert not bases or any(issubclass(leaf, getattr(exceptions, base)) for base in bases), name


def test_figures_of_scale_are_those_of_the_benchmarks() -> None:
    measured = set(re.findall(r"\d[\d,.]*\d", (ROOT / "benchmarks/README.md").read_text("utf-8")))
    page = (ROOT / "docs/scale.md").read_text("utf-8")
    told = {cell for line in page.splitlines() if line.startswith("|") for cell in re.findall(r"\d[\d,.]*\d", line)}
    assert sorted(told - measured - {"256", "179"}) == []  # a setting, and Pillow's limit


def test_figures_of_the_proofs_are_those_of_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for number in re.findall(r"\| (\d+) \|$", (ROOT / "docs/reliability.md").read_text("utf-8"), re.MULTILINE):
        assert re.search(rf"\b{number}\b", text), number


def test_the_table_of_the_merge_is_that_of_the_source() -> None:
    """Both have the same rows: what happened in the tool, and in the dataset."""
    source = re.findall(r"^ +(added|edited|deleted) +(\S.*?)  +[A-Z_]+ ", str(Case.__doc__), re.MULTILINE)
    page = re.findall(
        r"^\| (added|edited|deleted) \| ([^|]+) \|", (ROOT / "docs/reliability.md").read_text("utf-8"), re.MULTILINE
    )
    assert page == source


@pytest.mark.parametrize("page", ["reference/settings.md", "recipes/fiftyone.md"])
def test_settings_on_pages_are_valid(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / page).read_text("utf-8"), re.DOTALL)
    (tmp_path / "settings.toml").write_text("\n".join(blocks))
    monkeypatch.setenv("ANNOBRIDGE_CONFIG_PATH", str(tmp_path / "settings.toml"))
    rows, faults = config.survey()
    assert faults == []
    assert any("settings.toml" in row.origin for row in rows), rows
    checks.chosen()  # the section of the checks
