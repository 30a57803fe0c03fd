"""The README's code runs as it stands, and its table is what the backends declare."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from annobridge.backend import registry, table

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_code_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks():
        exec(compile(block, "README.md", "exec"), names)
    out = capsys.readouterr().out
    assert "Plan 'round1': +0 ~0 -0\n0 0 0\n" in out
    assert "[[0.5, 0.5, 0.1, 0.1]]\n" in out
    assert "1 {'objects': 1} [" in out


def test_the_first_block_is_twelve_lines() -> None:
    code = [line for line in blocks()[0].splitlines() if line.strip()]
    assert len(code) == 12


def test_the_table_is_current() -> None:
    text = README.read_text()
    made = table.markdown([registry.get(name) for name in registry.names()])
    assert table.replace_table(text, made) == text, "run: python -m annobridge.backend.table README.md"


def test_every_file_that_is_linked_exists() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target
