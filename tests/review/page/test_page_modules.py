"""The modules of the page can become one script, and never make markup of a text."""

from __future__ import annotations

import re
from pathlib import Path

import annobridge.review

PAGE = Path(annobridge.review.__file__).parent / "page"
IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./(\w+)\.js";$', re.MULTILINE)
TOP_LEVEL = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)
FORBIDDEN = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "new Function",
    'setAttribute("style"',
    "cssText",
)


def modules() -> dict[str, str]:
    return {path.stem: path.read_text() for path in sorted(PAGE.glob("*.js"))}


def in_order(found: dict[str, str]) -> list[str]:
    """Names of modules, each after those that it imports."""
    done: list[str] = []

    def visit(name: str) -> None:
        if name not in done:
            for _, imported in IMPORT.findall(found[name]):
                visit(imported)
            done.append(name)

    visit("main")
    return done


def test_imports_have_one_form_and_name_what_is_exported() -> None:
    found = modules()
    for name, text in found.items():
        assert len(IMPORT.findall(text)) == len(re.findall(r"^import\b", text, re.MULTILINE)), name
        assert "import(" not in text, name
        for names, module in IMPORT.findall(text):
            exported = set(
                re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", found[module], re.MULTILINE)
            )
            assert set(names.split(", ")) <= exported, f"{name} imports from {module}"
        used = re.sub(r"^import .*$", "", text, flags=re.MULTILINE)
        for names, module in IMPORT.findall(text):
            for one in names.split(", "):
                assert re.search(rf"\b{one}\b", used), f"{name} does not use {one} of {module}"


def test_names_are_unique_across_modules() -> None:
    owners: dict[str, str] = {}
    for name, text in modules().items():
        for top in TOP_LEVEL.findall(text):
            assert top not in owners, f"{top} is in {owners.get(top)} and {name}"
            owners[top] = name


def test_every_module_is_needed_and_none_imports_in_a_circle() -> None:
    order = in_order(modules())
    assert sorted(order) == sorted(modules())
    for place, name in enumerate(order):
        for _, imported in IMPORT.findall(modules()[name]):
            assert order.index(imported) < place, f"{name} and {imported} import each other"


def test_no_text_becomes_markup() -> None:
    for name, text in modules().items():
        for word in FORBIDDEN:
            assert word not in text, f"{name}: {word}"


def test_the_html_has_nothing_that_the_policy_refuses() -> None:
    text = (PAGE / "index.html").read_text()
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|https?:", text)
    assert "url(" not in (PAGE / "review.css").read_text()


def test_modules_are_small() -> None:
    for name, text in modules().items():
        assert text.count("\n") <= 400, name
