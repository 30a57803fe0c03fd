"""Labels as rows of this generation, and its rows as the tables that ``decode`` reads.

Entities and annotations are those of Pixano 0.8, in other clothes: a record is an item, references are ``{name, id}``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.exceptions import Broken

from .. import jsonl, wire
from ..arrays import bools, choose
from ..layout import Layout
from .api import Row, row

SOURCE = "annobridge"  # the source of all that we send
NOWHERE = {"name": "", "id": ""}
_TABLE = {"bbox": "bboxes", "mask": "masks", "keypoints": "keypoints"}
_WIRE = {"item": "records", "objects": "entities"}  # Pixano 0.8's word for a table


def tables(layout: Layout) -> list[str]:
    """The tables that labels are in, each after those that it refers to."""
    talk = ["conversations", "messages"] if layout.messages else []
    return ["objects", "bboxes", "masks", "keypoints", *talk]


def ref(name: str, key: str) -> dict[str, str]:
    """A reference to a row of a table."""
    return {"name": name, "id": key}


def remote_ids(labels: pa.Table, layout: Layout) -> pa.Array:
    """Our ids of the labels in Pixano. Unlike 0.8, it lets us choose those of messages."""
    is_message = bools(pc.equal(labels["kind"], "message"))
    own = pc.binary_join_element_wise(wire.entity_ids(labels), "message", ".")
    return choose(is_message, own, wire.remote_ids(labels, layout))


def source() -> Row:
    """The row that says where labels come from."""
    return row("source", SOURCE, name=SOURCE, kind="other", metadata={})


def rows(layout: Layout, labels: pa.Table, views: Mapping[str, str]) -> dict[str, list[Row]]:
    """The rows of each table, given the view of each item."""
    out: dict[str, list[Row]] = {name: [] for name in tables(layout)}
    for item, entities in jsonl.entities_of(layout, labels).items():
        place = {"item_ref": ref("item", item), "view_ref": ref("image", views[item])}
        for entity in entities:
            key = entity["id"]
            out["objects"].append(row("objects", key, **place, parent_ref=NOWHERE, **entity["attrs"]))
            signed = {**place, "entity_ref": ref("objects", key), **_signature()}
            for shape in entity["annotations"]:
                table = _TABLE[shape["kind"]]
                out[table].append(row(table, shape["id"], **signed, **_geometry(shape)))
    if layout.messages:
        out |= _talk(layout, labels, views)
    return out


def _signature() -> dict[str, Any]:
    return {"source_ref": ref("source", SOURCE), "inference_metadata": {}}


def _geometry(shape: Mapping[str, Any]) -> dict[str, Any]:
    match shape["kind"]:
        case "bbox":
            coords, confidence = shape["coords"], shape["confidence"]
            return {"coords": coords, "format": "xywh", "is_normalized": True, "confidence": confidence}
        case "mask":
            return dict(shape["rle"])
    return {name: shape[name] for name in ("template_id", "coords", "states")}


def _talk(layout: Layout, labels: pa.Table, views: Mapping[str, str]) -> dict[str, list[Row]]:
    threads: dict[str, Row] = {}
    said = []
    for m in jsonl.sent_messages(layout, labels):
        item = m["record_id"]
        place = {"item_ref": ref("item", item), "view_ref": ref("image", views[item])}
        thread = quote(m["conversation_id"], safe=":")  # an id has no spaces
        threads[thread] = row("conversations", thread, **place, parent_ref=NOWHERE, kind="vqa")
        own = {name: m[name] for name in ("number", "content", "user", "type", "choices")}
        # An answer to a choice would be rewritten by the server, and a plain one refused.
        own |= {"question_type": m["question_type"] or "OPEN", "timestamp": "0001-01-01T00:00:00"}
        entity = ref("conversations", thread)
        said.append(row("messages", m["remote_id"], **place, entity_ref=entity, **_signature(), **own))
    return {"conversations": list(threads.values()), "messages": said}


def items(layout: Layout, labels: pa.Table, found: Sequence[Row]) -> list[Row]:
    """The items with what the sample has as a whole; until then, their columns are empty."""
    attributes = jsonl.record_attributes(layout, labels)
    return [
        {**item, "data": {**item["data"], "sample_id": layout.samples[item["id"]], **attributes.get(item["id"], {})}}
        for item in found
    ]


def read(layout: Layout, found: Mapping[str, Sequence[Row]]) -> wire.Wire:
    """The tables of ``decode``, of rows by this generation's tables."""
    by_name: dict[str, list[Row]] = defaultdict(list)
    for table, its_rows in found.items():
        by_name[_WIRE.get(table, table)] = [_flat(r) for r in its_rows]
    try:
        return {name: pa.Table.from_pylist(by_name[name], schema=s) for name, s in wire.schemas(layout).items()}
    except (pa.ArrowException, TypeError, AttributeError, KeyError) as error:
        raise Broken(f"pixano: rows of another form than this generation's were answered ({error}).") from error


def _flat(found: Row) -> Row:
    data = found["data"]
    flat = {**data, "id": found["id"], "record_id": data.get("item_ref", NOWHERE)["id"]}
    entity = data.get("entity_ref", NOWHERE)["id"]
    if found["table_info"]["name"] != "messages":
        return {**flat, "entity_id": entity}
    kind = data["question_type"] if data["type"] == "QUESTION" else ""  # others have one here, and mean nothing by it
    return {**flat, "conversation_id": unquote(entity), "question_type": kind}


def image_of(view: Row) -> tuple[str, str]:
    """The item of a view, and the address of its image."""
    return view["data"]["item_ref"]["id"], view["data"]["url"]


def done(found: Sequence[Row]) -> bool:
    """Whether these items have all that belongs to them: their own columns are filled last."""
    return all(item["data"]["sample_id"] for item in found)
