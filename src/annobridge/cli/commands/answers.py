"""The commands about the answers of several annotators: ``compare``, ``quality``, ``merge`` and ``load-answers``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...exceptions import ConfigError, InvalidOption
from .. import show
from ..changes import ROWS
from ..option_groups import CONSENSUS_PAIRS, Running, consensus_of
from ..options import (
    DatasetOption,
    DecisionsOption,
    JsonOption,
    KeyArgument,
    LoadOptions,
    Undecided,
    open_dataset,
    parse_one_or_pairs,
    parse_options,
)
from ..plan_text import report_parts, summary

if TYPE_CHECKING:
    from ...dataset import Dataset

Answers = Annotated[
    list[str],
    typer.Argument(
        metavar="ANSWER…", show_default=False,
        help="Label fields, or keys of loaded runs; or one run that several people answer in its tool. Then the dataset.",
    ),
]  # fmt: skip
# Not the option of other commands, which makes the dataset an argument, too: here, arguments are answers.
Place = Annotated[
    str | None,
    typer.Option(
        "--dataset", "-d", metavar="DATASET",
        help="The dataset, unless it is the last argument. Default: $ANNOBRIDGE_DATASET, or the current folder.",
    ),
]  # fmt: skip
Iou = Annotated[float, typer.Option(help="How alike two shapes have to be to be one object: intersection over union.")]
OfField = Annotated[str | None, typer.Option("--field", help="The field of runs that have several.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with all tables.")]
Rows = Annotated[int, typer.Option("--rows", min=0, help="How many images to list (JSON lists all).")]


def compare(
    answers: Answers,
    dataset: Place = None,
    iou: Iou = 0.5,
    field: OfField = None,
    rows: Rows = 10,
    html: Html = None,
    option: LoadOptions = None,
    as_json: JsonOption = False,
) -> None:
    """How far several annotators agree: by pair, class, attribute and image, the most disputed images first."""
    names, ds = _open(answers, dataset)
    found = ds.compare_annotations(names, iou, field, **parse_options(option))
    data = found.to_dict() | {"images": found.images.slice(0, None if as_json else rows).to_pylist()}
    try:
        data["coefficients"] = found.coefficients.to_pylist()
    except ConfigError as error:
        data["notes"] = [*data["notes"], str(error)]
    if html is not None:
        data["html"] = str(found.to_html(html))
    show.emit(data, as_json, _compared)


def quality(
    answers: Answers,
    dataset: Place = None,
    truth: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="The label field that is trusted. Default: what the tool trusts."),
    ] = None,
    iou: Iou = 0.5,
    field: OfField = None,
    html: Html = None,
    option: LoadOptions = None,
    as_json: JsonOption = False,
) -> None:
    """How good each annotator is, against the truth: precision, recall, mean IoU, attributes, with 95 % intervals."""
    names, ds = _open(answers, dataset)
    found = ds.annotation_quality(names, truth, iou, field, **parse_options(option))
    data = found.to_dict()
    if html is not None:
        data["html"] = str(found.to_html(html))
    show.emit(data, as_json, _measured)


def merge(
    *,
    answers: Answers,
    into: Annotated[str, typer.Option(metavar="FIELD", help="The field that gets the result.", show_default=False)],
    dataset: Place = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="The key of the run that records it.")] = None,
    field: OfField = None,
    consensus: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="quorum=, iou=, geometry=, classes=, weights.ANSWER= (repeatable)."),
    ] = None,
    decisions: DecisionsOption = None,
    undecided: Undecided = "take",
    force: Annotated[
        bool, typer.Option("--force", help="Also when most labels of the field would be deleted.")
    ] = False,
    running: Running,
    as_json: JsonOption = False,
) -> None:
    """Merge the answers of several annotators into one field; what fewer than the quorum have is left for a decision."""
    names, ds = _open(answers, dataset)
    chosen = consensus_of(consensus)
    if isinstance(chosen, bool):
        raise InvalidOption(
            f'--consensus none merges nothing; leave it out, or give "default", {CONSENSUS_PAIRS}, or "weights.ANSWER=…".'
        )
    report = ds.merge_annotations(
        names, into, chosen, key, field, decisions=decisions, undecided=undecided, force=force, **running.arguments()
    )
    data = summary(ds, report, None if as_json else ROWS, "prompt") | {"version": report.version}
    show.emit(data, as_json, report_parts)


def load_answers(
    key: KeyArgument,
    dataset: DatasetOption = None,
    dest_field: Annotated[
        str, typer.Option("--dest-field", help="The name of each field, of {field} and {annotator}.")
    ] = "{field}_{annotator}",
    unexpected: Annotated[
        list[str] | None,
        typer.Option(help="Labels outside the schema: prompt, keep, ignore, return, or TYPE=FIELD (repeatable)."),
    ] = None,
    option: LoadOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Load the answer of each annotator of a run into a field of its own."""
    ds = open_dataset(dataset)
    choice = parse_one_or_pairs(unexpected, "--unexpected", "polylines=lanes") or "prompt"
    reports = ds.load_answers(key, dest_field, unexpected=choice, **parse_options(option))
    data = {name: summary(ds, report, None if as_json else 0, "prompt") for name, report in reports.items()}
    show.emit(data, as_json, _loaded)


