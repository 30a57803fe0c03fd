"""The pictures of the documentation are on its pages, and can be drawn anew; those in ``tools`` are of the editors of servers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.docs.pages import ROOT
from tools.docs import pictures

IMAGES = ROOT / "docs" / "images"


def test_every_picture_is_small_and_on_a_page() -> None:
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md"))
    for path in (ROOT / "docs").rglob("*.webp"):
        assert path.stat().st_size < 100_000, path.name
        assert f"images/{path.name}" in text, path.name


@pytest.mark.skipif(not any(map(shutil.which, pictures.CHROMIUM)), reason="no Chromium: see CONTRIBUTING.md")
def test_all_are_drawn_anew(tmp_path: Path) -> None:
    made = pictures.draw(tmp_path)
    assert sorted(path.name for path in made) == sorted(path.name for path in IMAGES.iterdir())
    for path in made:
        with Image.open(path) as new, Image.open(IMAGES / path.name) as kept:
            assert new.size == kept.size
