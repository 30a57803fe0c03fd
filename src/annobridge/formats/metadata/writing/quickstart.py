"""Pixano's quickstart, written: parallel arrays and their ``schema.py``; and what both dialects of Pixano share."""

from __future__ import annotations

import json
import keyword
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ....core import geometry
from ....core.schema.choices import chosen_of
from ....store.media import Media
from ..options import Writing
from ..reading import conversations
from ..reading.entities import STATES
from ..reading.line_keys import CATEGORIES
from .file_name import Cells, Line, columns_of, common_checks, refuse, unsupported

if TYPE_CHECKING:
    from .writer import Facts

_EMPTY: dict[str, Any] = {"str": "", "int": 0, "float": 0.0, "bool": False}
_TABLES = {"box": "bboxes", "mask": "masks", "keypoints": "keypoints"}
_TAKEN = frozenset(
    {
        *("id", "split", "created_at", "updated_at", "table_info", "shape"),
        *("image", "objects", "bboxes", "masks", "keypoints", "messages", "conversations"),
        *("item_ref", "view_ref", "parent_ref", "source_ref", "entity_ref"),
        *("category", "label_id", "sample_id", "confidence", "index", "tags"),
    }
)
OWN = ("confidence", "index", "tags")  # columns of LABELS that become attributes
OWN_TYPES = {"confidence": {"float"}, "index": {"int"}, "tags": {"json"}}


def _name(column: str, dialect: str) -> str:
    if not column.isidentifier() or keyword.iskeyword(column) or column.startswith("_"):
        raise unsupported(
            f"The name {column!r} cannot be one in Pixano ({dialect!r}): use letters, digits and _; rename it."
        )
    return column


def scalar(kind: pa.DataType) -> str:
    """The Python type of a column of samples."""
    if pa.types.is_list(kind):
        return f"list[{scalar(kind.value_type)}]"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int"
    return "float" if pa.types.is_floating(kind) else "str"


def attribute_type(types: set[str]) -> str:
    kind = next(iter(types)) if len(types) == 1 else "float"
    return "list[str]" if kind == "json" else kind


class Common:
    """What both have: columns without null, image-level classes as a column, conversations."""

    splits = True

    def __init__(self, facts: Facts, options: Writing) -> None:
        self._facts, self._dialect, self._field = facts, options.dialect, options.field
        self.notes: list[str] = []
        self._talks = conversations.FIELD in facts.fields
        skip = {n for n, s in facts.fields.items() if n == CATEGORIES and s.kinds == {"classification"}}
        self._fields = [n for n in facts.fields if n not in skip | {conversations.FIELD}]
        self._classes = bool(skip)
        self._voids: dict[str, int] = {}  # how many nulls were written as empty values, by name

    def _check(self, kinds: frozenset[str]) -> None:
        common_checks(self._dialect, self._facts, kinds | {"message"})
        for name, stats in self._facts.fields.items():
            if "message" in stats.kinds and (name != conversations.FIELD or stats.kinds != {"message"}):
                raise refuse(
                    self._dialect, name, "messages in another field", f"keep them in a field {conversations.FIELD!r}"
                )
        for name in self._facts.columns:
            if name in _TAKEN - {"tags"} or name in self._facts.fields:
                raise unsupported(f"The samples have a column {name!r}, which Pixano keeps itself; rename it.")
            _name(name, self._dialect)
        for field in self._fields:
            for name in self._facts.fields[field].attributes:
                if name in _TAKEN:
                    raise refuse(
                        self._dialect, field, f"an attribute {name!r}, a name of its own", "rename the attribute"
                    )
                _name(name, self._dialect)

    def _columns(self, samples: pa.Table) -> list[Line]:
        return columns_of(samples, list(self._facts.columns))

    def _images(self, labels: pa.Table, samples: pa.Table) -> list[list[str]]:
        """The image-level classes of each sample."""
        cells = Cells(samples, labels, CATEGORIES)
        named = cells.column("label")
        return [named[cells.of(n)] for n in range(samples.num_rows)]

    def _messages(self, labels: pa.Table, samples: pa.Table) -> list[dict[str, list[Line]]]:
        """The messages of each sample by conversation, in their order, their attributes unfolded."""
        cells = Cells(samples, labels, conversations.FIELD)
        rows = cells.rows.select(["label", "value", "index", "attributes"]).to_pylist()
        out: list[dict[str, list[Line]]] = []
        for n in range(samples.num_rows):
            threads: dict[str, list[Line]] = {}
            for row in rows[cells.of(n)]:
                extra = {a["name"]: json.loads(a["value"]) for a in row["attributes"] or ()}
                message = {
                    **extra,
                    "role": row["label"],
                    "content": json.loads(row["value"]),
                    "number": row["index"] or 0,
                }
                threads.setdefault(str(extra.get("conversation", "0")), []).append(message)
            for messages in threads.values():
                messages.sort(key=lambda m: (m["number"], m["role"] != "system", m["role"] != "question"))
            out.append(threads)
        return out

    def _told(self) -> None:
        self.notes += [
            f"Pixano has no null; {count} of {name!r} were written as empty values."
            for name, count in self._voids.items()
        ]
        self._voids = {}


