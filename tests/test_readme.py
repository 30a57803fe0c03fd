"""The README's first screen, its table and its links. Its code runs in ``tests/docs/test_pages.py``."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs import pages

from annobridge.backend import registry, table

README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text("utf-8")


def test_the_first_block_is_ten_lines() -> None:
    first, *rest = pages.blocks(TEXT)
    assert rest == []
    assert len([line for line in first.code.splitlines() if line.strip()]) <= 10
    assert first.output is not None


def test_both_commands_are_on_the_first_screen() -> None:
    screen = "\n".join(TEXT.splitlines()[:15])
    for command in ("    ./demo ", "    ./check "):
        assert command in screen


def test_the_first_page_of_the_site_has_the_same_code_and_output() -> None:
    (there, *_) = pages.blocks((README.parent / "docs/index.md").read_text("utf-8"))
    (here,) = pages.blocks(TEXT)
    assert (here.code, here.output) == (there.code, there.output)


def test_the_table_is_current() -> None:
    made = table.markdown([registry.get(name) for name in registry.names()])
    assert table.replace_table(TEXT, made) == TEXT, "run: python -m annobridge.backend.table README.md"


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT):
        assert (README.parent / target).exists(), target
