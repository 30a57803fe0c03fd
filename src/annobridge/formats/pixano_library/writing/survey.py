"""The first pass over an export: which columns the dataset needs, and whether Pixano can hold everything."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from ....core.arrays import as_array, as_mask, equal, map_distinct, set_columns
from ....core.labels import REMOTE, conform
from ....exceptions import Unsupported
from ..codec import checks, encode
from ..codec.decode import without_provenance
from ..codec.layout import (
    ENTITY_COLUMNS,
    RECORD_COLUMNS,
    SAFE_ID,
    SPATIAL,
    Column,
    Layout,
    column_type,
    legal_names,
    narrowest_type,
    scalar_type,
)

PIXANO_COLUMNS = ("split", "status", "comment")  # columns of samples that are columns of records in every dataset
_RECORD_KINDS = frozenset({"classification", "scalar"})  # kinds of labels that become attributes of records
_SUPPORTED_KINDS = frozenset(SPATIAL) | _RECORD_KINDS | {"message"}
_NOT_COLUMNS = {"sample_id", "filepath", "media_type", "width", "height", "frames", "fps"}
_MOST_DIGITS = 18  # of an integer that surely fits 64 bits
_MOST_PROBLEMS = 20


class Survey:
    """Call ``add`` with each part, and then ``layout``.

    Attributes:
        classes: the classes of spatial labels.
    """

    def __init__(self, template: str) -> None:
        self._template = template
        self._attribute_types: dict[str, set[str]] = defaultdict(set)  # by attribute
        self._attribute_kinds: dict[str, set[str]] = defaultdict(set)  # kinds of labels, by attribute
        self._field_kinds: dict[str, set[str]] = defaultdict(set)  # kinds of labels, by field
        self._multiple: set[str] = set()  # fields with several classifications or scalars on one sample
        self._scalar_types: dict[str, set[str]] = defaultdict(set)  # by field
        self._sample_columns: dict[str, str] = {}  # types of columns of samples
        self._problems: list[str] = []
        self._is_remote: set[bool] = set()  # whether images are at a web address
        self.classes: set[str] = set()

    def add(self, samples: pa.Table, labels: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Examine a part; returns its samples and labels (as ``REMOTE``) as they are to be kept."""
        labels = without_provenance(conform(labels, REMOTE, remote_id="").combine_chunks())
        samples = samples.combine_chunks()
        self._problems += self._problems_of(samples, labels)
        spatial = labels.filter(pc.is_in(labels["kind"], pa.array(list(SPATIAL))))
        self._add_attributes(spatial)
        self.classes |= set(pc.unique(spatial["label"].drop_null()).to_pylist())
        self._add_fields(labels)
        self._is_remote |= set(pc.unique(pc.match_substring_regex(samples["filepath"], "^https?://")).to_pylist())
        for f in samples.schema:
            is_pixanos = f.name in PIXANO_COLUMNS and pa.types.is_string(f.type)
            if f.name not in _NOT_COLUMNS and not is_pixanos and samples[f.name].null_count < len(samples):
                self._sample_columns.setdefault(f.name, column_type(f.type))
        return samples, labels

    def _problems_of(self, samples: pa.Table, labels: pa.Table) -> Iterator[str]:
        if len(self._problems) >= _MOST_PROBLEMS:
            return
        unsupported = set(pc.unique(labels["kind"]).to_pylist()) - _SUPPORTED_KINDS
        for kind in sorted(unsupported):
            yield f"Pixano has no {kind} labels; export a view without them, or turn them into polygons."
        if labels["frame_number"].null_count < len(labels) or "video" in pc.unique(samples["media_type"]).to_pylist():
            yield "Videos cannot be exported, only images; make images of their frames."
        if samples["filepath"].null_count:
            first = samples.filter(samples["filepath"].is_null())["sample_id"][0].as_py()
            yield f"The sample {first!r} has no filepath."
        if not unsupported:
            yield from checks.label_problems(labels)
            yield from checks.template_problems(labels, self._template)

    def _add_attributes(self, rows: pa.Table) -> None:
        lists = as_array(rows["attributes"])
        flat = pc.list_flatten(lists)
        kinds = as_array(rows["kind"]).take(pc.list_parent_indices(lists))
        found = pa.table({"name": flat.field("name"), "kind": kinds, "type": _attribute_types(flat)})
        for row in found.group_by(["name", "kind", "type"]).aggregate([]).to_pylist():
            self._attribute_types[row["name"]].add(row["type"])
            self._attribute_kinds[row["name"]].add(row["kind"])

    def _add_fields(self, labels: pa.Table) -> None:
        groups = labels.group_by(["sample_id", "field", "kind"]).aggregate([([], "count_all")])
        for row in groups.group_by(["field", "kind"]).aggregate([("count_all", "max")]).to_pylist():
            self._field_kinds[row["field"]].add(row["kind"])
            if row["count_all_max"] > 1 and row["kind"] in _RECORD_KINDS:
                self._multiple.add(row["field"])
        scalars = labels.filter(pc.equal(labels["kind"], "scalar"))
        for row in scalars.group_by(["field", "value"]).aggregate([]).to_pylist():
            self._scalar_types[row["field"]].add(scalar_type([row["value"]]))

    def layout(self) -> Layout:
        """The layout of the dataset.

        Raises:
            Unsupported: Pixano cannot hold all of the samples and labels; the error lists the problems.
        """
        problems = list(dict.fromkeys([*self._problems, *self._field_problems()]))
        if problems:
            raise Unsupported("Pixano cannot hold all of this; nothing was exported:", problems[:_MOST_PROBLEMS])
        labels = {name: self._record_column(name) for name, kinds in self._field_kinds.items() if kinds & _RECORD_KINDS}
        records = legal_names(labels, RECORD_COLUMNS)
        shown = {name: Column(name, type_) for name, type_ in self._sample_columns.items()}
        attributes = {name: self._attribute_column(name) for name in sorted(self._attribute_types)}
        kinds = set().union(*self._field_kinds.values())
        return Layout(
            attributes=legal_names(attributes, ENTITY_COLUMNS),
            records=records,
            shown=legal_names(shown, [*RECORD_COLUMNS, *(c.name for c in records.values())]),
            messages="message" in kinds,
            mask_kind="segmentation" if "segmentation" in kinds and "mask" not in kinds else "mask",
            template=self._template,
        )

    def fields(self) -> dict[str, str]:
        """The field of labels that are added in Pixano, by kind: for those kinds that are in one field only."""
        owners: dict[str, list[str]] = defaultdict(list)
        for name, kinds in sorted(self._field_kinds.items()):
            for kind in kinds:
                owners[kind].append(name)
        return {kind: names[0] for kind, names in owners.items() if len(names) == 1}

    def storage_mode(self) -> str:
        """Pixano's term for where the images are."""
        return "mixed" if len(self._is_remote) > 1 else "filesystem" if self._is_remote == {True} else "embedded"

    def _attribute_column(self, name: str) -> Column:
        return Column(name, narrowest_type(self._attribute_types[name]), tuple(sorted(self._attribute_kinds[name])))

    def _record_column(self, name: str) -> Column:
        if "scalar" in self._field_kinds[name]:
            return Column(name, narrowest_type(self._scalar_types[name]), ("scalar",))
        return Column(name, "list" if name in self._multiple else "str", ("classification",))

    def _field_problems(self) -> Iterator[str]:
        for name, kinds in self._field_kinds.items():
            if len(kinds) > 1 and kinds & {*_RECORD_KINDS, "message"}:
                yield (
                    f"The field {name!r} has labels of the kinds {' and '.join(sorted(kinds))}, and Pixano would have one "
                    "column for both; give them fields of their own."
                )
            if "scalar" in kinds and name in self._multiple:
                yield f"The field {name!r} has several values for one image, and Pixano holds one; keep one of them."


