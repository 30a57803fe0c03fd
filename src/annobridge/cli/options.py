"""What the commands have in common: their options, and how the texts of the command line become values."""

from __future__ import annotations

import functools
import inspect
import json
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import DatasetNotFound, InvalidOption

if TYPE_CHECKING:
    from ..dataset import Dataset

Place = Annotated[
    str | None,
    typer.Option(
        "--dataset", "-d", metavar="PATH",
        help="The dataset: a folder, or s3://, gs://, az://. Default: $ANNOBRIDGE_DATASET, or the current folder.",
    ),
]  # fmt: skip
_Positional = Annotated[
    str | None, typer.Argument(metavar="DATASET", help="The same as --dataset.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key of the annotation run.", show_default=False)]
Given = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="NAME=VALUE", help="An option of the backend, as url=http://…; repeatable."),
]
UNEXPECTED = "--unexpected keep | ignore | return | TYPE=FIELD"
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def located(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose dataset may also be its last argument: ``annobridge plan KEY DATASET``. Before the key is as good."""
    signature = inspect.signature(command, eval_str=True)
    if "dataset" not in signature.parameters or signature.parameters["dataset"].annotation != Place:
        return command
    others = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
    first = [p for p in others if p.default is inspect.Parameter.empty]

    @functools.wraps(command)
    def run(*, place: str | None = None, **given: Any) -> Any:
        if [p.name for p in first] == ["key"]:
            given["key"], place = _key_and_place(given["key"], place)
        if place is not None and given["dataset"] not in (None, place):
            raise typer.BadParameter(f"The dataset is given twice, as {place!r} and as {given['dataset']!r}; give one.")
        return command(**given | {"dataset": place or given["dataset"]})

    place = inspect.Parameter("place", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Positional)
    parameters = [*first, place, *(p for p in others if p not in first)]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _key_and_place(key: str, place: str | None) -> tuple[str, str | None]:
    """The key and the dataset, in whatever order they were given: a key is a plain name, which a path seldom is."""
    is_place = not key.isidentifier() or Path(key).is_dir()
    if place is None and is_place and (Path(key).is_dir() or "://" in key):
        raise typer.BadParameter(f"{key!r} is a place, and no key; give the key of a run too.")
    if place is not None and is_place and place.isidentifier() and not Path(place).is_dir():
        return place, key
    return key, place


def open_dataset(place: str | None) -> Dataset:
    """The dataset that was given, that of the environment, or the one in the current folder."""
    place = place or os.environ.get("ANNOBRIDGE_DATASET") or None
    if place is None:
        if not Path("annotation_runs.lance").is_dir():
            raise DatasetNotFound(
                "The current folder is not an annobridge dataset; give --dataset PATH, or set ANNOBRIDGE_DATASET."
            )
        place = str(Path.cwd())
    from ..dataset import load_dataset

    return load_dataset(place)


def pairs(
    texts: Sequence[str] | None, option: str = "--option", example: str = "url=http://127.0.0.1:7492"
) -> dict[str, str]:
    """``name=value`` texts as a dictionary."""
    found = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InvalidOption(f"{option} {text!r} should be NAME=VALUE, as {option} {shlex.quote(example)}.")
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
