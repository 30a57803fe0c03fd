"""Counts over the labels of an export that only all of them together give: numbers of points, types of attributes."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, list_lengths
from .fidelity import WITH_POINTS


def counts_of_points(labels: pa.Table) -> Counter[tuple[str, int]]:
    """Field and number of points of keypoints and skeletons → how many labels."""
    rows = labels.filter(pc.is_in(labels["kind"], value_set=pa.array(WITH_POINTS)))
    counts = list_lengths(as_array(rows["points"]).flatten()).tolist()
    return Counter(zip(rows["field"].to_pylist(), counts, strict=True))


def types_of_attributes(labels: pa.Table) -> Counter[tuple[str, str, str]]:
    """Class, attribute and type → how many values."""
    rows, flat = attributes.flattened(labels["attributes"])
    table = pa.table({
        "label": as_array(labels["label"]).take(pa.array(rows)), "name": flat.field("name"), "type": flat.field("type"),
    })  # fmt: skip
    found = table.group_by(["label", "name", "type"]).aggregate([([], "count_all")])
    return Counter({(r["label"] or "", r["name"], r["type"]): r["count_all"] for r in found.to_pylist()})


def mixed(types: Counter[tuple[str, str, str]]) -> Counter[str]:
    """Attribute → how many values are neither text nor of the type that all values of their class have."""
    forms: dict[tuple[str, str], set[str]] = {}
    for label, name, type_ in types:
        forms.setdefault((label, name), set()).add("number" if type_ in ("int", "float") else type_)
    found: Counter[str] = Counter()
    for (label, name, type_), count in types.items():
        if len(forms[label, name]) > 1 and type_ in ("bool", "int", "float"):
            found[name] += count
    return found
