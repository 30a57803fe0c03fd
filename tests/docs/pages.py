"""Runs the code of a page of the documentation as it stands, in a folder of its own.

- A block of ``python`` runs in the names of the blocks before it. A block of ``text`` right below it is what it printed;
  ``…`` is anything.
- A block of ``sh`` runs in bash, in the same folder. ``<!-- exit: 2 -->`` above it is its exit code, which is else 0. A block of
  ``text`` right below it is what it printed.
- Blocks of ``py``, ``bash`` and all other languages are not run.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(
    r"^(?:<!-- exit: (?P<exit>\d+) -->\n)?```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$(?:\n\n```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A block of code on a page: where it begins, what it is, and what it is to print."""

    line: int
    language: str
    code: str
    output: str | None
    exit: int


def make_module(page: Path, entry: str) -> tuple[str, str]:
    """Make the module of a guide, the first of its two blocks, under the name that the entry point of ``entry`` gives it there.

    Returns:
        The name, and the code of the tests, the second block.
    """
    text = page.read_text("utf-8")
    module, tests = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (name,) = set(re.findall(rf'"(\w+):{entry}"', text))
    sys.modules[name] = types.ModuleType(name)
    exec(compile(module, f"{page.name}, the module", "exec"), sys.modules[name].__dict__)
    return name, tests


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page that are run."""
    for found in _FENCE.finditer(text):
        if found["language"] in ("python", "sh"):
            line = text.count("\n", 0, found.start("code")) + 1
            yield Block(line, found["language"], found["code"], found["output"], int(found["exit"] or 0))


def run(name: str, text: str, names: dict[str, Any]) -> None:
    """Run all blocks of a page in the current folder. ``names`` are known to its Python."""
    names.setdefault("__name__", "__main__")
    for block in blocks(text):
        place = f"{name}, line {block.line}"
        printed = _python(block, place, names) if block.language == "python" else _shell(block, place)
        if block.output is not None:
            assert _matches(block.output, printed), f"{place} printed\n{printed}\nand not\n{block.output}"


def _python(block: Block, place: str, names: dict[str, Any]) -> str:
    stream = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.code, place, "exec")
    with contextlib.redirect_stdout(stream):
        exec(code, names)
    return stream.getvalue()


def _shell(block: Block, place: str) -> str:
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        env={**os.environ, "PATH": search, "COLUMNS": "100", "NO_COLOR": "1"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == block.exit, f"{place} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _matches(wanted: str, printed: str) -> bool:
    """Whether a text was printed, apart from spaces at the ends of lines."""
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    pattern = "\n".join(re.escape(line.rstrip()) for line in wanted.rstrip().splitlines()).replace("…", "(?s:.*?)")
    return re.fullmatch(pattern, "\n".join(lines)) is not None
