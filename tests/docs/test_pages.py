"""The code on the pages of the documentation runs as it stands, and prints what the pages say."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.docs import pages
from tests.docs.pages import ROOT

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.settings.config import annotation_config

ELSEWHERE = {  # pages whose code other tests run
    "docs/extend/backend.md": "tests/docs/test_write_a_backend.py",
    "docs/extend/check.md": "tests/checks/test_write_a_check.py",
    "docs/extend/format.md": "tests/formats/test_write_a_format.py",
    "docs/extend/labels.md": "tests/core/test_labels.py",
    "docs/tools/cvat.md": "tests/backend/test_cvat_recipes.py",
    "docs/tools/datagym.md": "tests/backend/test_datagym_recipes.py",
}
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
WITH_CODE = [name for name, text in PAGES.items() if name not in ELSEWHERE and any(pages.blocks(text))]


def street(folder: Path) -> dict[str, Any]:
    """``ds``: three images with boxes, for pages that begin where a dataset is there."""
    for n in range(3):
        Image.new("RGB", (640, 480), (90, 120, 60 * n)).save(folder / f"{n}.jpg")
    ds = ab.create_dataset(folder / "street.lancedb")
    boxes = [ab.Detection("car", [0.1, 0.1, 0.2, 0.2]), ab.Detection("person", [0.5, 0.5, 0.2, 0.3])]
    ds.add_samples([ab.Sample(folder / f"{n}.jpg", objects=boxes) for n in range(3)])
    return {"ab": ab, "ds": ds}


PREPARED = {"docs/tools/files.md": street}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    SERVERS.clear()
    monkeypatch.setattr(annotation_config, "default_backend", None)
    monkeypatch.setattr(annotation_config, "backends", defaultdict(dict))


@pytest.mark.parametrize("name", WITH_CODE)
def test_the_code_runs_as_it_stands(name: str, tmp_path: Path) -> None:
    prepare = PREPARED.get(name)
    pages.run(name, PAGES[name], prepare(tmp_path) if prepare else {})


def test_pages_whose_code_runs_elsewhere_are_named_there() -> None:
    for page, test in ELSEWHERE.items():
        source = (ROOT / test).read_text("utf-8")
        assert Path(page).name in source, f"{test} does not read {page}"


def test_the_runner_finds_what_is_wrong(tmp_path: Path) -> None:
    pages.run("good", "```python\nprint('a', 1.5)\n```\n\n```text\na …5\n```\n", {})
    with pytest.raises(AssertionError, match="bad, line 2 printed\nb"):
        pages.run("bad", "```python\nprint('b')\n```\n\n```text\na\n```\n", {})
    pages.run("good", "<!-- exit: 3 -->\n```sh\necho x; exit 3\n```\n\n```text\nx\n```\n", {})
    with pytest.raises(AssertionError, match="bad, line 2 ended with 1"):
        pages.run("bad", "```sh\nfalse\n```\n", {})
