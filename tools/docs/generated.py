"""The parts of the documentation that are made from declarations: tables of tools and formats, settings, the command line.

A part lies between two comments of a page, ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

from annobridge.backend import registry as backends
from annobridge.backend import table as capabilities
from annobridge.formats import registry as formats
from annobridge.formats import table as fidelity

from . import cli, options

_KEY = re.compile(r'^  \["(\w+)", "([^"]+)", "([^"]+)", "([^"]+)"\],$', re.MULTILINE)
_MARK = re.compile(r"<!-- ([\w: .-]+): begin -->\n(.*?)<!-- \1: end -->", re.DOTALL)


def write(root: Path) -> Iterator[str]:
    """Write the generated parts of all pages; yields the names of the files that changed."""
    made = parts()
    for path in pages(root):
        old = path.read_text("utf-8")
        new = filled(old, made)
        if new != old:
            path.write_text(new, "utf-8")
            yield str(path.relative_to(root))


def pages(root: Path) -> list[Path]:
    """The README and all pages of the site."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def filled(text: str, made: Mapping[str, str]) -> str:
    """A page with its generated parts as they are now. Raises ``KeyError`` for a part that nothing makes."""

    def anew(found: re.Match[str]) -> str:
        return f"<!-- {found[1]}: begin -->\n{made[found[1]]}\n<!-- {found[1]}: end -->"

    return _MARK.sub(anew, text)


def parts() -> dict[str, str]:
    """Each generated part by its name."""
    tools = [backends.get(name) for name in backends.names()]
    made = {
        "capabilities": capabilities.markdown(tools),
        "fidelity": fidelity.markdown(fidelity.installed()),
        "commands": cli.markdown(),
        "review keys": review_keys(),
        "settings": options.of_backends(tools),
        "format options: common": options.common(),
    }
    made |= {f"tool: {tool.name}": options.of_tool(tool) for tool in tools}
    return made | {f"format: {name}": options.of_format(formats.get(name)) for name in formats.names()}


def review_keys() -> str:
    """The keys of the review page, from the table that its help shows."""
    text = resources.files("annobridge.review").joinpath("page/keys.js").read_text("utf-8")
    rows = [
        f"| {' '.join(f'`{key}`' for key in keys.split(' '))} | {what} | {part} |"
        for _, keys, what, part in _KEY.findall(text)
    ]
    return "\n".join(["| key | | |", "| --- | --- | --- |", *rows])
