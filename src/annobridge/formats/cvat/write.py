"""Write CVAT for images 1.1: one ``annotations.xml``, which CVAT takes as "CVAT 1.1" into a task or a project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import as_array, equal, list_array, list_lengths, points_known
from ...core.geometry import encode_rle, polygon_mask
from ..common.export import ExportData, ExportPart
from ..common.fidelity import NOTHING
from ..common.paint import has_holes
from ..common.xml_text import escape, escaped
from .declared import Declared, write_labels
from .write_rows import KINDS, elements

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'


def write(data: ExportData) -> None:
    """Write the file. Images have ids from 0, in each subset anew."""
    with (data.folder / "annotations.xml").open("w", encoding="utf-8", newline="\n") as file:
        file.write(HEAD)
        declared = Declared(data)
        _write_meta(file, data, declared)
        ids: Counter[str | None] = Counter()
        has_splits = data.splits != [None]
        for part in data.parts():
            texts = _texts(part, declared).to_pylist()
            names = escaped(part.items["name"]).to_pylist()
            rows = zip(names, part.items["split"].to_pylist(), part.items["width"].to_pylist(),
                       part.items["height"].to_pylist(), texts, strict=True)  # fmt: skip
            for name, split, width, height, text in rows:
                subset = f' subset="{escape(split or "default")}"' if has_splits else ""
                file.write(
                    f'  <image id="{ids[split]}" name="{name}"{subset} width="{width or 0}" height="{height or 0}">\n'
                )
                file.write(text)
                file.write("  </image>\n")
                ids[split] += 1
        file.write("</annotations>\n")
    if declared.has_tracks:
        data.notes.append("Track indexes are kept with tracks=True, which writes CVAT for video.")


def _write_meta(file: TextIO, data: ExportData, declared: Declared) -> None:
    has_splits = data.splits != [None]
    kind = "project" if has_splits else "task"
    file.write(f"  <meta>\n    <{kind}>\n      <name>annobridge</name>\n")
    if has_splits:
        subsets = "\n".join(escape(split or "default") for split in data.splits)
        file.write(f"      <subsets>{subsets}</subsets>\n      <tasks>\n")
        counts = Counter(data.items["split"].to_pylist())
        for number, split in enumerate(data.splits):  # datumaro looks for the subsets here
            subset = escape(split or "default")
            file.write(f"        <task>\n          <id>{number}</id>\n          <name>{subset}</name>\n")
            file.write(f"          <size>{counts[split]}</size>\n          <mode>annotation</mode>\n")
            file.write(f"          <subset>{subset}</subset>\n        </task>\n")
        file.write("      </tasks>\n")
    else:
        count = data.items.num_rows
        file.write(f"      <size>{count}</size>\n      <mode>annotation</mode>\n      <start_frame>0</start_frame>\n")
        file.write(f"      <stop_frame>{max(count - 1, 0)}</stop_frame>\n")
    write_labels(file, data.classes, declared)
    file.write(f"    </{kind}>\n  </meta>\n")


def _texts(part: ExportPart, declared: Declared) -> pa.Array:
    """The elements of each item of a part, as one text."""
    labels = written(part, declared)
    numbers, texts, places = [np.zeros(0, np.int64)], [pa.array([], pa.string())], [np.zeros(0, np.int64)]
    for kind in KINDS:
        at = np.flatnonzero(pc.equal(labels["kind"], kind).to_numpy())
        if at.size:
            rows = labels.take(pa.array(at)).combine_chunks()
            numbers.append(rows["item"].to_numpy() - part.first)
            texts.append(as_array(elements(rows, kind)))
            places.append(at + (labels.num_rows if kind == "classification" else 0))  # tags are the last
    owner, place = np.concatenate(numbers), np.concatenate(places)
    order = np.lexsort((place, owner))
    lists = list_array(np.bincount(owner, minlength=part.items.num_rows), pa.concat_arrays(texts).take(pa.array(order)))
    return pc.binary_join(lists, "")


def written(part: ExportPart, declared: Declared) -> pa.Table:
    """The labels with each part of polygons and polylines a row of its own; polygons with holes are masks."""
    labels = part.labels
    nothing = equal(labels["kind"], "keypoints") & (points_known(as_array(labels["points"])) == 0)
    if nothing.any():
        declared.lose(NOTHING, int(nothing.sum()))
        labels = labels.filter(pa.array(~nothing)).combine_chunks()
    counts = list_lengths(as_array(labels["points"]))
    several = (counts > 1) & np.isin(labels["kind"].to_numpy(), ["polygon", "polyline"])
    if not several.any():
        return labels
    made = [row for old in labels.filter(pa.array(several)).to_pylist() for row in _split(old, part, declared)]
    schema = labels.schema
    rows = pa.concat_tables([labels.filter(pa.array(~several)), pa.Table.from_pylist(made, schema=schema)])
    return rows.take(pc.sort_indices(rows["item"])).combine_chunks()


def _split(row: dict[str, Any], part: ExportPart, declared: Declared) -> Iterator[dict[str, Any]]:
    if row["kind"] == "polygon" and has_holes(row["points"]):
        item = part.items.slice(row["item"] - part.first, 1).to_pylist()[0]
        size = (item["width"], item["height"])
        rings = [np.asarray(ring, float) / size for ring in row["points"]]
        yield row | {
            "kind": "mask",
            "points": None,
            "mask": encode_rle(polygon_mask([r.tolist() for r in rings], size)),
        }
        return
    given = list(row["attributes"] or ())
    if not any(a["name"] == "group" for a in given):
        declared.group += 1
        given.append({"name": "group", "type": "int", "value": str(declared.group)})
    for ring in row["points"]:
        yield row | {"points": [ring], "attributes": sorted(given, key=lambda a: a["name"])}
