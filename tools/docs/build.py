"""The site: Zensical's build, then a Markdown twin beside every page, ``llms.txt`` and ``llms-full.txt`` over the navigation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_SNIPPET = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)
_FILES = ("mkdocs.yml", "CHANGELOG.md")  # what a build reads beside docs/ and the packages
_DIRECTIVE = re.compile(r"^::: (\S+)\n(?:    .*\n)*", re.MULTILINE)
_REFERENCE = re.compile(r"\[([^\[\]\n]+)\]\[(annobridge[\w.]*)\]")
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_NO_PROSE = ("#", "-", "|", "<", "!", ":", "`format=", "    ")  # how blocks begin that say nothing about their page


class SiteError(Exception):
    """The site cannot be built; the message is what Zensical printed."""


def build(root: Path, target: Path) -> Path:
    """Build the site of a project into ``target``, and return that folder. Builds at the same time do not meet.

    Raises ``SiteError`` for a broken link or anchor, a page that is missing, or a name that cannot be found.
    """
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="annobridge-site-") as folder:
        shutil.copytree(root / "docs", Path(folder, "docs"))
        for name in _FILES:
            if (root / name).exists():
                shutil.copy(root / name, folder)
        search = [str(root / "src"), str(root / "backends"), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
            cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(search), "NO_COLOR": "1"}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SiteError(f"{done.stdout}\n{done.stderr}")
        shutil.copytree(Path(folder, _config(root).get("site_dir", "site")), target)
    if "site_url" not in _config(root):
        (target / "sitemap.xml").unlink(missing_ok=True)  # it has whole addresses, and so is empty without a host
    write_twins(root, target)
    return target


def navigation(root: Path) -> list[tuple[str, str, str]]:
    """Section, title and page of every entry, in order."""
    return list(_entries(_config(root)["nav"], ""))


def _config(root: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((root / "mkdocs.yml").read_text("utf-8"))
    return config


def _entries(nav: list[Any], section: str) -> Iterator[tuple[str, str, str]]:
    for entry in nav:
        if isinstance(entry, str):
            yield section, section, entry
            continue
        for title, below in entry.items():
            if isinstance(below, list):
                yield from _entries(below, title)
            else:
                yield section, title, below


def write_twins(root: Path, site: Path) -> None:
    """Write the Markdown of each page beside it, and both files for language models."""
    config = _config(root)
    entries = navigation(root)
    texts: dict[str, str] = {}
    for _, _, page in entries:
        texts[page] = markdown_of(root, page)
        (site / page).write_text(texts[page], "utf-8")
    lines = [f"# {config['site_name']}", "", f"> {config['site_description']}"]
    last = None
    for section, title, page in entries:
        if section != last:
            lines += ["", f"## {section or 'Start'}", ""]
            last = section
        lines.append(f"- [{title}]({page}){_summary(texts[page])}")
    (site / "llms.txt").write_text("\n".join(lines) + "\n", "utf-8")
    full = [f"<!-- {page} -->\n\n{texts[page].strip()}" for _, _, page in entries]
    (site / "llms-full.txt").write_text("\n\n".join(full) + "\n", "utf-8")


def markdown_of(root: Path, page: str) -> str:
    """A page as Markdown: files that it includes are in it, and names of the API with their signatures and docstrings."""
    from . import api

    text = (root / "docs" / page).read_text("utf-8")
    text = _SNIPPET.sub(lambda found: (root / found[1]).read_text("utf-8"), text)
    text = _DIRECTIVE.sub(lambda found: f"{api.markdown(found[1])}\n\n", text)
    homes = _homes(root)
    return _REFERENCE.sub(lambda found: _link(found[1], homes.get(".".join(found[2].split(".")[:2])), page), text)


def _homes(root: Path) -> dict[str, str]:
    """The page that has each name of the API."""
    paths = sorted((root / "docs").rglob("*.md"))
    return {
        name: path.relative_to(root / "docs").as_posix()
        for path in paths
        for name in _DIRECTIVE.findall(path.read_text("utf-8"))
    }


def _link(text: str, home: str | None, page: str) -> str:
    """A reference to a name of the API as a link to its page, or as text where that is this page or there is none."""
    return text if home in (None, page) else f"[{text}]({os.path.relpath(str(home), os.path.dirname(page))})"


def _summary(text: str) -> str:
    """The first sentence of a page: of its introduction, else of its first section with prose."""
    prose = re.sub(r"<!-- ([\w: .-]+): begin -->.*?<!-- \1: end -->", "", text, flags=re.DOTALL)
    for block in re.split(r"\n{2,}", _FENCE.sub("", prose))[1:]:
        if block.strip() and not block.startswith(_NO_PROSE):
            sentence = re.split(r"(?<=[.!?])\s", " ".join(block.split()))[0]
            return ": " + re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", sentence).rstrip(":")
    return ""
