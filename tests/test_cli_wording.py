"""The command line does not speak Python: every message of the library has a form with commands and options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from annobridge import Dataset
from annobridge.cli import app
from annobridge.cli.wording import COMMANDS, CURRENT_OPTIONS, OPTIONS, to_cli

ROOT = Path(__file__).parent.parent
METHODS = "|".join(name for name in dir(Dataset) if not name.startswith("_") and "_" in name)
_KEYWORD = r"(?<![\w.-])(?!url=)[a-z_]+=(?:'|True|False|\[|\{)"
PYTHON = re.compile(rf"\b(?:{METHODS})\(|{_KEYWORD}|\b(?:label|dest)_(?:field|schema|type)\b")


def messages() -> Iterator[tuple[str, str]]:
    """Every text that an exception, a warning or a note may be made of, with stand-ins for its values; and its place."""
    for folder in ("src/annobridge", "backends"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.is_relative_to(ROOT / "src/annobridge/cli") or "testing" in path.parts:
                continue
            tree = ast.parse(path.read_text("utf-8"))
            skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            for node in ast.walk(tree):
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                    skipped.add(id(node.value))  # a docstring
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Field":
                    skipped |= {id(word.value) for word in node.keywords}  # of the settings' own documentation
            for node in ast.walk(tree):
                if id(node) not in skipped and (text := said(node)) and " " in text:
                    yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", text


def said(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else "'x'" if part.conversion == ord("r") else "x"  # type: ignore[attr-defined, misc]
            for part in node.values
        )
    return ""


def test_no_message_speaks_python_on_the_command_line() -> None:
    found = {place: re.sub(r"-o '[^']*'", "", to_cli(text)) for place, text in messages()}
    assert len(found) > 500
    assert [f"{place}: {text}" for place, text in found.items() if PYTHON.search(text)] == []


def test_commands_and_options_are_there() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {name for command in commands.values() for p in command.params for name in (*p.opts, *p.secondary_opts)}
    assert {command.split()[0] for command in COMMANDS.values()} <= set(commands)
    assert set(OPTIONS.values()) <= options
    assert {name for name in options if name.startswith("--allow")} == {o for o in OPTIONS.values() if "allow" in o}


@pytest.mark.parametrize(
    ("python", "here"),
    [
        ("resume_annotation('r1') sends the rest.", "annobridge resume r1 sends the rest."),
        ("say ds.load_annotations('r1', force=True).", "say annobridge load r1 --force."),
        ("give mode='add' or mode='overwrite'.", "give --mode add or --mode overwrite."),
        ("load with force=True.", "load with --force."),
        ("allow_deletions=False; attributes=False", "--no-allow-deletions; --attributes none"),
        ("which repoint('/old', '/new a') corrects", "which `annobridge media --repoint '/old=/new a'` corrects"),
        ("check_media(record=True) records", "`annobridge media --check --record` records"),
        ("with missing='keep':", "with --missing keep:"),
        ("set allow_insecure=True if", "set -o allow_insecure=true if"),
        ("names={'a b': 'c'}", """-o 'names={"a b": "c"}'"""),
        ("give classes=['a', 'b c'].", "give --classes 'a,b c'."),
        ("give a dictionary, as {'objects': 'checked'}.", "give objects=checked."),
        ("has no column 'x' (media_field); it", "has no column 'x' (--media-field); it"),
        ("The filter \"mode='add'\" cannot be run", "The filter \"mode='add'\" cannot be run"),
        ("GET /api/labels?format=x, url=http://a", "GET /api/labels?format=x, url=http://a"),
        ("nothing to say = 3, a == b", "nothing to say = 3, a == b"),
    ],
)
def test_python_becomes_commands_and_options(python: str, here: str) -> None:
    assert to_cli(python) == here
    assert "=" in here or to_cli(here) == here


def test_an_option_that_the_command_lacks_is_one_of_the_backend() -> None:
    token = CURRENT_OPTIONS.set({"--option", "--backend"})
    try:
        assert to_cli("media='share' or backend='cvat'") == "-o media=share or --backend cvat"
        CURRENT_OPTIONS.set({"--media"})
        assert to_cli("media='path'; mode='add'") == "--media path; --mode add"
    finally:
        CURRENT_OPTIONS.reset(token)