class QuickstartOut(Common):
    """The quickstart's lines: ``{"image": …, "objects": {"bboxes": […], "category": […]}}``, boxes relative."""

    header: Line | None = None

    def check(self) -> None:
        """Raise ``Unsupported`` for labels that cannot be written."""
        self._check(frozenset(_TABLES))
        for name in self._fields:
            stats = self._facts.fields[name]
            _name(name, self._dialect)
            if name in _TAKEN - {"objects"}:
                raise refuse(
                    self._dialect, name, "a field of that name, which Pixano keeps itself", "use another field name"
                )
            if len(stats.kinds) > 1:
                found = " and ".join(sorted(stats.kinds))
                raise refuse(self._dialect, name, f"{found} in one field", "use 'pixano-0.8', or a field for each")

    def lines(
        self,
        samples: pa.Table,
        labels: pa.Table,
        names: Sequence[str],
        files: Media | None = None,  # noqa: ARG002 - of no use
    ) -> Iterator[Line]:
        """The lines of some samples."""
        columns = self._columns(samples)
        fields = {name: self._arrays(Cells(samples, labels, name), name) for name in self._fields}
        classes = self._images(labels, samples) if self._classes else []
        talks = self._messages(labels, samples) if self._talks else []
        for n, sample in enumerate(samples["sample_id"].to_pylist()):
            line: Line = {"image": names[n], "sample_id": sample}
            for name, kind in self._facts.columns.items():
                line[name] = self._filled(columns[n][name], name, scalar(kind))
            if self._classes:
                line[CATEGORIES] = classes[n]
            for name, (cells, found) in fields.items():
                at = cells.of(n)
                line[name] = {key: values[at] for key, values in found.items()} if at.start < at.stop else None
            if self._talks:
                line[conversations.FIELD] = self._threads(talks[n]) or None
            yield line
        self._told()

    def _arrays(self, cells: Cells, name: str) -> tuple[Cells, dict[str, list[Any]]]:
        stats, found = self._facts.fields[name], {}
        kind = next(iter(stats.kinds))
        if kind == "box" or (kind == "mask" and _own_boxes(cells)):
            found["bboxes"] = cells.boxes()
        if kind == "mask":
            found["masks"] = [{"size": m["size"], "counts": m["counts"].decode()} for m in cells.column("mask")]
        if kind == "keypoints":
            found["keypoints"] = _joints(cells)
        found["category"] = [self._filled(v, "category", "str") for v in cells.column("label")]
        found["label_id"] = cells.column("label_id")
        for key, types in self._attributes(name).items():
            values = cells.column(key) if key in OWN else cells.attribute(key, types)
            if key == "confidence":
                found[key] = [-1.0 if v is None else v for v in values]
            else:
                found[key] = [self._filled(v, key, attribute_type(types)) for v in values]
        return cells, found

    def _attributes(self, name: str) -> dict[str, set[str]]:
        own = {key: OWN_TYPES[key] for key in OWN if key in self._facts.given[name]}
        return own | {k: t for k, t in sorted(self._facts.fields[name].attributes.items()) if k != "template_id"}

    def _filled(self, value: Any, name: str, kind: str) -> Any:
        """A value as Pixano's schema has it: it has no null, and lists of texts only."""
        if kind.startswith("list"):
            inner = _EMPTY[kind[5:-1]]
            if value is not None and not (isinstance(value, list) and all(type(v) is type(inner) for v in value)):
                raise unsupported(
                    f"Pixano holds lists of texts only, and {name!r} is {json.dumps(value)[:60]}; use 'file_name'."
                )
        return value if value is not None else self._void(name, [] if kind.startswith("list") else _EMPTY[kind])

    def _void(self, name: str, empty: Any) -> Any:
        self._voids[name] = self._voids.get(name, 0) + 1
        return empty

    def _threads(self, threads: dict[str, list[Line]]) -> list[Any]:
        """Conversations as questions with their responses; several are lists in a list."""
        made = [_exchanges(messages) for messages in threads.values()]
        return made[0] if len(made) == 1 else made

    def files(self) -> dict[str, str]:
        """The schema that Pixano's import takes."""
        return {"schema.py": self._schema()}

    def _schema(self) -> str:
        base = "DefaultVQADatasetItem" if self._talks else "DefaultImageDatasetItem"
        kind = "vqa" if self._talks else "image"
        text = [
            f'"""pixano data import DATA_DIR FOLDER --type {kind} --schema schema.py:ExportedItem"""',
            "",
            f"from pixano.datasets.workspaces import {base}",
            "from pixano.features import Entity",
        ]
        item = []
        for name in self._fields:
            title = "".join(part.capitalize() for part in name.split("_")) + "Entity"
            lines = ['    category: str = ""', '    label_id: str = ""']
            lines += [f"    {key}: {_default(attribute_type(types))}" for key, types in self._attributes(name).items()]
            text += ["", "", f"class {title}(Entity):", *lines]
            item.append(f"    {name}: list[{title}]")
        item.append('    sample_id: str = ""')
        item += [f"    {name}: {_default(scalar(kind))}" for name, kind in self._facts.columns.items()]
        item += [f"    {CATEGORIES}: {_default('list[str]')}"] if self._classes else []
        return "\n".join([*text, "", "", f"class ExportedItem({base}):", *item, ""])


