"""The tables of what survives are what the formats declare."""

from __future__ import annotations

from pathlib import Path

from annobridge.formats import table

PAGE = Path(__file__).resolve().parents[2] / "docs/formats/index.md"


def test_the_tables_are_current() -> None:
    text = PAGE.read_text("utf-8")
    made = table.replace_table(text, table.markdown(table.installed()))
    assert made == text, "run: python -m annobridge.formats.table docs/formats/index.md"


def test_every_format_is_in_the_first_table() -> None:
    text = PAGE.read_text("utf-8").partition("## What survives")[0]
    assert [one.name for one in table.installed() if f"`{one.name}`" not in text] == []
