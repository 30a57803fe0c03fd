"""A dataset that annobridge has not made becomes a task: its columns are found for the fields of a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import FoundTask
from annobridge.core.arrays import as_array, index_of, set_columns
from annobridge.core.labels import KIND_TYPES, REMOTE
from annobridge.core.schema import LabelSchema
from annobridge.exceptions import InvalidSchema, Rejected
from annobridge.formats.pixano_library.codec.decode import Tables, decode
from annobridge.formats.pixano_library.codec.layout import (
    ENTITY_COLUMNS,
    RECORD_COLUMNS,
    SPATIAL,
    Column,
    Layout,
    column_type,
    legal_names,
)
from annobridge.formats.pixano_library.codec.tables import ANNOTATIONS
from annobridge.formats.pixano_library.reading.column_roles import find_roles
from annobridge.spill.temporary import file_of

from .adopted_tables import AdoptedDataset
from .api import Api
from .config import PixanoConfig
from .task_layout import attribute_columns, type_conflicts

_RECORD_TYPES = {"classification": ("str",), "classifications": ("list",), "scalar": ("str", "int", "float", "bool")}


def adopt(
    api: Api, config: PixanoConfig, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array
) -> Mapping[str, Any]:
    """The state of a receipt. Raises ``InvalidSchema`` for a dataset with other columns or classes than the schema."""
    dataset = AdoptedDataset(api, found.key, found.title)
    layout, problems = layout_for(dataset, schema, config)
    pairs = [(r, s) for r, s in zip(found.state["records"], sample_ids.to_pylist(), strict=True) if s is not None]
    layout = replace(layout, samples={record: sample for record, sample in pairs if record != sample})
    kinds = {name: spec.kind for name, spec in schema.fields.items()}
    if not problems:
        tables = dataset.read(layout, [record for record, _ in pairs])
        labels = with_own_ids(decode(tables, layout, REMOTE.empty_table()).labels, tables, layout, kinds)
        problems = list(_label_problems(labels, schema))
    if problems:
        raise InvalidSchema(f"The label schema does not fit {dataset.path}:", problems)
    return {
        "dataset": dataset.id, "name": dataset.name, "layout": layout.to_dict(), "adopted": [record for record, _ in pairs],
        "kinds": kinds,
    }  # fmt: skip


def layout_for(dataset: AdoptedDataset, schema: LabelSchema, config: PixanoConfig) -> tuple[Layout, list[str]]:
    """The columns of a dataset that hold the fields of a schema, and sentences about what it lacks."""
    roles = find_roles(dataset, None, "objects", config.class_attribute, ())
    types = {spec.type for spec in schema.fields.values()}
    problems = list(type_conflicts(schema))
    has_ids, entities, records = roles.from_annobridge, dataset.schema("entities"), dataset.schema("records")
    reserved = ENTITY_COLUMNS if has_ids else ("id", "record_id", "parent_id")
    attributes = _placed(
        attribute_columns(schema), entities, [*reserved, roles.class_attribute or ""], "entities", problems
    )
    if roles.class_attribute is None and any(f.classes for f in schema.fields.values() if f.kind in SPATIAL):
        problems.append(
            f"The entities of {dataset.path} have no text attribute {config.class_attribute!r} for the class; name the one that "
            "is, as class_attribute."
        )
    of_records = {}
    for name, spec in schema.fields.items():
        if spec.type in _RECORD_TYPES:
            kind = "scalar" if spec.type == "scalar" else "classification"
            of_records[name] = Column(name, _RECORD_TYPES[spec.type][0], (kind,))
    scalars = frozenset(name for name, column in of_records.items() if column.kinds == ("scalar",))
    placed = _placed(of_records, records, RECORD_COLUMNS, "records", problems, scalars)
    if "messages" in types and "messages" not in dataset.tables:
        problems.append(f"There are no conversations in {dataset.path}; leave the field of messages out.")
    mask_kind = "segmentation" if "segmentation" in types and "instances" not in types else "mask"
    layout = Layout(
        attributes, placed, {}, "messages" in types, mask_kind, config.template,
        category=roles.class_attribute, has_ids=has_ids,
    )  # fmt: skip
    return layout, problems


def _placed(
    wanted: Mapping[str, Column], there: pa.Schema, reserved: Any, table: str, problems: list[str],
    of_any_type: frozenset[str] = frozenset(),
) -> dict[str, Column]:  # fmt: skip
    """The columns under the names that they have in the dataset; adds a sentence for each that is not there as it should be."""
    found = {}
    legal = legal_names(wanted, reserved)
    for name, column in wanted.items():
        in_pixano = name if name in there.names and name not in reserved else legal[name].name
        if in_pixano not in there.names:
            attributes = ", ".join(n for n in there.names if n not in reserved)
            problems.append(f"{name}: the {table} have no attribute {name!r}; they have {attributes or 'none'}.")
            continue
        type_ = column_type(there.field(in_pixano).type)
        if type_ != column.type and (name not in of_any_type or type_ == "list"):
            problems.append(
                f"{name}: is a column of type {type_} in Pixano, and would have to be one of type {column.type}."
            )
        found[name] = replace(column, name=in_pixano, type=type_)
    return found


def _label_problems(labels: pa.Table, schema: LabelSchema) -> Iterator[str]:
    """Labels of kinds and classes that the schema does not have."""
    for kind in sorted(pc.unique(labels["kind"]).to_pylist()):
        rows = labels.filter(pc.equal(labels["kind"], kind))
        fields = [spec for spec in schema.fields.values() if spec.kind == kind]
        if not fields:
            yield f"The dataset has {len(rows)} labels of the kind {kind}, and the schema no field of {KIND_TYPES[kind]}; add one."
        for name in sorted(pc.unique(rows["field"]).to_pylist(), key=str):
            of_field = rows.filter(pc.is_null(rows["field"]) if name is None else pc.equal(rows["field"], name))
            specs = [spec for spec in fields if name in (None, spec.name)]
            classes = {c for spec in specs for c in spec.classes}
            unknown = sorted({c for c in pc.unique(of_field["label"]).to_pylist() if c} - classes)
            if classes and unknown:
                where = " and ".join(spec.name for spec in specs)
                yield f"{where}: the dataset has the classes {', '.join(unknown)}, which the schema lacks; add them."


def with_own_ids(labels: pa.Table, tables: Tables, layout: Layout, kinds: Mapping[str, str] | None = None) -> pa.Table:
    """New spatial labels with the ids and fields that annobridge gave them, where their entities have these.

    Args:
        labels: as ``decode`` returned them.
        tables: the tables that they were read from.
        layout: which column holds what.
        kinds: the fields that there are, and the kind of each; any if ``None``.
    """
    if not layout.has_ids:
        return labels
    owners = pa.concat_tables([tables[name].select(["id", "entity_id"]) for name in ANNOTATIONS]).combine_chunks()
    entity = as_array(owners["entity_id"]).take(index_of(labels["remote_id"], owners["id"]))
    at = index_of(entity, tables["entities"]["id"])
    ids, fields = (_filled(as_array(tables["entities"][n]).take(at)) for n in ("label_id", "label_field"))
    ids = pc.if_else(as_array(labels["label_id"]).is_valid(), pa.scalar(None, pa.string()), ids)
    counts = pc.value_counts(pa.concat_arrays([ids, as_array(labels["label_id"])]).drop_null())
    once = counts.field("values").filter(pc.equal(counts.field("counts"), 1))
    ids = pc.if_else(pc.is_in(ids, value_set=once), ids, pa.scalar(None, pa.string()))
    named = set_columns(
        labels,
        label_id=pc.coalesce(as_array(labels["label_id"]), ids),
        field=pc.coalesce(as_array(labels["field"]), fields),
    )
    return named if kinds is None else _of_kinds(named, as_array(labels["field"]), kinds)


def _of_kinds(labels: pa.Table, before: pa.Array, kinds: Mapping[str, str]) -> pa.Table:
    """New labels as the kind of their field, if Pixano does not tell the two apart; else, without the field.

    ``before`` are the fields without those of annobridge.
    """
    columns = zip(labels["field"].to_pylist(), before.to_pylist(), labels["kind"].to_pylist(), strict=True)
    fields, found = list[str | None](), list[str]()
    for field, known, kind in columns:
        own = kinds.get(field or "")
        is_like = own == kind or {own, kind} == {"mask", "segmentation"} or (own, kind) == ("polyline", "polygon")
        fields.append(field if known is not None or is_like else None)
        found.append(own if known is None and own is not None and is_like else kind)
    opened = pa.array([b is None and k == "polyline" for b, k in zip(before.to_pylist(), found, strict=True)])
    filled = pc.if_else(opened, False, as_array(labels["filled"]))
    return set_columns(labels, field=pa.array(fields, pa.string()), kind=pa.array(found, pa.string()), filled=filled)


def _filled(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def read_media(api: Api, found: FoundTask, number: int) -> BinaryIO:
    """The file of an image. Raises ``Rejected`` for one that Pixano has the address of only."""
    if address := found.state["addresses"][number]:
        name, place = found.media["name"][number].as_py(), address.partition("?")[0]
        raise Rejected(
            f"pixano: the image {name!r} is not in Pixano, which shows it from {place}; import it from there."
        )
    return file_of(api.blob(found.key, found.state["images"][number]))