def _default(kind: str) -> str:
    empty = "[]" if kind.startswith("list") else repr(_EMPTY[kind]).replace("'", '"')
    return f"{kind} = {empty}"


def _exchanges(messages: Sequence[Line]) -> list[Line]:
    made: dict[int, Line] = {}
    choices: list[str] = []
    for m in messages:
        if m["role"] == "question" and m["number"] not in made:
            choices = m.get("choices") or []
            asked = {"content": m["content"], "question_type": m.get("question_type") or "OPEN", "choices": choices}
            made[m["number"]] = {"question": said(asked, m), "responses": []}
        elif m["role"] == "answer" and m["number"] in made:
            picked = chosen_of(m["content"], choices)
            content, why = (", ".join(picked[0]), picked[1]) if picked else (m["content"], "")
            answer = {"content": content, "explanation": why} if why else {"content": content}
            made[m["number"]]["responses"].append(said(answer, m))
        else:
            raise unsupported(
                f"Pixano's quickstart has questions with their answers, and the message {m['content'][:40]!r} is a "
                f"{m['role']} of its own; use 'pixano-0.8', or delete the message."
            )
    return list(made.values())


def said(entry: Line, message: Line) -> Line:
    return {**entry, "user": message["user"]} if message.get("user") else entry


def _own_boxes(cells: Cells) -> bool:
    """Whether the masks have boxes other than those around them, which follow from the masks."""
    masks, found = cells.column("mask"), cells.boxes()
    return any(box is not None and box != geometry.mask_box(mask) for mask, box in zip(masks, found, strict=True))


def _joints(cells: Cells) -> list[Line]:
    templates = cells.attribute("template_id", {"str"})
    return [
        {"template_id": template or "", **joint(points, seen)}
        for points, seen, template in zip(cells.column("points"), cells.column("visibility"), templates, strict=True)
    ]


def joint(points: Any, seen: Any) -> Line:
    flat = np.array([p for part in points for p in part], np.float64).reshape(-1, 2)
    missing = np.logical_or.reduce(np.isnan(flat), axis=1)
    states = [0 if gone else (2 if not seen else int(seen[n])) for n, gone in enumerate(missing.tolist())]
    return {"coords": np.where(missing[:, None], 0.0, flat).ravel().tolist(), "states": [STATES[s] for s in states]}
