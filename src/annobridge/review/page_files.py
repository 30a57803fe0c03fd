"""The files of the page: exactly those that the package has."""

from __future__ import annotations

from importlib import resources

PAGE, ENTRY, STYLE, SUMMARY_STYLE = "index.html", "main.js", "review.css", "summary.css"


def page_files() -> dict[str, bytes]:
    """The files of the page by name."""
    folder = resources.files(__package__) / "page"
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