def with_remote_ids(labels: pa.Table, layout: Layout) -> pa.Table:
    """Labels with the ids that they get in Pixano."""
    safe = set_columns(labels, label_id=_addressable("label", as_array(labels["label_id"])))
    is_message = pa.array(equal(labels["kind"], "message"))
    ids = pc.if_else(is_message, as_array(safe["label_id"]), encode.remote_ids(safe, layout))
    return set_columns(labels, remote_id=ids)


def with_samples(layout: Layout, samples: pa.Table) -> Layout:
    """The layout with the record ids of some samples."""
    ids = as_array(samples["sample_id"])
    pairs = zip(_addressable("sample", ids).to_pylist(), ids.to_pylist(), strict=True)
    return replace(layout, samples={record: sample for record, sample in pairs if record != sample})


def _addressable(what: str, ids: pa.Array) -> pa.Array:
    """Ids, with a digest in place of those that Pixano cannot address."""
    return map_distinct(ids, lambda i: i if SAFE_ID.fullmatch(i) else f"{what}.{_digest(i)}", pa.string())


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _attribute_types(flat: pa.StructArray) -> pa.Array:
    """The ``Column.type`` of each attribute. Only the value tells a list of texts from other JSON, and a very long integer."""
    types, texts = flat.field("type"), flat.field("value")
    is_long = pc.and_(pc.equal(types, "int"), pc.greater(pc.utf8_length(texts), _MOST_DIGITS))
    types = pc.if_else(is_long, "json", types)
    is_json = equal(types, "json") & ~as_mask(is_long)
    found = map_distinct(texts.filter(pa.array(is_json)), _json_type, pa.string())
    return pc.replace_with_mask(types, pa.array(is_json), found)


def _json_type(text: str) -> str:
    value = json.loads(text)
    return "list" if isinstance(value, list) and value and all(isinstance(v, str) for v in value) else "json"
