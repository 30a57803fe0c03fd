"""Lists of classes: files with a class on each line, and options of reading that give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator

from .archive import Archive


def listed(value: object) -> object:
    """A list as a command line has it: ``car,person``."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


ClassList = Annotated[tuple[str, ...], BeforeValidator(listed)]


def read_classes(archive: Archive, name: str) -> tuple[str, ...]:
    """The classes of a file with one on each line; blank lines at its end are none."""
    return tuple(line.strip() for line in archive.text(name).rstrip().splitlines())


def classes_text(classes: Sequence[str]) -> str:
    """The text of such a file."""
    return "".join(f"{name}\n" for name in classes)