def _open(answers: list[str], dataset: str | None) -> tuple[list[str], Dataset]:
    """The names, and the dataset, which may be the last of them."""
    last = answers[-1]
    if dataset is None and len(answers) > 1 and ("://" in last or Path(last).is_dir()):
        return answers[:-1], open_dataset(last)
    return answers, open_dataset(dataset)


def _compared(data: dict[str, Any]) -> Iterator[Any]:
    yield show.heading(f"{', '.join(data['annotators'])} (IoU {data['iou']})")
    yield _table(data["pairs"], ["left", "right", "agreed", "precision", "recall", "f1", "mean_iou"])
    coefficients = [row for row in data.get("coefficients", ()) if row["component"] == "class"]
    if coefficients:
        yield _table(coefficients, ["coefficient", "left", "right", "units", "value"])
    if data["attributes"]:
        yield _table(data["attributes"], ["left", "right", "attribute", "compared", "equal", "accuracy"])
    confused = [r for r in data["confusion"] if r["left_class"] != r["right_class"]]
    if confused:
        confused.sort(key=lambda row: -row["count"])
        yield _table(confused[:10], ["left", "right", "left_class", "right_class", "count"])
    disputed = [row for row in data["images"] if row["disagreement"]]
    if disputed:
        yield _table(disputed, ["sample_id", "annotators", "labels", "disagreement"])
    yield from (f"Note: {note}" for note in data["notes"])
    yield from _where(data)


def _measured(data: dict[str, Any]) -> Iterator[Any]:
    yield show.heading(f"Against {data['truth']} (IoU {data['iou']}), with 95 % intervals")
    columns = ["labels", "precision", "recall", "mean_iou"]
    for name, first in (("annotators", ["annotator"]), ("classes", ["annotator", "class"])):
        yield _table([_with_intervals(row) for row in data[name]], [*first, *columns])
    if data["attributes"]:
        rows = [_with_intervals(row) for row in data["attributes"]]
        yield _table(rows, ["annotator", "attribute", "compared", "accuracy"])
    yield from (f"Note: {note}" for note in data["notes"])
    yield from _where(data)


def _with_intervals(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its rates as texts, each with its interval."""
    rates = [name.removesuffix("_low") for name in row if name.endswith("_low") and row[name] is not None]
    return row | {n: f"{row[n]:.3f} ({row[f'{n}_low']:.3f}–{row[f'{n}_high']:.3f})" for n in rates}


def _loaded(data: dict[str, Any]) -> Iterator[Any]:
    rows = [
        [name, field, counts["add"], counts["edit"], counts["delete"]]
        for name, report in data.items()
        for field, counts in report["fields"].items()
    ]
    numbers = ("added", "edited", "deleted")
    yield show.table(["annotator", "field", *numbers], rows, numbers)


def _where(data: dict[str, Any]) -> Iterator[str]:
    if "html" in data:
        yield f"All tables are in {data['html']}."


def _table(rows: list[dict[str, Any]], columns: list[str]) -> Any:
    cells = [[f"{row[n]:.3f}" if isinstance(row[n], float) else row[n] for n in columns] for row in rows]
    numbers = [n for n in columns if any(isinstance(row[n], int | float) for row in rows)]
    return show.table([n.replace("_", " ") for n in columns], cells, [n.replace("_", " ") for n in numbers])
