"""What DataGym cannot hold, and options that do not fit, found before anything is sent: sentences with the cure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Task
from annobridge.core import attr_text
from annobridge.core import attributes as lists
from annobridge.core.arrays import Bools, Ints, as_array, as_mask, is_rotated, list_lengths, not_null, points_known
from annobridge.core.checks import validate
from annobridge.core.schema import FieldSchema, LabelSchema

from . import images, names
from .config import DatagymConfig
from .vocabulary import GLOBAL, PLACE, SHAPES, Vocabulary

Longest = Mapping[str, Mapping[str, int]]  # characters of a text, by the key of its root and its own
DEPTH = 4  # levels of a label configuration
_ID_LENGTH = 64
_INNER = ("box", "polygon", "keypoints", "polyline")  # kinds whose shapes may lie in another


def of_schema(schema: LabelSchema, samples: pa.Table, config: DatagymConfig) -> list[str]:
    """Problems of a schema, of the options, and of both together."""
    found = [*_options(samples, config)]
    for spec in schema.fields.values():
        found += _names(spec, config.shown_as)
    found += _shown_as(schema, config.shown_as)
    found += _nested_fields(schema, config)
    if found:
        return found
    found += _nested_attributes(schema, config)
    return found or list(_depths(Vocabulary.of(schema, config)))


def _options(samples: pa.Table, config: DatagymConfig) -> Iterator[str]:
    if "video" in pc.unique(samples["media_type"]).to_pylist():
        yield "DataGym's labels of videos come back in part only; leave the videos out of the view, or use backend='cvat'."
    if config.project_id is not None and config.project_name is not None:
        yield "project_id and project_name are both given; give one of them."
    if config.project_name is not None and not names.is_place(config.project_name):
        yield (
            f"project_name has {len(config.project_name)} characters or signs that DataGym does not take "
            f"({config.project_name[:40]!r}{'…' * (len(config.project_name) > 40)}); give 1 to {names.LONGEST_NAME} letters, "
            "digits, "
            "spaces and _, and no word that DataGym keeps for itself."
        )
    if config.transport == "files":
        yield from _files(samples, config)
    elif config.media == "urls":
        if config.url_root is not None and "?" in config.url_root:
            yield "url_root is signed (it has a query): DataGym takes only addresses that end in .jpg, .jpeg or .png; serve openly."
        else:
            yield from images.problems(samples["filepath"].to_pylist(), config)


def _files(samples: pa.Table, config: DatagymConfig) -> Iterator[str]:
    if config.folder is None:
        yield "transport='files' needs folder, the place where what is to be uploaded is written."
    counts = Counter(p.replace("\\", "/").rpartition("/")[2] for p in samples["filepath"].to_pylist())
    twice = sorted(name for name, n in counts.items() if n > 1)
    if twice:
        yield (
            f"transport='files' knows images by their names, and {len(twice)} names occur more than once, as {twice[0]!r}; "
            "rename the "
            "files, or annotate them in several runs."
        )


def _shown(spec: FieldSchema) -> Iterator[tuple[str, str]]:
    """The names that become names of DataGym's, each with what it is. Classes of a whole image are options, shown as they are."""
    if spec.kind in GLOBAL:
        yield "field", spec.name
    else:
        yield from (("class", c) for c in spec.classes)
    yield from (("attribute", a) for a in spec.all_attributes())


def _names(spec: FieldSchema, shown_as: Mapping[str, str]) -> Iterator[str]:
    for what, name in _shown(spec):
        if not names.is_readable(shown_as.get(name, name)):
            yield (
                f"{spec.name}: DataGym shows names in Latin letters and digits only, and the {what} {name!r} has none; say what "
                f"labelers shall read, as shown_as={{{name!r}: 'a name'}}."
            )
        if len(name) > names.LONGEST_KEY:
            yield (
                f"{spec.name}: the {what} {name[:30]!r}… has {len(name)} characters, and DataGym takes {names.LONGEST_KEY}; "
                "shorten it."
            )
    if spec.kind in GLOBAL:
        for option in (attr_text.to_plain(json.dumps(choice)) for choice in spec.classes):
            if len(option) > names.LONGEST_TEXT:
                yield (
                    f"{spec.name}: the class {option[:30]!r}… has {len(option)} characters, and DataGym takes "
                    f"{names.LONGEST_TEXT}; shorten it."
                )


