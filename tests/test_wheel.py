"""The wheel works by itself: built, installed from the package index into an empty environment, and used from there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.server  # not a server, but as slow, and as much in need of the network
CLEAN = {
    n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "VIRTUAL_ENV") and not n.startswith("ANNOBRIDGE_")
}


def uv(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False, env=CLEAN, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--wheel", "--out-dir", folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with the wheel and its dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    uv("venv", "--quiet", "--python", sys.executable, folder)
    uv("pip", "install", "--quiet", "--python", folder / "bin" / "python", f"{wheel}")
    return folder / "bin"


def run(command: Sequence[str | Path], folder: Path) -> str:
    environment = {**CLEAN, "HOME": str(folder), "COLUMNS": "100"}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_types_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "annobridge/py.typed" in names
    for package in ("annobridge_cvat", "annobridge_datagym", "annobridge_files", "annobridge_pixano"):
        assert f"{package}/__init__.py" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "tools/"))]


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """With no option, it needs no server and no download."""
    found = json.loads(run([installed / "annobridge", "demo", "--json"], tmp_path))
    assert (found["report"]["added"], found["report"]["edited"], found["report"]["deleted"]) == (1, 4, 1)
    assert "conflict" not in run([installed / "annobridge", "info", Path(found["folder"]) / "dataset"], tmp_path)


def test_the_first_page_of_the_documentation_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    text = (ROOT / "docs/index.md").read_text("utf-8")
    code, output = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)[0]
    assert run([installed / "python", "-c", code], tmp_path) == output


def test_the_review_page_is_served_from_the_wheel(wheel: Path, installed: Path, tmp_path: Path) -> None:
    """With the extra, the page and all that it loads are there."""
    uv("pip", "install", "--quiet", "--python", installed / "python", f"{wheel}[review]")
    code = """
import re, requests
from annobridge import demo
ds = demo.street("street")
demo.correct(ds.annotate("round1", label_field="objects", backend="memory", progress=False))
with ds.plan_annotations("round1", progress=False).review("decisions.jsonl") as server, requests.Session() as session:
    session.get(server.url)  # which gives the cookie
    root = server.url.partition("?")[0]
    page = session.get(root).text
    print([session.get(root + name).status_code for name in re.findall(r'(?:src|href)="(static/[^"]+)"', page)])
    print(session.get(root + "api/plan").json()["changes"]["kind"])
    print(session.get(root + "api/samples/0/image").headers["content-type"])
"""
    codes, kinds, image = run([installed / "python", "-c", code], tmp_path).splitlines()
    assert codes == "[200, 200]"
    assert kinds == "['delete', 'edit', 'edit', 'edit', 'add']"
    assert image.startswith("image/")


def test_every_backend_and_format_is_found(installed: Path, tmp_path: Path) -> None:
    code = "from annobridge.formats import registry; import annobridge as ab; print(ab.list_backends(), len(registry.names()))"
    names, count = run([installed / "python", "-c", code], tmp_path).rsplit(maxsplit=1)
    assert names == "['cvat', 'datagym', 'files', 'labelstudio', 'memory', 'pixano']"
    assert int(count) >= 39
