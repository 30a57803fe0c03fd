"""Options that several commands share, and the parsing of option texts into values."""

from __future__ import annotations

import functools
import inspect
import json
import os
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.models import ArgumentInfo

from ..exceptions import DatasetNotFound, InvalidOption, InvalidSchema

if TYPE_CHECKING:
    from ..dataset import Dataset

DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset", "-d", metavar="PATH",
        help="The dataset: a folder, or s3://, gs://, az://. Default: $ANNOBRIDGE_DATASET, or the current folder.",
    ),
]  # fmt: skip
_DatasetArgument = Annotated[
    str | None, typer.Argument(metavar="DATASET", help="The same as --dataset.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key of the annotation run.", show_default=False)]
BackendOptions = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="NAME=VALUE", help="An option of the backend, as url=http://…; repeatable."),
]
FormatOptions = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="NAME=VALUE", help="Any other option of the format; repeatable."),
]
ALL_CHECKS = "all"
CheckOption = Annotated[
    list[str] | None,
    typer.Option(
        "--check", metavar="[NAME[.PARAMETER=VALUE]]",
        help="Run the checks of plans: all, or NAME; NAME.PARAMETER=VALUE sets a limit. Repeatable. Exits with 3 on errors.",
    ),
]  # fmt: skip
PathOption = Annotated[
    Path | None,
    typer.Option("--path", metavar="FILE", help="Take the labels from a zip, folder or file instead of the tool."),
]
FormatOption = Annotated[
    str | None, typer.Option("--format", "-f", metavar="NAME", help="Its format, as coco; by default found by looking.")
]
LoadOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option", "-o", metavar="NAME=VALUE",
        help="An option of the backend, as url=http://…, or with --path of the format; repeatable.",
    ),
]  # fmt: skip
DecisionsOption = Annotated[
    Path | None,
    typer.Option(
        "--decisions", metavar="FILE", help="What people decided about single changes, as the review page wrote it."
    ),
]
Undecided = Annotated[
    str,
    typer.Option(help="Changes that nobody decided about: take (make them as proposed), or leave them for later."),
]
RowsOption = Annotated[int, typer.Option("--rows", min=0, help="How many changes to list (JSON lists all).")]
BackendName = Annotated[str | None, typer.Option("--backend", "-b", help="The tool; by default the configured one.")]
NewKey = Annotated[str, typer.Argument(metavar="KEY", help="A new name for this run, as round_1.", show_default=False)]
SchemaOption = Annotated[Path | None, typer.Option("--schema", help="A label schema instead: a .json or .toml file.")]
MediaField = Annotated[str, typer.Option("--media-field", help="The column with the files that are sent.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many samples.")]
Strict = Annotated[bool, typer.Option("--strict", help="Send nothing if some labels would not be sent as they are.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def with_dataset_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that takes its dataset as a positional argument too: ``annobridge plan KEY DATASET``, or ``DATASET KEY``.

    Commands without a ``DatasetOption`` are returned as they are.
    """
    signature = inspect.signature(command, eval_str=True)
    if "dataset" not in signature.parameters or signature.parameters["dataset"].annotation != DatasetOption:
        return command
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
    first = [p for p in parameters if p.default is inspect.Parameter.empty or _is_argument(p)]
    optional = [p for p in first if p.default is not inspect.Parameter.empty]

    @functools.wraps(command)
    def run(*, dataset_argument: str | None = None, **given: Any) -> Any:
        if [p.name for p in first] == ["key"]:
            given["key"], dataset_argument = _key_and_dataset(given["key"], dataset_argument)
        elif optional and dataset_argument is None and _is_dataset(given[optional[-1].name]):
            given[optional[-1].name], dataset_argument = optional[-1].default, given[optional[-1].name]
        if dataset_argument is not None and given["dataset"] not in (None, dataset_argument):
            raise typer.BadParameter(
                f"The dataset is given twice, as {dataset_argument!r} and as {given['dataset']!r}; give one."
            )
        return command(**given | {"dataset": dataset_argument or given["dataset"]})

    argument = inspect.Parameter(
        "dataset_argument", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_DatasetArgument
    )
    parameters = [*first, argument, *(p for p in parameters if p not in first)]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _is_argument(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is a positional one on the command line."""
    return any(isinstance(part, ArgumentInfo) for part in getattr(parameter.annotation, "__metadata__", ()))


def _is_dataset(text: str | None) -> bool:
    """Whether the value of an argument that may be left out is the dataset, which comes after it."""
    return text is not None and (Path(text).is_dir() or "://" in text)


def _key_and_dataset(key: str, dataset: str | None) -> tuple[str, str | None]:
    """The key and the dataset, in whichever order they were given: a key is an identifier, which a path seldom is."""
    is_path = not key.isidentifier() or Path(key).is_dir()
    if dataset is None and is_path and (Path(key).is_dir() or "://" in key):
        raise typer.BadParameter(f"{key!r} is a dataset, and no key; give the key of a run too.")
    if dataset is not None and is_path and dataset.isidentifier() and not Path(dataset).is_dir():
        return dataset, key
    return key, dataset


def dataset_place(uri: str | None) -> str:
    """The place that was given, that of ``$ANNOBRIDGE_DATASET``, or the current folder if it is a dataset."""
    uri = uri or os.environ.get("ANNOBRIDGE_DATASET") or None
    if uri is None:
        if not Path("annotation_runs.lance").is_dir():
            raise DatasetNotFound(
                "The current folder is not an annobridge dataset; give --dataset PATH, or set ANNOBRIDGE_DATASET."
            )
        uri = str(Path.cwd())
    return uri


def open_dataset(uri: str | None) -> Dataset:
    """The dataset at ``dataset_place``."""
    from ..dataset import load_dataset

    return load_dataset(dataset_place(uri))


def parse_pairs(
    texts: Sequence[str] | None, option: str = "--option", example: str = "url=http://127.0.0.1:7492"
) -> dict[str, str]:
    """``NAME=VALUE`` texts as a dictionary; ``option`` and ``example`` are for the message of ``InvalidOption``."""
    found = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InvalidOption(f'{option} {text!r} should be NAME=VALUE, as {option} "{example}".')
        found[name.strip()] = value
    return found


def parse_options(texts: Sequence[str] | None) -> dict[str, Any]:
    """Options of a backend or format: true, false, null, lists and objects are parsed as JSON, all else is text."""
    return {name: _parse_value(text) for name, text in parse_pairs(texts).items()}


def _parse_value(text: str) -> Any:
    if text in ("true", "false", "null") or text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def read_schema(path: Path | None) -> Any:
    """The label schema of a file; ``None`` without one. Raises ``InvalidSchema``."""
    if path is None:
        return None
    try:
        text = path.read_text("utf-8-sig")
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise InvalidSchema("", [f"The label schema {str(path)!r} cannot be read: {error.strerror}."]) from None
    except ValueError as error:
        raise InvalidSchema("", [f"The label schema {str(path)!r} is not well formed: {error}."]) from None


def parse_checks(texts: Sequence[str]) -> tuple[list[str] | None, dict[str, dict[str, str]]]:
    """Names of checks (``None``: none are given) and limits, of texts as ``NAME`` and ``NAME.PARAMETER=VALUE``.

    >>> parse_checks(["duplicates", "iou_floor.limit=0.3"])
    (['duplicates'], {'iou_floor': {'limit': '0.3'}})
    """
    names: list[str] = []
    limits: dict[str, dict[str, str]] = {}
    for text in texts:
        if text == ALL_CHECKS:
            continue
        left, sign, value = text.partition("=")
        name, dot, parameter = left.partition(".")
        if bool(sign) != bool(dot) or not name.strip() or (dot and not parameter.strip()):
            raise InvalidOption(
                f"--check {text!r} should be NAME or NAME.PARAMETER=VALUE, as --check share_of_deletions.limit=0.05."
            )
        if sign:
            limits.setdefault(name.strip(), {})[parameter.strip()] = value
        else:
            names.append(name.strip())
    return names or None, limits


def parse_one_or_pairs(texts: Sequence[str] | None, option: str, example: str) -> Any:
    """A single text as it is, or ``NAME=VALUE`` texts as a dictionary; ``None`` if there are none. As ``parse_pairs``."""
    if not texts:
        return None
    return texts[0] if len(texts) == 1 and "=" not in texts[0] else parse_pairs(texts, option, example)


def split_commas(text: str | None) -> list[str] | None:
    """``a, b`` as ``["a", "b"]``."""
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]
