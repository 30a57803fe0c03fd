"""Commands, run in this process: what the tests of several of them share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from annobridge.backend.memory import SERVERS
from annobridge.cli import app

URL = "memory://cli"
MEMORY = ("-o", f"url={URL}")


def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No configuration of the machine, a screen of a fixed width, and an empty memory server; to be made a fixture."""
    for name in ("DATASET", "DEFAULT_BACKEND", "EXECUTOR", "WORKERS", "EXECUTOR_ADDRESS"):
        monkeypatch.delenv(f"ANNOBRIDGE_{name}", raising=False)
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    yield
    SERVERS.pop(URL, None)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def data(*arguments: str, code: int = 0) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)
