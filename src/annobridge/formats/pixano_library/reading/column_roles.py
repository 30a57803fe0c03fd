"""What the columns of a dataset's tables become: classes, attributes, labels of whole images, or columns of the samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ....core.labels import SAMPLES
from ....exceptions import InvalidOption
from ..codec.layout import RECORD_COLUMNS, SPATIAL, Column, Layout, column_type
from ..codec.tables import DISK_ANNOTATIONS
from ..sidecar import Sidecar

_ENTITY = frozenset({"id", "record_id"})
_SENT_IDS = frozenset(
    {"sample_id", "label_id", "label_field"}
)  # attributes of datasets that annobridge sent or exported
_ANNOTATION = frozenset(name for columns in DISK_ANNOTATIONS.values() for name in columns)
_RESERVED = frozenset([*SAMPLES.names, "record", "view", "frame_index", "timestamp"])  # columns that samples get anyway
_COPIED = ("split", "status", "comment")  # columns of records that become columns of the samples


class Dataset(Protocol):
    """The tables of a dataset, wherever they are."""

    @property
    def path(self) -> object:
        """Where it is, for messages."""

    @property
    def tables(self) -> Container[str]:
        """The names of its tables."""

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table; none if there is no such table."""

    def count(self, name: str) -> int:
        """The number of rows of a table; 0 if there is no such table."""

    def scan(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows of a table; none if there is no such table."""


@dataclass(frozen=True)
class ColumnRoles:
    """What each column becomes. Mappings go from the name here to the ``Column`` in Pixano.

    Attributes:
        layout: the attributes of entities, and the record attributes that are labels.
        samples: record attributes that are columns of the samples.
        states: attributes of an entity in a single frame.
        annotation_attributes: attributes of annotations, by table.
        class_attribute: the entity attribute that is the class, if there is one.
        default_field: the field of new labels.
        fields: the field of new labels of some kinds.
        from_annobridge: whether annobridge sent or exported the dataset.
        unset: pairs of field and column: numbers and booleans that are 0 for all labels of the field, which means that its
            labels have no such attribute.
        notes: sentences for the import.
    """

    layout: Layout
    samples: Mapping[str, Column]
    states: Mapping[str, Column]
    annotation_attributes: Mapping[str, Mapping[str, Column]]
    class_attribute: str | None
    default_field: str
    fields: Mapping[str, str]
    from_annobridge: bool = False
    unset: frozenset[tuple[str, str]] = frozenset()
    notes: list[str] = field(default_factory=list)


def find_roles(
    dataset: Dataset,
    sidecar: Sidecar | None,
    label_field: str,
    class_attribute: str,
    record_labels: Iterable[str] | None,
) -> ColumnRoles:
    """The roles of all columns of a dataset; the options are those of ``Reading``.

    Raises:
        InvalidOption: an option names an attribute that the dataset does not have.
    """
    entities, records = dataset.schema("entities"), dataset.schema("records")
    notes: list[str] = []
    from_annobridge = set(records.names) | set(entities.names) >= _SENT_IDS
    classes = _class_attribute(dataset, class_attribute, notes)
    states = _attributes(dataset.schema("entity_dynamic_states"), _ANNOTATION)
    of_annotations = {table: _attributes(dataset.schema(table), _ANNOTATION) for table in DISK_ANNOTATIONS}
    if "keypoints" in dataset.tables:
        of_annotations["keypoints"]["template_id"] = Column("template_id", "str")
    if sidecar is not None:
        if record_labels is not None:
            raise InvalidOption(
                f"record_labels cannot be chosen for {dataset.path}, which annobridge exported and knows the labels of; "
                "leave the option out."
            )
        layout, samples, fields = sidecar.layout, dict(sidecar.columns), sidecar.fields
    else:
        attributes = _record_attributes(records, from_annobridge)
        labels = _record_labels(attributes, from_annobridge, record_labels, dataset, notes)
        hidden = _ENTITY | {classes} | (_SENT_IDS if from_annobridge else set())
        layout = Layout(
            attributes=_attributes(entities, hidden) | states,
            records=labels,
            messages=dataset.count("messages") > 0,
        )
        samples, fields = _sample_columns([f for f in attributes if f.name not in labels]), {}
    samples |= {name: Column(name, "str") for name in _COPIED if name in records.names}
    unset = _unset(dataset, layout) if from_annobridge and sidecar is None else frozenset()
    fields = {"message": "messages", **fields}
    return ColumnRoles(
        layout, samples, states, of_annotations, classes, label_field, fields, from_annobridge, unset, notes
    )


def _class_attribute(dataset: Dataset, name: str, notes: list[str]) -> str | None:
    texts = [f.name for f in dataset.schema("entities") if column_type(f.type) == "str"]
    names = [n for n in texts if n not in _ENTITY | _SENT_IDS]
    if name in names:
        return name
    others = sorted(set(names) - {"parent_id"})
    if name != "category":
        raise InvalidOption(
            f"class_attribute={name!r}: the entities of {dataset.path} have the text attributes "
            f"{', '.join(others) or 'none'}; give one of these."
        )
    if dataset.count("entities"):
        cure = f"give one of {', '.join(others)} as class_attribute" if others else "they have no other text attribute"
        notes.append(f"The entities have no attribute 'category', so the labels have no class; {cure}.")
    return None


def _unset(dataset: Dataset, layout: Layout) -> frozenset[tuple[str, str]]:
    """See ``ColumnRoles.unset``."""
    names = [c.name for c in layout.attributes.values() if c.type in ("int", "float", "bool")]
    used: dict[str, set[str]] = defaultdict(set)  # columns with another value than 0, by field
    for batch in dataset.scan("entities", ["label_field", *names]):
        for label_field in pc.unique(batch["label_field"]).to_pylist():
            rows = batch.filter(pc.equal(batch["label_field"], label_field))
            used[label_field] |= {n for n in names if pc.any(pc.not_equal(rows[n].cast(pa.float64()), 0.0)).as_py()}
    return frozenset((label_field, n) for label_field, found in used.items() for n in names if n not in found)


def _attributes(schema: pa.Schema, excluded: Iterable[str | None]) -> dict[str, Column]:
    """The columns as attributes that labels of all kinds can have."""
    hidden = set(excluded)
    return {f.name: Column(f.name, column_type(f.type), tuple(SPATIAL)) for f in schema if f.name not in hidden}


def _record_attributes(schema: pa.Schema, from_annobridge: bool) -> list[pa.Field]:
    # In other datasets, ``sample_id`` and the like are attributes as any other.
    hidden = set(RECORD_COLUMNS) - (set() if from_annobridge else {*_SENT_IDS, "sample_file"})
    return [f for f in schema if f.name not in hidden]


def _record_labels(
    attributes: list[pa.Field],
    from_annobridge: bool,
    chosen: Iterable[str] | None,
    dataset: Dataset,
    notes: list[str],
) -> dict[str, Column]:
    """The record attributes that are labels: those chosen, else all if annobridge sent the dataset."""
    found = {f.name: column_type(f.type) for f in attributes}
    names = list(found) if chosen is None and from_annobridge else list(chosen or ())
    if unknown := [n for n in names if n not in found]:
        raise InvalidOption(
            f"record_labels={unknown[0]!r}: the records of {dataset.path} have the attributes "
            f"{', '.join(found) or 'none'}; give one of these."
        )
    if names and chosen is None:
        notes.append(
            f"The record attributes {', '.join(names)} are label fields, as annobridge sent them: texts are classes, and "
            "numbers scalars; record_labels=[…] names those that are, the others become columns of the samples."
        )
    kinds = {n: "classification" if found[n] in ("str", "list") else "scalar" for n in names}
    return {n: Column(n, found[n], (kinds[n],)) for n in names}


def _sample_columns(attributes: list[pa.Field]) -> dict[str, Column]:
    """Record attributes as columns of the samples; those that samples have already get ``record_`` in front."""
    out = {}
    for f in attributes:
        is_tags = f.name == "tags" and column_type(f.type) == "list"
        name = f"record_{f.name}" if f.name in _RESERVED and not is_tags else f.name
        out[name] = Column(f.name, column_type(f.type))
    return out
