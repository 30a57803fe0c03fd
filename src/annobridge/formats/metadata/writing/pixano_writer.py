"""What the writers of both dialects of Pixano share: names, values without null, the classes of images, conversations."""

from __future__ import annotations

import json
import keyword
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

from ..keys import CATEGORIES, CONVERSATIONS, KEYPOINT_STATES
from ..options import Writing
from .checks import cannot_hold, check_fields, has_image_classes
from .field_labels import FieldLabels
from .line_writer import Line, unsupported
from .sample_values import sample_columns
from .survey import Survey

RESERVED = frozenset({
    "id", "split", "created_at", "updated_at", "table_info", "shape", "image", "objects", "bboxes", "masks", "keypoints",
    "messages", "conversations", "item_ref", "view_ref", "parent_ref", "source_ref", "entity_ref", "category", "label_id",
    "sample_id", "confidence", "index", "tags",
})  # fmt: skip
LABEL_COLUMNS = {"confidence": {"float"}, "index": {"int"}, "tags": {"json"}}  # of LABELS that become attributes: types


class PixanoWriter:
    """Checks names, and collects what both dialects write in the same way."""

    needs_splits = True

    def __init__(self, survey: Survey, options: Writing) -> None:
        self._survey, self._dialect, self._field = survey, options.dialect, options.field
        self.notes: list[str] = []
        self._has_conversations = CONVERSATIONS in survey.fields
        self._has_classes = CATEGORIES in survey.fields and has_image_classes(survey, CATEGORIES)
        other = {CONVERSATIONS, *([CATEGORIES] if self._has_classes else [])}
        self._fields = [name for name in survey.fields if name not in other]

    def check_names(self, kinds: Collection[str]) -> None:
        """Raise ``Unsupported`` for fields, columns and attributes that no line of Pixano holds."""
        check_fields(self._dialect, self._survey, {*kinds, "message"})
        for name, stats in self._survey.fields.items():
            if "message" in stats.kinds and (name != CONVERSATIONS or stats.kinds != {"message"}):
                cure = f"keep them in a field {CONVERSATIONS!r}"
                raise cannot_hold(self._dialect, name, "messages in another field", cure)
        for name in self._survey.sample_columns:
            if name in RESERVED - {"tags"} or name in self._survey.fields:
                raise unsupported(f"The samples have a column {name!r}, which Pixano keeps itself; rename it.")
            self.require_identifier(name)
        for field in self._fields:
            for name in self._survey.fields[field].attributes:
                if name in RESERVED:
                    what = f"an attribute {name!r}, a name of its own"
                    raise cannot_hold(self._dialect, field, what, "rename the attribute")
                self.require_identifier(name)

    def require_identifier(self, name: str) -> None:
        """Raise ``Unsupported`` for a name that cannot be one in Pixano's Python classes."""
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise unsupported(
                f"The name {name!r} cannot be one in Pixano ({self._dialect!r}): use letters, digits and _; rename it."
            )

    def columns(self, samples: pa.Table) -> list[Line]:
        """The columns of each sample."""
        return sample_columns(samples, list(self._survey.sample_columns))

    def image_classes(self, labels: pa.Table, samples: pa.Table) -> list[list[str]]:
        """The classes of the image of each sample."""
        field = FieldLabels(samples, labels, CATEGORIES)
        classes = field.column("label")
        return [classes[field.of_sample(n)] for n in range(samples.num_rows)]

    def conversations(self, labels: pa.Table, samples: pa.Table) -> list[dict[str, list[Line]]]:
        """The messages of each sample by conversation: in their order, and with their attributes as keys."""
        field = FieldLabels(samples, labels, CONVERSATIONS)
        rows = field.rows.select(["label", "value", "index", "attributes"]).to_pylist()
        found: list[dict[str, list[Line]]] = []
        for n in range(samples.num_rows):
            conversations: dict[str, list[Line]] = {}
            for row in rows[field.of_sample(n)]:
                message = {a["name"]: json.loads(a["value"]) for a in row["attributes"] or ()}
                key = str(message.get("conversation", "0"))
                message |= {"role": row["label"], "content": json.loads(row["value"]), "number": row["index"] or 0}
                conversations.setdefault(key, []).append(message)
            for messages in conversations.values():
                messages.sort(key=lambda m: (m["number"], m["role"] != "system", m["role"] != "question"))
            found.append(conversations)
        return found


def python_type(kind: pa.DataType) -> str:
    """The Python type of a column of samples."""
    if pa.types.is_list(kind):
        return f"list[{python_type(kind.value_type)}]"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int"
    return "float" if pa.types.is_floating(kind) else "str"


def attribute_type(types: set[str]) -> str:
    """The Python type of an attribute with values of some types; several types are ``int`` and ``float``."""
    kind = next(iter(types)) if len(types) == 1 else "float"
    return "list[str]" if kind == "json" else kind


def with_user(entry: Line, message: Line) -> Line:
    """An entry with the author of a message, if the message names one."""
    return {**entry, "user": message["user"]} if message.get("user") else entry


def keypoints(points: Any, visibility: Any) -> Line:
    """The coordinates and states of the points of one label; missing points are at ``0, 0``, as Pixano writes them."""
    flat = np.array([p for part in points for p in part], np.float64).reshape(-1, 2)
    missing = np.logical_or.reduce(np.isnan(flat), axis=1)
    states = [0 if gone else (2 if not visibility else int(visibility[n])) for n, gone in enumerate(missing.tolist())]
    coords = np.where(missing[:, None], 0.0, flat).ravel().tolist()
    return {"coords": coords, "states": [KEYPOINT_STATES[s] for s in states]}