def _shown_as(schema: LabelSchema, shown_as: Mapping[str, str]) -> Iterator[str]:
    every = {name for spec in schema.fields.values() for _, name in _shown(spec)}
    for name, text in shown_as.items():
        if name not in every:
            yield f"shown_as: there is no class, attribute or classification {name!r} in the label schema; correct the name."
        if len(text) > names.LONGEST_KEY:
            yield f"shown_as: the text for {name!r} has {len(text)} characters, and DataGym takes {names.LONGEST_KEY}; shorten it."


def _nested_fields(schema: LabelSchema, config: DatagymConfig) -> Iterator[str]:
    for name, outer in config.nested_fields.items():
        where = f"nested_fields: {name!r} in {outer!r}"
        if name not in schema.fields or outer not in schema.fields:
            missing = name if name not in schema.fields else outer
            yield f"{where}: there is no field {missing!r} in the label schema; correct the name."
            continue
        inner, holder = schema.fields[name], schema.fields[outer]
        if inner.kind not in _INNER or holder.kind not in SHAPES or outer in config.nested_fields:
            yield f"{where}: DataGym nests shapes in shapes, one level deep; send one of them as a field of its own."
        elif config.parent_attr not in inner.all_attributes():
            yield (
                f"{where}: the labels of {name!r} need the text attribute {config.parent_attr!r} with the id of the label "
                "that each "
                "lies in; add it to the schema, or name another with parent_attr."
            )


def _nested_attributes(schema: LabelSchema, config: DatagymConfig) -> Iterator[str]:
    every = {a for spec in schema.fields.values() for a in spec.all_attributes()}
    for name, upper in config.nested_attributes.items():
        if missing := [n for n in (name, upper) if n not in every]:
            yield f"nested_attributes: there is no attribute {missing[0]!r} in the label schema; correct the name."
    for spec in schema.fields.values():
        if spec.kind in GLOBAL:
            continue
        uppers = Counter(config.nested_attributes[a] for a in spec.all_attributes() if a in config.nested_attributes)
        for upper, n in uppers.items():
            if n > 1:
                yield (
                    f"{spec.name}: {n} attributes are asked below {upper!r}, and DataGym's import takes one below each "
                    "attribute of a "
                    "shape; ask the others by themselves."
                )


def _depths(vocabulary: Vocabulary) -> Iterator[str]:
    for entry in vocabulary.entries:
        by_key = {q.key: q for q in entry.questions}
        for q in entry.questions:
            depth, at = len(entry.path) + (entry.label is not None), q
            seen = {q.key}
            while at.below is not None:
                depth, at = depth + 1, by_key[at.below]
                if at.key in seen:
                    yield f"{entry.field}: nested_attributes go round in a circle at {q.key!r}; take one of them out."
                    return
                seen.add(at.key)
            if depth > DEPTH:
                yield f"{entry.field}: the attribute {q.key!r} lies {depth} levels deep, and DataGym has {DEPTH}; nest fewer."


# --- labels -------------------------------------------------------------------------------------------------------------


def of_task(task: Task, vocabulary: Vocabulary, config: DatagymConfig, longest: Longest) -> Iterator[str]:
    """Problems of the labels of a task; ``longest`` are the lengths of texts in a project that is there."""
    labels = task.labels.combine_chunks()
    yield from _values(labels, vocabulary, longest)
    yield from without_entry(labels, vocabulary)
    yield from _shapes(labels, task.samples)
    yield from _twice(task.schema, labels)
    if config.show_ids:
        long = as_mask(pc.greater(pc.utf8_length(labels["label_id"]), _ID_LENGTH))
        yield from _told(
            labels, long, f"an id of more than {_ID_LENGTH} characters; pass show_ids=False, so that it is not sent."
        )
    for name, outer in config.nested_fields.items():
        yield from _orphans(labels, name, outer, config.parent_attr)


def without_entry(labels: pa.Table, vocabulary: Vocabulary) -> Iterator[str]:
    """Labels that need what the project's label configuration lacks and others can do without."""
    every = {(e.field, e.label, e.closed): e for e in vocabulary.entries}
    closed, several = as_mask(labels["closed"]), _sizes(as_array(labels["points"])) > 1
    for entry in vocabulary.entries:
        own = as_mask(pc.equal(labels["field"], entry.field)) & as_mask(pc.equal(labels["label"], entry.label or ""))
        if entry.type == "line" and (entry.field, entry.label, True) not in every:
            yield from _told(
                labels,
                own & closed,
                f"a closed line, and the project has no polygon class {names.key(f'{entry.key} closed', ())!r} for those; add it "
                "there, or pass update_project=True.",
            )
        if entry.type == "point" and entry.place is None:
            yield from _told(
                labels,
                own & several,
                f"several points, and the class {entry.key!r} of the project has no text attribute {PLACE!r} that "
                "tells them apart; add it there, or pass update_project=True.",
            )


