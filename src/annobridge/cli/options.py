"""What the commands have in common: their options, and how the texts of the command line become values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import DatasetNotFound, InvalidOption

if TYPE_CHECKING:
    from ..dataset import Dataset

Place = Annotated[
    str | None,
    typer.Option(
        "--dataset", "-d", envvar="ANNOBRIDGE_DATASET", metavar="PATH",
        help="The dataset: a folder, or s3://, gs://, az://. Default: the current folder.",
    ),
]  # fmt: skip
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key of the annotation run.", show_default=False)]
Given = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="NAME=VALUE", help="An option of the backend, as url=http://…; repeatable."),
]
UNEXPECTED = "--unexpected keep | ignore | return | TYPE=FIELD"
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def open_dataset(place: str | None) -> Dataset:
    """The dataset of ``--dataset``, of the environment, or of the current folder."""
    if place is None:
        if not Path("annotation_runs.lance").is_dir():
            raise DatasetNotFound(
                "The current folder is not an annobridge dataset; give --dataset PATH, or set ANNOBRIDGE_DATASET."
            )
        place = str(Path.cwd())
    from ..dataset import load_dataset

    return load_dataset(place)


def pairs(texts: Sequence[str] | None, option: str = "--option") -> dict[str, str]:
    """``name=value`` texts as a dictionary."""
    found = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InvalidOption(f"{option} {text!r} should be NAME=VALUE, as {option} url=http://127.0.0.1:7492.")
        found[name.strip()] = value
    return found


def backend_options(texts: Sequence[str] | None) -> dict[str, Any]:
    """The backend's options; true, false, null, lists and tables are read as JSON, all else is text."""
    return {name: _value(text) for name, text in pairs(texts).items()}


def _value(text: str) -> Any:
    if text in ("true", "false", "null") or text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def words(text: str | None) -> list[str] | None:
    """``a,b`` as a list."""
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def one_or_many(texts: Sequence[str] | None, option: str) -> Any:
    """A single value as it is, or ``name=value`` texts as a dictionary; nothing for nothing."""
    if not texts:
        return None
    return texts[0] if len(texts) == 1 and "=" not in texts[0] else pairs(texts, option)
