"""What the labels of an export have: attributes by class, skeletons; and the ``label`` elements that declare it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array
from ..common.export import ExportData
from ..common.skeletons import POINT_NAMES, point_names
from ..common.xml_text import escape
from .write_rows import SCORE


class Declared:
    """What the labels of an export have: attributes by class, skeletons, the largest group."""

    def __init__(self, data: ExportData) -> None:
        self.lose = data.lose
        self.types: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.skeletons: dict[str, tuple[str, ...]] = {}
        self.kinds: dict[str, set[str]] = defaultdict(set)
        self.mutable: dict[str, set[str]] = defaultdict(set)  # class → attributes that change within a track
        self.group = 0
        self.has_tracks = False
        for labels in data.label_tables():
            if not labels.num_rows:
                continue
            self._see_kinds(labels)
            self.has_tracks |= labels["index"].null_count < labels.num_rows
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


def write_labels(file: TextIO, classes: Collection[str], declared: Declared) -> None:
    """Write the element ``labels``."""
    file.write("      <labels>\n")
    for name in classes:
        points, kinds = declared.skeletons.get(name), declared.kinds.get(name, set())
        types, mutable = declared.types.get(name, {}), declared.mutable.get(name, set())
        own = {} if points is None else _of_points(types, points)
        shape = "skeleton" if kinds == {"skeleton"} else "any"
        _write_label(file, name, shape, _of_label(types, points, kinds), None, mutable)
        for point in points or ():
            inner = {attribute.removeprefix(f"{point}.") for attribute in mutable if attribute.startswith(f"{point}.")}
            _write_label(file, point, "points", own.get(point, {}), name, inner)
    file.write("      </labels>\n")


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


def _write_label(
    file: TextIO, name: str, kind: str, types: dict[str, set[str]], parent: str | None, mutable: Collection[str]
) -> None:  # fmt: skip
    file.write(f"        <label>\n          <name>{escape(name)}</name>\n          <type>{kind}</type>\n")
    file.write("          <attributes>\n")
    for attribute in sorted(types):
        input_type, default, values = _input(types[attribute])
        file.write(
            f"            <attribute>\n              <name>{escape(attribute)}</name>\n"
            f"              <mutable>{attribute in mutable}</mutable>\n"
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