def _sizes(points: pa.Array) -> Ints:
    """How many points each label has, missing ones too."""
    owner = np.repeat(np.arange(len(points)), list_lengths(points))
    return np.bincount(owner, list_lengths(points.flatten()), len(points)).astype(np.int64)


def _values(labels: pa.Table, vocabulary: Vocabulary, longest: Longest) -> Iterator[str]:
    for field in vocabulary.kinds:
        everything = labels.filter(pc.equal(labels["field"], field))
        told: set[str] = set()
        for entry in (e for e in vocabulary.entries if e.field == field):
            rows = everything  # of a class only its own, for attributes of one name may be unlike
            if entry.label is not None:
                rows = rows.filter(pc.equal(rows["label"], entry.label))
            room = longest.get(entry.path[0], {})
            for q in entry.questions:
                name = q.attribute.name if q.attribute else "value"
                if name in told or (q.attribute is None and vocabulary.kinds[field] != "scalar"):
                    continue
                found = lists.values(rows["attributes"], name) if q.attribute else as_array(rows["value"])
                for text in pc.unique(found.drop_null()).to_pylist():
                    if why := q.misfit(text, room.get(q.key, names.LONGEST_TEXT)):
                        told.add(name)
                        yield f"{field}: some labels have {name} = {_short(text)}, which {why}; correct them, or the schema."
                        break


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _shapes(labels: pa.Table, samples: pa.Table) -> Iterator[str]:
    kind, points = labels["kind"], as_array(labels["points"])
    is_turned = as_mask(pc.equal(kind, "box")) & is_rotated(labels["rotation"])
    yield from _told(
        labels, is_turned, "a rotation, and DataGym has upright boxes only; send them as polygons, or set it to 0."
    )
    is_points = as_mask(pc.equal(kind, "keypoints"))
    yield from _told(
        labels, is_points & (points_known(points) == 0), "keypoints of which none is there; delete them, or give one."
    )
    yield from _told(
        labels, is_points & (list_lengths(points) > 1), "keypoints in several parts; give each part a label of its own."
    )
    yield from _told(
        labels,
        validate.other_size(labels, samples),
        "a mask of another size than its image; resize the mask to the image.",
    )


def _twice(schema: LabelSchema, labels: pa.Table) -> Iterator[str]:
    for spec in schema.fields.values():
        if spec.type == "classifications":
            rows = (
                labels.filter(pc.equal(labels["field"], spec.name))
                .group_by(["sample_id", "label"])
                .aggregate([([], "count_all")])
            )
            for row in rows.filter(pc.greater(rows["count_all"], 1)).slice(0, 1).to_pylist():
                yield (
                    f"{spec.name}: the sample {row['sample_id']!r} has {row['label']!r} {row['count_all']} times, and a "
                    "checklist has it "
                    "once; delete the others."
                )


def _orphans(labels: pa.Table, name: str, outer: str, attribute: str) -> Iterator[str]:
    inner = labels.filter(pc.equal(labels["field"], name))
    around = labels.filter(pc.equal(labels["field"], outer))
    key = pc.binary_join_element_wise(as_array(around["sample_id"]), as_array(around["label_id"]), "\n")
    given = pc.utf8_trim(lists.values(inner["attributes"], attribute), '"')
    own = pc.binary_join_element_wise(as_array(inner["sample_id"]), given, "\n")
    lost = ~not_null(own) | ~as_mask(pc.is_in(own, value_set=key))
    yield from _told(
        inner, lost, f"no label of {outer!r} on the same image as {attribute!r}; set it, or leave them out."
    )


def _told(labels: pa.Table, where: Bools, what: str) -> Iterator[str]:
    if n := int(where.sum()):
        ids = labels["label_id"].filter(pa.array(where)).slice(0, 3).to_pylist()
        yield f"{n} label{'s have' if n > 1 else ' has'} ({', '.join(ids)}{' …' * (n > 3)}) {what}"
