"""The layout of a task: which column of its Pixano dataset holds what, and the ``dataset.yaml`` that declares them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import as_array, list_lengths
from annobridge.core.labels import SAMPLES
from annobridge.core.schema import Attribute, FieldSchema, LabelSchema
from annobridge.formats.pixano_library.codec.layout import (
    ENTITY_COLUMNS,
    RECORD_COLUMNS,
    SAFE_ID,
    SPATIAL,
    Column,
    Layout,
    column_type,
    legal_names,
    scalar_type,
    unused_name,
)

COLUMN_TYPES = {  # of attribute types
    "text": "str",
    "select": "str",
    "radio": "str",
    "int": "int",
    "float": "float",
    "number": "float",
    "checkbox": "bool",
    "list": "list",
}


def task_layout(schema: LabelSchema, samples: pa.Table, labels: pa.Table, template: str = "auto") -> Layout:
    """The layout of a task; the same for the same task.

    Args:
        schema: the label schema.
        samples: the samples.
        labels: the labels, whose values give the types of scalar fields.
        template: the template of keypoints.
    """
    types = {f.type for f in schema.fields.values()}
    records = legal_names(_record_columns(schema, labels), RECORD_COLUMNS)
    return Layout(
        attributes=legal_names(attribute_columns(schema), ENTITY_COLUMNS),
        records=records,
        shown=legal_names(_sample_columns(samples), [*RECORD_COLUMNS, *(c.name for c in records.values())]),
        messages="messages" in types,
        mask_kind="segmentation" if "segmentation" in types and "instances" not in types else "mask",
        template=template,
        samples=record_ids(samples["sample_id"].to_pylist()),
    )


def record_ids(samples: Iterable[str]) -> dict[str, str]:
    """Record id -> sample id, for the samples whose own id Pixano cannot address."""
    ids = list(samples)
    taken, found = set(ids), {}
    for i, sample in enumerate(ids):
        if not SAFE_ID.fullmatch(sample):
            found[unused_name(f"sample.{i}", taken.__contains__)] = sample
    return found


def type_conflicts(schema: LabelSchema) -> Iterator[str]:
    """Sentences about attributes of one name and two types: the entities of all fields share their columns."""
    seen: dict[str, tuple[str, str]] = {}
    for owner, attribute in _attributes(schema):
        kind, first = seen.setdefault(attribute.name, (COLUMN_TYPES[attribute.type], owner.name))
        if kind != COLUMN_TYPES[attribute.type]:
            yield (
                f"{owner.name}.attributes.{attribute.name}: is a {attribute.type} here and another type in {first}, "
                "and Pixano has one column for both; give it the same type in both fields, or another name."
            )


def is_split(column: pa.Field) -> bool:
    """Whether a column of the samples gives the split of each."""
    return column.name == "split" and column_type(column.type) == "str"


def dataset_spec(layout: Layout, name: str, description: str, *, overwrite: bool) -> dict[str, Any]:
    """The content of ``dataset.yaml``, to be written as JSON, which is YAML.

    Args:
        layout: the columns.
        name: the name of the dataset.
        description: what Pixano says of it.
        overwrite: whether there is a dataset of this name that is to be replaced.
    """
    entity = {"category": "str", "label_id": "str", "label_field": "str"}
    record = {"sample_id": "str", "sample_file": "str"} | {c.name: _declaration(c) for c in layout.shown.values()}
    return {
        "dataset": {
            "name": name,
            "description": description,
            "workspace": "image_vqa" if layout.messages else "image",
        },
        "format": "pixano_jsonl",
        "mode": "overwrite" if overwrite else "create",
        "media": {"mode": "embed"},
        "ids": {"policy": "explicit", "namespace": "annobridge"},
        "schema": {
            "views": {"image": "image"},
            "record": {"attrs": record | {c.name: _declaration(c) for c in layout.records.values()}},
            "entity": {"attrs": entity | {c.name: _declaration(c) for c in layout.attributes.values()}},
            "annotations": ["bbox", "mask", "keypoint", "multi_path", *(["message"] if layout.messages else [])],
        },
    }


def _declaration(column: Column) -> Any:
    if column.type == "list":
        return {"type": "str", "collection": True}
    return "str" if column.type == "json" else column.type


def _attributes(schema: LabelSchema) -> Iterator[tuple[FieldSchema, Attribute]]:
    for owner in schema.fields.values():
        if owner.kind in SPATIAL:
            for group in (owner.attributes, *owner.class_attributes.values()):
                yield from ((owner, a) for a in group)


def attribute_columns(schema: LabelSchema) -> dict[str, Column]:
    """The columns of entities that the attributes of a schema need, by attribute, before they get names that Pixano accepts."""
    columns: dict[str, Column] = {}
    for owner, a in _attributes(schema):
        type_ = COLUMN_TYPES[a.type]
        classes = None
        if a not in owner.attributes:
            classes = tuple(c for c, own in owner.class_attributes.items() if any(x.name == a.name for x in own))
        not_texts = [json.dumps(v) for v in a.values if not isinstance(v, str)] if type_ in ("str", "list") else []
        other = columns.get(a.name, Column(a.name, type_, (), classes, ()))
        columns[a.name] = Column(
            a.name,
            other.type,
            _union(other.kinds, (owner.kind,)),
            None if classes is None or other.classes is None else _union(other.classes, classes),
            _union(other.choices, tuple(not_texts)),
        )
    return columns


def _union(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(a + b))


def _record_columns(schema: LabelSchema, labels: pa.Table) -> dict[str, Column]:
    columns = {}
    for name, f in schema.fields.items():
        if f.type == "scalar":
            texts = pc.unique(labels.filter(pc.equal(labels["field"], name))["value"].drop_null()).to_pylist()
            texts += map(json.dumps, f.classes)
            columns[name] = Column(name, scalar_type(texts), ("scalar",))
        elif f.kind == "classification":
            columns[name] = Column(name, "str" if f.type == "classification" else "list", ("classification",))
    return columns


def _sample_columns(samples: pa.Table) -> dict[str, Column]:
    """The columns of the samples that are sent, and their tags if there are any. The split is a column of all records."""
    columns = {
        f.name: Column(f.name, column_type(f.type))
        for f in samples.schema
        if f.name not in SAMPLES.names and not is_split(f)
    }
    if "tags" in samples.column_names and list_lengths(as_array(samples["tags"])).any():
        columns["tags"] = Column("tags", "list")
    return columns
