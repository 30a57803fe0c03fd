"""Write CVAT for images 1.1: one ``annotations.xml``, which CVAT takes as "CVAT 1.1" into a task or a project."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, equal, list_array, list_lengths, points_known
from ...core.geometry import encode_rle, polygon_mask
from ..common.export import ExportData, ExportPart
from ..common.fidelity import NOTHING
from ..common.paint import has_holes
from ..common.skeletons import POINT_NAMES, point_names
from ..common.xml_text import escape, escaped
from .write_rows import KINDS, SCORE, elements

_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'


def write(data: ExportData) -> None:
    """Write the file. Images have ids from 0, in each subset anew."""
    with (data.folder / "annotations.xml").open("w", encoding="utf-8", newline="\n") as file:
        file.write(_HEAD)
        declared = _Declared(data)
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


class _Declared:
    """What the labels of an export have: attributes by class, skeletons, the largest group."""

    def __init__(self, data: ExportData) -> None:
        self.lose = data.lose
        self.types: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.skeletons: dict[str, tuple[str, ...]] = {}
        self.kinds: dict[str, set[str]] = defaultdict(set)
        self.group = 0
        for labels in data.label_tables():
            if not labels.num_rows:
                continue
            self._see_kinds(labels)
            rows, flat = attributes.flattened(labels["attributes"])
            if len(flat):
                self._see_attributes(labels, rows, flat)
            if as_array(labels["confidence"]).null_count < labels.num_rows:
                scored = labels.filter(labels["confidence"].is_valid())
                for name in pc.unique(scored["label"]).to_pylist():
                    self.types[name or ""][SCORE].add("float")

    def _see_kinds(self, labels: pa.Table) -> None:
        pairs = labels.select(["label", "kind"]).group_by(["label", "kind"]).aggregate([])
        for name, kind in zip(pairs["label"].to_pylist(), pairs["kind"].to_pylist(), strict=True):
            self.kinds[name or ""].add(kind)
        for row in labels.filter(pc.equal(labels["kind"], "skeleton")).to_pylist():
            given = {a["name"]: a["value"] for a in row["attributes"] or ()}
            self.skeletons.setdefault(row["label"], tuple(point_names(given.get(POINT_NAMES), len(row["points"][0]))))

    def _see_attributes(self, labels: pa.Table, rows: np.ndarray, flat: pa.StructArray) -> None:
        table = pa.table({
            "label": as_array(labels["label"]).take(pa.array(rows)), "name": flat.field("name"), "type": flat.field("type"),
        })  # fmt: skip
        for row in table.group_by(["label", "name", "type"]).aggregate([]).to_pylist():
            self.types[row["label"] or ""][row["name"]].add(row["type"])
        groups = as_array(attributes.column(labels["attributes"], "group"))
        whole = pc.and_(pc.equal(groups.field("type"), "int"), pc.less(pc.utf8_length(groups.field("value")), 10))
        found = pc.max(groups.field("value").filter(pc.fill_null(whole, False)).cast(pa.int64())).as_py()
        self.group = max(self.group, found or 0)


def _write_meta(file: TextIO, data: ExportData, declared: _Declared) -> None:
    has_splits = data.splits != [None]
    kind = "project" if has_splits else "task"
    file.write(f"  <meta>\n    <{kind}>\n      <name>annobridge</name>\n")
    if has_splits:
        subsets = "\n".join(escape(split or "default") for split in data.splits)
        file.write(f"      <subsets>{subsets}</subsets>\n")
    else:
        count = data.items.num_rows
        file.write(f"      <size>{count}</size>\n      <mode>annotation</mode>\n      <start_frame>0</start_frame>\n")
        file.write(f"      <stop_frame>{max(count - 1, 0)}</stop_frame>\n")
    file.write("      <labels>\n")
    for name in data.classes:
        points = declared.skeletons.get(name)
        only = declared.kinds.get(name, set()) == {"skeleton"}
        own = {} if points is None else _of_points(declared.types[name], points)
        _write_label(
            file,
            name,
            "skeleton" if only else "any",
            _of_label(declared.types.get(name, {}), points, declared.kinds[name]),
            None,
        )
        for point in points or ():
            _write_label(file, point, "points", own.get(point, {}), name)
    file.write(f"      </labels>\n    </{kind}>\n  </meta>\n")


def _of_label(types: dict[str, set[str]], points: tuple[str, ...] | None, kinds: set[str]) -> dict[str, set[str]]:
    """The attributes of a class itself that CVAT has no property for; tags and skeletons have fewer of these."""
    hidden = {"group": {"int"}}
    if "classification" not in kinds:
        hidden |= {"z_order": {"int"}} | ({"occluded": {"bool"}} if "skeleton" not in kinds else {})
    given = {name: found for name, found in types.items() if hidden.get(name) != found and name != "source"}
    if points is None:
        return given
    return {n: t for n, t in given.items() if n != POINT_NAMES and n.partition(".")[0] not in points}


def _of_points(types: dict[str, set[str]], points: tuple[str, ...]) -> dict[str, dict[str, set[str]]]:
    """The attributes of each point of a skeleton."""
    found: dict[str, dict[str, set[str]]] = {}
    for name, kinds in types.items():
        head, dot, rest = name.partition(".")
        if dot and head in points:
            found.setdefault(head, {})[rest] = kinds
    return found


def _write_label(file: TextIO, name: str, kind: str, types: dict[str, set[str]], parent: str | None) -> None:
    file.write(f"        <label>\n          <name>{escape(name)}</name>\n          <type>{kind}</type>\n")
    file.write("          <attributes>\n")
    for attribute in sorted(types):
        input_type, default, values = _input(types[attribute])
        file.write(
            f"            <attribute>\n              <name>{escape(attribute)}</name>\n              <mutable>False</mutable>\n"
            f"              <input_type>{input_type}</input_type>\n              <default_value>{default}</default_value>\n"
            f"              <values>{values}</values>\n            </attribute>\n"
        )
    file.write("          </attributes>\n")
    if parent is not None:
        file.write(f"          <parent>{escape(parent)}</parent>\n")
    file.write("        </label>\n")


def _input(types: set[str]) -> tuple[str, str, str]:
    """The input type of values of these types, its default and its values."""
    if types == {"bool"}:
        return "checkbox", "false", "false"
    if types <= {"int", "float"}:
        return "number", "0", "-1000000000\n1000000000\n1"
    return "text", "", ""


def _texts(part: ExportPart, declared: _Declared) -> pa.Array:
    """The elements of each item of a part, as one text."""
    labels = _written(part, declared)
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


def _written(part: ExportPart, declared: _Declared) -> pa.Table:
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


def _split(row: dict[str, Any], part: ExportPart, declared: _Declared) -> Iterator[dict[str, Any]]:
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
