"""What the tool does not show of a run, or does not let people do: notes that are the same for all its tasks."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from ..backend.checked import CheckedBackend
from ..core.json_columns import is_plain_type
from ..core.labels import SAMPLES
from ..core.schema import LabelSchema
from ..store.stores import Stores


def shown_columns(stores: Stores, backend: CheckedBackend) -> list[str]:
    """The names of the users' own columns of samples that are sent, for the tool to show."""
    own = [f for f in stores.samples.schema() if f.name not in SAMPLES.names]
    return [f.name for f in own if backend.capabilities.sample_columns and is_plain_type(f.type)]


def of_run(schema: LabelSchema, stores: Stores, backend: CheckedBackend) -> Iterator[str]:
    """One sentence for each limit: field types that the editor handles badly, columns that cannot be sent."""
    can = backend.capabilities
    for field in schema.fields.values():
        if limit := can.editor_limits.get(field.type):
            yield f"{field.name} ({field.type}): {limit}"
    sent = {*SAMPLES.names, *shown_columns(stores, backend)}
    left = [f for f in stores.samples.schema() if f.name not in sent and not pa.types.is_null(f.type)]
    if can.sample_columns and left:
        named = ", ".join(f"{f.name} ({f.type})" for f in left)
        yield f"These columns of the samples are neither text, numbers nor booleans, and are not sent: {named}."
