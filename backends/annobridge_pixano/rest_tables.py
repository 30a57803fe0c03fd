"""The tables of a dataset that are read over REST, and their columns."""

from __future__ import annotations

import pyarrow as pa

from annobridge.formats.pixano_library.codec.layout import Layout
from annobridge.formats.pixano_library.codec.tables import ANNOTATIONS, MESSAGES
from annobridge.formats.pixano_library.codec.values import ARROW_TYPES


def schemas(layout: Layout) -> dict[str, pa.Schema]:
    """The columns to read, by table: those that matter for labels, and the attributes of the layout."""
    of_record = [(name, pa.string()) for name in ("id", "split", "status")]
    own = ["label_id", "label_field"] if layout.has_ids else []
    classes = [] if layout.category is None else [layout.category]
    of_entity = [(name, pa.string()) for name in ("id", "record_id", *classes, *own)]
    records = [(c.name, ARROW_TYPES[c.type]) for c in (*layout.records.values(), *layout.shown.values())]
    entities = [(c.name, ARROW_TYPES[c.type]) for c in layout.attributes.values()]
    tables = {"records": pa.schema(of_record + records), "entities": pa.schema(of_entity + entities), **ANNOTATIONS}
    return tables | ({"messages": MESSAGES} if layout.messages else {})
