"""What an exported dataset needs: looked at part by part, decided at the end. Raises ``Unsupported`` with all that is wrong."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.labels import REMOTE, conform
from annobridge.exceptions import Unsupported

from .. import columns, limits, wire
from ..arrays import bools, each, one, setting
from ..decode import unsigned
from ..layout import OF_ENTITY, OF_RECORD, SAFE_ID, SPATIAL, Column, Layout, column_type, named, scalar_type

OWN = ("split", "status", "comment")  # columns of samples that records have too
_COLUMNS = frozenset({"classification", "scalar"})  # kinds that are attributes of records
_KNOWN = frozenset(SPATIAL) | _COLUMNS | {"message"}
_APART = {"sample_id", "filepath", "media_type", "width", "height", "frames", "fps"}
_DIGITS = 18  # of a number that fits
_TOLD = 20


class Plan:
    """Grows with ``add``; ``done`` decides."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._attributes: dict[str, set[str]] = defaultdict(set)
        self._kinds: dict[str, set[str]] = defaultdict(set)  # of the labels that have an attribute
        self._fields: dict[str, set[str]] = defaultdict(set)  # the kinds in each
        self._many: set[str] = set()
        self._scalars: dict[str, set[str]] = defaultdict(set)
        self._columns: dict[str, str] = {}
        self._problems: list[str] = []
        self._places: set[bool] = set()  # whether images are in the web
        self.classes: set[str] = set()

    def add(self, samples: pa.Table, labels: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Look at a part; its samples and labels as they are kept."""
        labels = unsigned(conform(labels, REMOTE, remote_id="").combine_chunks())
        samples = samples.combine_chunks()
        self._problems += self._wrong(samples, labels)
        spatial = labels.filter(pc.is_in(labels["kind"], pa.array(list(SPATIAL))))
        self._note_attributes(spatial)
        self.classes |= set(pc.unique(spatial["label"].drop_null()).to_pylist())
        self._note_fields(labels)
        self._places |= set(pc.unique(pc.match_substring_regex(samples["filepath"], "^https?://")).to_pylist())
        for f in samples.schema:
            own = f.name in OWN and pa.types.is_string(f.type)
            if f.name not in _APART and not own and samples[f.name].null_count < len(samples):
                self._columns.setdefault(f.name, column_type(f.type))
        return samples, labels

    def _wrong(self, samples: pa.Table, labels: pa.Table) -> Iterator[str]:
        if len(self._problems) >= _TOLD:
            return
        kinds = set(pc.unique(labels["kind"]).to_pylist()) - _KNOWN
        for kind in sorted(kinds):
            yield f"Pixano has no {kind} labels; export a view without them, or turn them into polygons."
        if labels["frame_number"].null_count < len(labels) or "video" in pc.unique(samples["media_type"]).to_pylist():
            yield "Videos cannot be exported, only images; make images of their frames."
        if samples["filepath"].null_count:
            yield f"The sample {samples.filter(samples['filepath'].is_null())['sample_id'][0].as_py()!r} has no filepath."
        if not kinds:
            yield from limits.of_labels(labels)
            yield from limits.of_template(labels, self._template)

    def _note_attributes(self, rows: pa.Table) -> None:
        lists = one(rows["attributes"])
        flat = pc.list_flatten(lists)
        kinds = one(rows["kind"]).take(pc.list_parent_indices(lists))
        seen = pa.table({"name": flat.field("name"), "kind": kinds, "type": _types(flat)})
        for row in seen.group_by(["name", "kind", "type"]).aggregate([]).to_pylist():
            self._attributes[row["name"]].add(row["type"])
            self._kinds[row["name"]].add(row["kind"])

    def _note_fields(self, labels: pa.Table) -> None:
        groups = labels.group_by(["sample_id", "field", "kind"]).aggregate([([], "count_all")])
        for row in groups.group_by(["field", "kind"]).aggregate([("count_all", "max")]).to_pylist():
            self._fields[row["field"]].add(row["kind"])
            if row["count_all_max"] > 1 and row["kind"] in _COLUMNS:
                self._many.add(row["field"])
        scalars = labels.filter(pc.equal(labels["kind"], "scalar"))
        for row in scalars.group_by(["field", "value"]).aggregate([]).to_pylist():
            self._scalars[row["field"]].add(scalar_type([row["value"]]))

    def done(self) -> tuple[Layout, Mapping[str, Column]]:
        """The layout, and the record attributes that hold columns of samples."""
        problems = list(dict.fromkeys([*self._problems, *self._clashes()]))
        if problems:
            raise Unsupported("Pixano cannot hold all of this; nothing was exported:", problems[:_TOLD])
        labels = {name: self._record_column(name) for name, kinds in self._fields.items() if kinds & _COLUMNS}
        shown = {name: Column(name, type_) for name, type_ in self._columns.items()}
        records = named(labels, OF_RECORD)
        shown = named(shown, [*OF_RECORD, *(c.name for c in records.values())])
        kinds = set().union(*self._fields.values())
        layout = Layout(
            attributes=named({n: self._attribute(n) for n in sorted(self._attributes)}, OF_ENTITY),
            records=records,
            messages="message" in kinds,
            mask_kind="segmentation" if "segmentation" in kinds and "mask" not in kinds else "mask",
            template=self._template,
        )
        return layout, shown

    def fields(self) -> dict[str, str]:
        """Kind -> the field of labels that are drawn anew: of kinds that one field alone has."""
        owners: dict[str, list[str]] = defaultdict(list)
        for name, kinds in sorted(self._fields.items()):
            for kind in kinds:
                owners[kind].append(name)
        return {kind: names[0] for kind, names in owners.items() if len(names) == 1}

    def storage(self) -> str:
        """Pixano's word for where the images are."""
        return "mixed" if len(self._places) > 1 else "filesystem" if self._places == {True} else "embedded"

    def _attribute(self, name: str) -> Column:
        return Column(name, columns.narrowest(self._attributes[name]), tuple(sorted(self._kinds[name])))

    def _record_column(self, name: str) -> Column:
        if "scalar" in self._fields[name]:
            return Column(name, columns.narrowest(self._scalars[name]), ("scalar",))
        return Column(name, "list" if name in self._many else "str", ("classification",))

    def _clashes(self) -> Iterator[str]:
        for name, kinds in self._fields.items():
            if len(kinds) > 1 and kinds & {*_COLUMNS, "message"}:
                yield (
                    f"The field {name!r} has labels of the kinds {' and '.join(sorted(kinds))}, and Pixano would have one "
                    "column for both; give them fields of their own."
                )
            if "scalar" in kinds and name in self._many:
                yield f"The field {name!r} has several values for one image, and Pixano holds one; keep one of them."


def with_remote_ids(labels: pa.Table, layout: Layout) -> pa.Table:
    """Labels with the ids that their annotations get in Pixano."""
    named_safely = setting(labels, label_id=safe("label", one(labels["label_id"])))
    ids = wire.remote_ids(named_safely, layout)
    message = bools(pc.equal(labels["kind"], "message"))
    ids = pc.if_else(pa.array(message), one(named_safely["label_id"]), ids)
    return setting(labels, remote_id=ids)


def of_samples(layout: Layout, samples: pa.Table) -> Layout:
    """The layout with the records of some samples whose id Pixano cannot have."""
    ids = one(samples["sample_id"])
    pairs = zip(safe("sample", ids).to_pylist(), ids.to_pylist(), strict=True)
    return replace(layout, samples={record: sample for record, sample in pairs if record != sample})


def safe(what: str, ids: pa.Array) -> pa.Array:
    """Ids, those that Pixano cannot address replaced by one of their own."""
    return each(ids, lambda i: i if SAFE_ID.fullmatch(i) else f"{what}.{_digest(i)}", pa.string())


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _types(flat: pa.StructArray) -> pa.Array:
    """The type of ``Column`` for each attribute; lists of texts are told from other JSON, and numbers that are too large."""
    types, texts = flat.field("type"), flat.field("value")
    large = pc.and_(pc.equal(types, "int"), pc.greater(pc.utf8_length(texts), _DIGITS))
    types = pc.if_else(large, "json", types)
    other = bools(pc.equal(types, "json")) & ~bools(large)
    found = each(texts.filter(pa.array(other)), _json_type, pa.string())
    return pc.replace_with_mask(types, pa.array(other), found)


def _json_type(text: str) -> str:
    value = json.loads(text)
    return "list" if isinstance(value, list) and value and all(isinstance(v, str) for v in value) else "json"
