"""Labels as rows of this generation's tables, and its rows as the tables that ``decode`` takes.

Entities and annotations have the content of Pixano 0.8's in another form: a record is an item, and references are ``{name, id}``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import choose, equal
from annobridge.exceptions import Broken
from annobridge.formats.pixano_library.codec import encode, messages
from annobridge.formats.pixano_library.codec.decode import Tables
from annobridge.formats.pixano_library.codec.layout import Layout

from .. import annotation_rows, metadata_jsonl, rest_tables
from .api import Row, row

SOURCE = "annobridge"  # the source of all rows that are sent
NO_REFERENCE = {"name": "", "id": ""}
_NAMES_IN_08 = {"item": "records", "objects": "entities"}


def label_tables(layout: Layout) -> list[str]:
    """The tables with labels, each after those that its rows refer to."""
    of_messages = ["conversations", "messages"] if layout.messages else []
    return ["objects", "bboxes", "masks", "keypoints", *of_messages]


def reference(table: str, key: str) -> dict[str, str]:
    """A reference to a row."""
    return {"name": table, "id": key}


def remote_ids(labels: pa.Table, layout: Layout) -> pa.Array:
    """The ids of labels in Pixano. Unlike 0.8, this generation takes our ids of messages, too."""
    of_messages = pc.binary_join_element_wise(encode.entity_ids(labels), "message", ".")
    return choose(equal(labels["kind"], "message"), of_messages, encode.remote_ids(labels, layout))


def source() -> Row:
    """The row that the labels refer to as their source."""
    return row("source", SOURCE, name=SOURCE, kind="other", metadata={})


def label_rows(layout: Layout, labels: pa.Table, views: Mapping[str, str]) -> dict[str, list[Row]]:
    """The rows of each table; ``views`` is the view of each item."""
    found: dict[str, list[Row]] = {name: [] for name in label_tables(layout)}
    for item, entities in metadata_jsonl.entities_by_record(layout, labels).items():
        image = _image_references(item, views)
        for entity in entities:
            key = entity["id"]
            found["objects"].append(row("objects", key, **image, parent_ref=NO_REFERENCE, **entity["attrs"]))
            references = {**image, "entity_ref": reference("objects", key), **_source_columns()}
            for annotation in entity["annotations"]:
                table = annotation_rows.TABLES[annotation["kind"]]
                geometry = {name: value for name, value in annotation.items() if name not in ("kind", "id")}
                columns = annotation_rows.rest_columns(annotation["kind"], geometry)
                found[table].append(row(table, annotation["id"], **references, **columns))
    if layout.messages:
        found |= _message_rows(layout, labels, views)
    return found


def _image_references(item: str, views: Mapping[str, str]) -> dict[str, Any]:
    return {"item_ref": reference("item", item), "view_ref": reference("image", views[item])}


def _source_columns() -> dict[str, Any]:
    return {"source_ref": reference("source", SOURCE), "inference_metadata": {}}


def _message_rows(layout: Layout, labels: pa.Table, views: Mapping[str, str]) -> dict[str, list[Row]]:
    conversations: dict[str, Row] = {}
    rows = []
    for m in messages.encode(labels, layout):
        image = _image_references(m["record_id"], views)
        thread = quote(m["conversation_id"], safe=":")  # an id has no spaces
        conversations[thread] = row("conversations", thread, **image, parent_ref=NO_REFERENCE, kind="vqa")
        columns = {name: m[name] for name in ("number", "content", "user", "type", "choices")}
        # With another type of question, the server would rewrite an answer that is a choice, and refuse a plain one.
        columns |= {"question_type": m["question_type"] or "OPEN", "timestamp": "0001-01-01T00:00:00"}
        entity = reference("conversations", thread)
        rows.append(row("messages", m["remote_id"], **image, entity_ref=entity, **_source_columns(), **columns))
    return {"conversations": list(conversations.values()), "messages": rows}


def complete_items(layout: Layout, labels: pa.Table, items: Sequence[Row]) -> list[Row]:
    """The items with their labels of whole images; the import has left these columns empty."""
    attributes = encode.record_attributes(labels, layout)
    return [
        {**item, "data": {**item["data"], "sample_id": layout.samples[item["id"]], **attributes.get(item["id"], {})}}
        for item in items
    ]


def is_complete(items: Sequence[Row]) -> bool:
    """Whether everything was sent: the columns of items are filled last."""
    return all(item["data"]["sample_id"] for item in items)


def as_tables(layout: Layout, found: Mapping[str, Sequence[Row]]) -> Tables:
    """The tables that ``decode`` takes, from the rows of this generation's tables."""
    by_name: dict[str, list[Row]] = defaultdict(list)
    for table, its_rows in found.items():
        by_name[_NAMES_IN_08.get(table, table)] = [_as_in_08(r) for r in its_rows]
    try:
        return {name: pa.Table.from_pylist(by_name[name], schema=s) for name, s in rest_tables.schemas(layout).items()}
    except (pa.ArrowException, TypeError, AttributeError, KeyError) as error:
        raise Broken(f"pixano: rows of another form than this generation's were answered ({error}).") from error


def _as_in_08(found: Row) -> Row:
    data = found["data"]
    columns = {**data, "id": found["id"], "record_id": data.get("item_ref", NO_REFERENCE)["id"]}
    entity = data.get("entity_ref", NO_REFERENCE)["id"]
    if found["table_info"]["name"] != "messages":
        return {**columns, "entity_id": entity}
    # Messages that are no questions have a type of question here, too, which means nothing.
    question_type = data["question_type"] if data["type"] == "QUESTION" else ""
    return {**columns, "conversation_id": unquote(entity), "question_type": question_type}


def image_of(view: Row) -> tuple[str, str]:
    """The item of a view, and the address of its image."""
    return view["data"]["item_ref"]["id"], view["data"]["url"]
