"""The site is built strictly, and what was built has what it is to have: Zensical ignores what it does not know."""

from __future__ import annotations

import inspect
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from filelock import FileLock
from tests.docs.pages import ROOT
from tools.docs import api, build

import annobridge as ab

SHOWN_WHOLE = [
    ab.Dataset, ab.View, ab.AnnotationResults, ab.MergePlan, ab.LoadReport, ab.Agreement, ab.Quality, ab.AnnotationBackend,
]  # fmt: skip


class Page(HTMLParser):
    """The ids and the links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.hosts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        loaded = given.get("src") or (given.get("href") if tag == "link" else None)
        if loaded:
            self.links.append(loaded)
            self.hosts.append(urlsplit(loaded).netloc)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Path:
    """The site, built once for all workers of a run."""
    folder = tmp_path_factory.getbasetemp().parent / f"site-{testrun_uid}"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            build.build(ROOT, folder.with_suffix(".new")).rename(folder)
    return folder


@pytest.fixture(scope="session")
def built(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}


def test_every_page_of_the_navigation_is_built_with_its_twin(site: Path) -> None:
    pages = [page for _, _, page in build.navigation(ROOT)]
    assert sorted(pages) == sorted({str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")})
    for page in pages:
        assert (site / page).with_suffix(".html").exists(), page
        assert (site / page).read_text("utf-8").startswith("# "), page


def test_no_link_is_broken(site: Path, built: dict[Path, Page]) -> None:
    broken = []
    for path, page in built.items():
        if path.name == "404.html":
            continue  # its links begin at the root of the server
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                broken.append(f"{path.relative_to(site)}: {link}")
            elif parts.fragment and target in built and unquote(parts.fragment) not in built[target].ids:
                broken.append(f"{path.relative_to(site)}: {link} has no such anchor")
    assert broken == []


def test_nothing_is_loaded_from_another_host(built: dict[Path, Page]) -> None:
    assert {host for page in built.values() for host in page.hosts if host} == set()


def test_every_public_name_has_an_entry(built: dict[Path, Page]) -> None:
    ids = set().union(*(page.ids for path, page in built.items() if path.parent.name == "api"))
    assert sorted(f"annobridge.{name}" for name in ab.__all__ if f"annobridge.{name}" not in ids) == []
    for thing in SHOWN_WHOLE:
        names = [f"annobridge.{thing.__name__}.{name}" for name, _ in api.members(thing)]
        assert sorted(set(names) - ids) == []


def test_every_entry_has_a_text() -> None:
    for thing in SHOWN_WHOLE:
        for name, value in api.members(thing):
            assert inspect.getdoc(getattr(value, "__func__", value)), f"{thing.__name__}.{name} has no docstring"


def test_no_directive_and_no_include_is_left(site: Path, built: dict[Path, Page]) -> None:
    for path in [*built, *site.rglob("*.md"), site / "llms-full.txt"]:
        text = path.read_text("utf-8")
        assert not re.search(r"^(?:<p>)?::: |--8<--|<!-- [\w: .-]+: begin -->\n<!--", text, re.MULTILINE), path


def test_the_code_is_highlighted_and_can_be_copied(site: Path) -> None:
    text = (site / "index.html").read_text("utf-8")
    assert 'class="highlight"' in text
    assert "content.code.copy" in text


def test_the_files_for_language_models_name_every_page(site: Path) -> None:
    short, full = ((site / name).read_text("utf-8") for name in ("llms.txt", "llms-full.txt"))
    for _, title, page in build.navigation(ROOT):
        assert f"- [{title}]({page})" in short
        assert f"<!-- {page} -->" in full
    assert "### load_annotations(" in full  # docstrings of the API too
    assert short.startswith("# annobridge\n\n> ")


def test_no_address_of_a_host_is_made_up(site: Path, built: dict[Path, Page]) -> None:
    assert not (site / "sitemap.xml").exists()
    for path in built:
        assert 'rel="canonical"' not in path.read_text("utf-8").replace("rel=canonical", 'rel="canonical"'), path


def test_the_twins_have_no_reference_that_only_the_builder_knows(site: Path) -> None:
    for path in [*site.rglob("*.md"), site / "llms-full.txt"]:
        assert not re.search(r"\]\[annobridge", path.read_text("utf-8")), path
    assert "return `AnnotationResults`, `plan_annotations`" in (site / "api/runs.md").read_text("utf-8")


def test_a_reference_is_a_link_to_the_page_that_has_the_name(tmp_path: Path) -> None:
    pages = {
        "api/runs.md": "# Runs\n\nA [`Run`][annobridge.Run].\n\n::: annobridge.LabelSchema\n",
        "guide/runs.md": "# Runs\n\n[`LabelSchema`][annobridge.LabelSchema.to_dict], [x][annobridge.gone] and `a[0][1]`.\n",
    }
    for name, text in pages.items():
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text(text)
    made = build.markdown_of(tmp_path, "guide/runs.md")
    assert made == "# Runs\n\n[`LabelSchema`](../api/runs.md), x and `a[0][1]`.\n"
    assert build.markdown_of(tmp_path, "api/runs.md").startswith("# Runs\n\nA `Run`.\n\n## annobridge.LabelSchema")


def test_every_page_is_described_by_prose(site: Path) -> None:
    for line in (site / "llms.txt").read_text("utf-8").splitlines():
        if line.startswith("- "):
            text = line.partition("): ")[2]
            assert text, line
            assert not re.search(r"```|^(?:import|print|ds =|annobridge (?:import|export)) |\]\(|\| ", text), line


def test_a_broken_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A\n\n[b](b.md)\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: a\nsite_description: b\nnav: [Home: index.md]\n")
    with pytest.raises(build.SiteError, match="page does not exist"):
        build.build(tmp_path, tmp_path / "build" / "site")


def test_version_pills_name_versions_of_the_changelog() -> None:
    known = re.findall(r"^## (\d+\.\d+)\.\d+", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    for path in (ROOT / "docs").rglob("*.md"):
        for version in re.findall(r'<span class="since">since ([^<]+)</span>', path.read_text("utf-8")):
            assert version in known, f"{path.name}: since {version}"
