"""The commands ``datasets``, ``info`` and ``doctor``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...exceptions import AnnobridgeError, DatasetNotFound
from ...store.remote import is_uri
from .. import show
from ..options import DatasetOption, JsonOption, dataset_place, open_dataset
from ..wording import to_cli
from .runs import run_summaries, runs_table

if TYPE_CHECKING:
    from ...dataset import Dataset
    from ...doctor import DoctorReport
    from ...doctor.storage import StorageReport


def datasets(
    folder: Annotated[Path, typer.Argument(help="The folder to look in.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """List the datasets in a folder."""
    from ...dataset import list_datasets, load_dataset

    def summary(name: str) -> dict[str, Any]:
        try:
            ds = load_dataset(folder / name)
            found: dict[str, Any] = {
                "samples": len(ds),
                "labels": ds.count_labels(),
                "runs": len(ds.list_annotation_runs()),
            }
        except AnnobridgeError as error:
            found = {"problem": to_cli(str(error))}
        return {"name": name, "path": str((folder / name).resolve()), **found}

    rows = [summary(name) for name in list_datasets(folder)]
    show.emit(rows, as_json, lambda data: _datasets(data, folder))


def _datasets(rows: list[dict[str, Any]], folder: Path) -> Iterator[Any]:
    if not rows:
        yield f"There is no dataset in {folder.resolve()}; `annobridge import IMAGES DATASET` makes one."
        return
    cells = [[r["name"], *(r.get(n, "–") for n in ("samples", "labels", "runs"))] for r in rows]
    yield show.heading(str(folder.resolve()))
    yield show.table(["dataset", "samples", "labels", "runs"], cells, ("samples", "labels", "runs"))
    for row in rows:
        if "problem" in row:
            yield f"{row['name']}: {row['problem']}"


def info(dataset: DatasetOption = None, as_json: JsonOption = False) -> None:
    """What is in a dataset: samples, label fields with their classes, and runs."""
    show.emit(_describe(open_dataset(dataset)), as_json, _info)


def _describe(ds: Dataset) -> dict[str, Any]:
    from ...core.schema import infer

    stats = infer.describe(ds.labels().to_reader())
    fields = [
        {
            "field": name,
            "types": sorted(s.types()),
            "labels": s.labels,
            "classes": sorted(s.classes),
            "attributes": {n: sorted(kinds) for n, kinds in sorted(s.attributes.items())},
        }
        for name, s in sorted(stats.items())
    ]
    return {"dataset": ds.uri, "samples": len(ds), "fields": fields, "runs": run_summaries(ds)}


def _info(data: dict[str, Any]) -> Iterator[Any]:
    labels = sum(f["labels"] for f in data["fields"])
    yield show.names_and_values(
        [("dataset", data["dataset"]), ("samples", f"{data['samples']:,}"), ("labels", f"{labels:,}")]
    )
    if data["fields"]:
        rows = [
            [f["field"], " + ".join(f["types"]), f"{f['labels']:,}", _first(f["classes"]), _first(f["attributes"])]
            for f in data["fields"]
        ]
        yield show.table(["field", "type", "labels", "classes", "attributes"], rows, ("labels",))
    if data["runs"]:
        yield runs_table(data["runs"])


def _first(names: Any, shown: int = 6) -> str:
    names = list(names)
    return ", ".join(names[:shown]) + (f", … ({len(names)})" if len(names) > shown else "")


def doctor(
    dataset: DatasetOption = None,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be repaired.")] = False,
    pixel_labels: Annotated[
        str,
        typer.Option(
            metavar="keep|rescale",
            help="With --repair, for images whose width and height were the wrong way round: the boxes and points that came from "
            "no tool are left as they are, or rescaled, as is right for those that were imported in pixels of the image as it is "
            "shown.",
        ),
    ] = "keep",
    storage: Annotated[
        bool | None,
        typer.Option(
            "--storage/--no-storage",
            help="Try out the place too: whether two processes may write there at once, permissions, the clock. By default for "
            "s3://, gs://, az:// only.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look for damage in a dataset, and repair it; try out whether its place is fit for it.

    What earlier versions, crashes and other programs may have left: sizes of images that EXIF data turn, ids that are there
    twice, values that may not be stored, labels without a sample, runs of one key. Without --repair, nothing of it is written.

    Labels that were drawn in a tool are right even where an image had the wrong size, and are never moved. Images that EXIF data
    only mirror or turn by a half (orientations 2 to 4) have the same size either way, and need nothing.

    The place: 8 threads create the same small file, 20 times. There need not be a dataset yet. The files are removed afterwards.

    Exit codes: 0 all is well, or was repaired; 1 something is left, or the place is not fit for two writers.
    """
    place = dataset_place(dataset)
    checked = _storage(place) if storage or (storage is None and is_uri(place)) else None
    report = _damage(place, repair, pixel_labels, may_be_missing=checked is not None)
    ok = (checked is None or checked.ok) and (report is None or report.ok)
    data: dict[str, Any] = {"dataset": place, "ok": ok} if report is None else report.to_dict() | {"ok": ok}
    show.emit(
        data if checked is None else data | {"storage": checked.to_dict()}, as_json, lambda _: _told(checked, report)
    )
    if not ok:
        raise typer.Exit(1)


def _storage(place: str) -> StorageReport:
    from ...doctor.storage import check_storage

    return check_storage(place)


def _damage(place: str, repair: bool, pixel_labels: str, may_be_missing: bool) -> DoctorReport | None:
    """What is wrong in a dataset; ``None`` if there is none."""
    try:
        return open_dataset(place).doctor(repair, pixel_labels)
    except DatasetNotFound:
        if not may_be_missing:
            raise
        return None


def _told(storage: StorageReport | None, report: DoctorReport | None) -> Iterator[Any]:
    if storage is not None:
        yield show.heading(storage.uri)
        yield from storage.lines()
        if report is None:
            yield "There is no dataset there yet."
    if report is not None:
        if storage is None:
            yield show.heading(report.dataset)
        yield from report.lines()


def protect(
    dataset: DatasetOption = None,
    field: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="A field, or a pattern as ground_truth*; without, list them.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the protection with this pattern.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let loads into some fields happen only with a decision of a person about every change."""
    ds = open_dataset(dataset)
    if field is not None:
        ds.protect(field, review=None if remove else "required")
    elif remove:
        raise typer.BadParameter("--remove needs --field, the pattern to remove.")
    show.emit({"protections": ds.protections()}, as_json, _protections)


def _protections(data: dict[str, Any]) -> Iterator[Any]:
    if not data["protections"]:
        yield "No field is protected."
    else:
        yield show.table(["fields", "review"], [[p, review] for p, review in data["protections"].items()])
