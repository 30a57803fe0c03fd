"""Datasets in a user's library as tasks to adopt: their images, and the label schema that their labels fill."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import FoundTask
from annobridge.core import attributes
from annobridge.core.arrays import as_array, first_rows, index_of
from annobridge.core.labels import FOUND_MEDIA, KIND_TYPES, LABEL_TYPES, REMOTE
from annobridge.core.schema import is_field_name
from annobridge.exceptions import Rejected
from annobridge.formats.pixano_library.codec.decode import Tables, decode
from annobridge.formats.pixano_library.codec.layout import SPATIAL, Column, Layout
from annobridge.formats.pixano_library.reading.column_roles import ColumnRoles, find_roles

from . import removal
from .adopted_tables import AdoptedDataset
from .adoption import with_own_ids
from .api import Api
from .config import PixanoConfig

_NOT_ADOPTED = {  # views
    "videos": "videos",
    "sequence_frames": "frames of videos",
    "point_clouds": "point clouds",
    "texts": "texts",
    "pdfs": "documents",
}
_ATTRIBUTE_TYPES = {"str": "text", "int": "int", "float": "float", "bool": "checkbox", "list": "list"}
Json = dict[str, Any]


def find(api: Api, config: PixanoConfig, wanted: Sequence[str], project: str | None) -> Iterator[FoundTask]:
    """Datasets by their ids or names. Raises ``Rejected``."""
    if project is not None or not wanted:
        raise Rejected(
            "pixano: Pixano has no projects; give the names or ids of datasets in its library, as tasks=[…]."
        )
    there = [d for d in api.datasets() if d["description"] != removal.REMOVED]
    for dataset in [_named(there, name) for name in wanted]:
        yield _found(AdoptedDataset(api, dataset["id"], dataset["name"]), config)


def _named(there: Sequence[Json], wanted: str) -> Json:
    found = [d for d in there if d["id"] == wanted] or [d for d in there if d["name"] == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(d["id"] for d in found)
        raise Rejected(f"pixano: {len(found)} datasets are called {wanted!r}; give the id of one of them: {ids}.")
    names = sorted(d["name"] for d in there)
    shown = ", ".join(map(repr, names[:5])) + " …" * (len(names) > 5)
    raise Rejected(f"pixano: there is no dataset {wanted!r} in the library; it has {shown or 'none'}.")


def _found(dataset: AdoptedDataset, config: PixanoConfig) -> FoundTask:
    if others := [what for table, what in _NOT_ADOPTED.items() if dataset.count(table)]:
        raise Rejected(
            f"pixano: {dataset.path} has {' and '.join(others)}, and annobridge adopts images only; leave it out."
        )
    roles = find_roles(dataset, None, "objects", config.class_attribute, None)
    layout = layout_of(roles)
    tables = dataset.read(layout)
    images = _images(dataset, tables["records"])
    names = _names(dataset, images, layout, config.name_attribute)
    count = len(images)
    media = pa.table(
        {
            "name": names, "media_type": pa.repeat(pa.scalar("image"), count), "width": _known(images["width"]),
            "height": _known(images["height"]), "frames": pa.nulls(count, pa.int32()),
        },
        schema=FOUND_MEDIA,
    )  # fmt: skip
    addresses = [source if "://" in (source or "") else None for source in images["src"].to_pylist()]
    state = {
        "records": images["record_id"].to_pylist(), "images": images["id"].to_pylist(), "addresses": addresses,
    }  # fmt: skip
    return FoundTask(dataset.id, dataset.name, media, _Inference(dataset, roles, layout, tables).schema(), state)


def _known(sizes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Widths or heights; Pixano has 0 for those of images that it has not embedded."""
    return pc.if_else(pc.equal(sizes, 0), pa.scalar(None, pa.int32()), sizes)


def layout_of(roles: ColumnRoles) -> Layout:
    """The columns of all labels that a dataset has."""
    records = {name: column for name, column in roles.layout.records.items() if is_field_name(name)}
    return replace(roles.layout, records=records, category=roles.class_attribute, has_ids=roles.from_annobridge)


def _images(dataset: AdoptedDataset, records: pa.Table) -> pa.Table:
    """The images, in the order of their records' ids. Raises ``Rejected`` if there are none, or two of one record."""
    images = dataset.images.filter(pc.is_in(dataset.images["record_id"], value_set=as_array(records["id"])))
    if len(first_rows(images["record_id"])) < len(images):
        raise Rejected(
            f"pixano: {dataset.path} has records of several images, and annobridge adopts datasets of one image per record; "
            "leave it out, or import it with the format 'pixano'."
        )
    if not len(images):
        raise Rejected(f"pixano: {dataset.path} has no images; leave it out.")
    return images.sort_by("record_id").combine_chunks()


