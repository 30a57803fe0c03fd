"""The code of ``docs/extend/check.md`` runs as it stands, and its table of checks is what is shipped."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from tests.bridge.conftest import Bridge
from tests.docs.pages import ROOT, make_module
from typer.testing import CliRunner

from annobridge import checks
from annobridge.cli import app

DOCS = ROOT / "docs"
PAGE = DOCS / "extend/check.md"
WORKFLOW = DOCS / "recipes/ci.md"
TEXT = PAGE.read_text("utf-8")
_, _tests = make_module(PAGE, "lying_people")
exec(compile(_tests, f"{PAGE.name}, the tests", "exec"))  # defines test_boxes_that_are_wider_than_high_are_told


def test_the_table_has_the_shipped_checks_and_their_limits() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| (error|warning) \|$", TEXT, re.MULTILINE)
    told = {name: dict(re.findall(r"`(\w+)=([\d.]+)`", limits)) for name, limits, _ in rows}
    shipped = [name for name in checks.names() if checks.get(name).function.__module__.startswith("annobridge.")]
    assert told == {name: {k: str(v) for k, v in checks.get(name).parameters.items()} for name in shipped}


@pytest.fixture
def steps() -> list[dict[str, Any]]:
    """The steps of the workflow."""
    (text,) = re.findall(r"```yaml\n(.*?)```", WORKFLOW.read_text("utf-8"), re.DOTALL)
    found: list[dict[str, Any]] = yaml.safe_load(text)["jobs"]["plan"]["steps"]
    return found


@pytest.mark.parametrize("option", ["--check", "--html"])
def test_the_workflow_gives_options_that_there_are(steps: list[dict[str, Any]], option: str) -> None:
    (line,) = [line for step in steps for line in step.get("run", "").splitlines() if option in line]
    _, name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined, arg-type]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("--")} <= known


def test_the_workflow_writes_the_counts_and_findings(sent: Bridge, steps: list[dict[str, Any]], tmp_path: Path) -> None:
    sent.hands.delete("car0", "man1")
    given = ["plan", "r", "-d", str(sent.path), "-o", f"url={sent.url}", "--check", "share_of_deletions.at_least=1"]
    result = CliRunner().invoke(app, [*given, "--json"])
    plan = json.loads(result.stdout)
    plan["checks"]["findings"][0]["sentence"] += " ``` @everybody"
    (tmp_path / "plan.json").write_text(json.dumps(plan), "utf-8")
    (code,) = [step["run"] for step in steps if step.get("shell") == "python"]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "comment.md").read_text("utf-8") == (
        "Plan of r\n```text\nobjects: +0 ~0 -2\n\nchecks: 2 errors by 7 checks\n"
        "error: 1 label 'car' of 'objects' would be deleted, 25 % of 4; up to 2 % may be. ''' @everybody (share_of_deletions)\n"
        "error: 1 label 'person' of 'objects' would be deleted, 25 % of 4; up to 2 % may be. (share_of_deletions)\n```\n"
    )


def test_the_page_is_short() -> None:
    assert len(TEXT.splitlines()) <= 150