def _names(dataset: AdoptedDataset, images: pa.Table, layout: Layout, attribute: str | None) -> pa.Array:
    """The name of each image: an attribute of its record, the name or the id that annobridge sent, or one made of its id."""
    there = [f.name for f in dataset.schema("records") if f.type == pa.string() and f.name != "id"]
    if attribute is not None and attribute not in there:
        raise Rejected(
            f"pixano: name_attribute={attribute!r}: the records of {dataset.path} have the text attributes "
            f"{', '.join(there) or 'none'}; give one of these."
        )
    sent = [name for name in ("sample_file", "sample_id") if layout.has_ids and name in there]
    columns = ([attribute] if attribute is not None else []) + sent
    given = []
    if columns:
        rows = pa.Table.from_batches(dataset.scan("records", ["id", *columns]))
        at = index_of(images["record_id"], rows["id"])
        given = [as_array(rows[column]).take(at).to_pylist() for column in columns]
    parts = zip(*(images[n].to_pylist() for n in ("src", "record_id", "format")), strict=True)
    made = [_name_of(source or "", record, form or "") for source, record, form in parts]
    return pa.array([next(filter(None, names)) for names in zip(*given, made, strict=True)], pa.string())


def _name_of(source: str, record: str, form: str) -> str:
    if "://" in source:  # an image that Pixano has not embedded
        return unquote(urlsplit(source).path).lstrip("/")
    suffix = form.lower().replace("jpeg", "jpg")
    return f"{record}.{suffix}" if suffix else record


class _Inference:
    """The label schema that the labels of a dataset fill."""

    def __init__(self, dataset: AdoptedDataset, roles: ColumnRoles, layout: Layout, tables: Tables) -> None:
        self._dataset, self._roles, self._layout = dataset, roles, layout
        labels = decode(tables, layout, REMOTE.empty_table()).labels
        named = with_own_ids(labels, tables, layout)
        kinds = {
            row["field"]: "polyline" if "polyline" in row["kind_distinct"] else min(row["kind_distinct"])
            for row in named.group_by("field").aggregate([("kind", "distinct")]).to_pylist()
            if row["field"] is not None
        }
        self._labels = named if not kinds else with_own_ids(labels, tables, layout, kinds)

    def schema(self) -> Json:
        """By field, in the form of the argument of ``annotate``."""
        fields = self._spatial() | {name: self._of_records(name, c) for name, c in self._layout.records.items()}
        if self._layout.messages:
            fields["messages"] = {"type": "messages"}
        return {name: field for name, field in fields.items() if field.get("classes") != []}

    def _spatial(self) -> Json:
        rows = self._labels.filter(pc.is_in(self._labels["kind"], value_set=pa.array([*SPATIAL])))
        pairs = rows.group_by(["field", "kind"]).aggregate([]).to_pylist()
        types: dict[str | None, list[str]] = defaultdict(list)
        for pair in sorted(pairs, key=str):
            types[pair["field"]].append(KIND_TYPES[pair["kind"]])
        if not pairs:
            types[None] = [name for table, name in _EMPTY_TABLES.items() if table in self._dataset.tables]
        offered = self._dataset.choices("entities").get(self._layout.category or "", []) if len(pairs) <= 1 else []
        found = {}
        for owner, names in types.items():
            for type_ in names:
                name = owner or type_
                of_field = _of_field(rows, owner, LABEL_TYPES[type_])
                classes = {c for c in pc.unique(of_field["label"]).to_pylist() if c} | set(offered)
                found[name] = {
                    "type": type_,
                    "classes": sorted(classes),
                    "attributes": self._attributes(of_field, owner),
                }
        return found

    def _attributes(self, labels: pa.Table, owner: str | None) -> Json:
        """The attributes of a field: all of them, or in a dataset that annobridge made those that its labels have."""
        used = None if owner is None else set(attributes.names(labels["attributes"]))
        choices = self._dataset.choices("entities")
        found = {}
        for name, column in self._layout.attributes.items():
            if (used is not None and name not in used) or (owner, name) in self._roles.unset:
                continue
            spec: Json = {"type": _ATTRIBUTE_TYPES[column.type]}
            if column.type == "str" and (values := choices.get(column.name)):
                spec = {"type": "select", "values": values}
            found[name] = spec
        return found

    def _of_records(self, name: str, column: Column) -> Json:
        if column.kinds == ("scalar",):
            return {"type": "scalar"}
        labels = pc.unique(_of_field(self._labels, name, "classification")["label"]).drop_null().to_pylist()
        classes = sorted({*labels, *self._dataset.choices("records").get(column.name, [])})
        return {"type": "classifications" if column.type == "list" else "classification", "classes": classes}


_EMPTY_TABLES = {"bboxes": "detections", "masks": "instances", "multi_paths": "polygons", "keypoints": "keypoints"}


def _of_field(labels: pa.Table, field: str | None, kind: str) -> pa.Table:
    is_of = pc.is_null(labels["field"]) if field is None else pc.fill_null(pc.equal(labels["field"], field), False)
    return labels.filter(pc.and_(is_of, pc.equal(labels["kind"], kind))).combine_chunks()
