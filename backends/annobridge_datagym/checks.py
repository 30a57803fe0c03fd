"""Checks before anything is sent: options that do not go together, and schemas and labels that DataGym cannot hold.

Each problem is a sentence with the cure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Task
from annobridge.backend.kit import FlatPoints, rows_problem, value_problem
from annobridge.core import attr_text, attributes
from annobridge.core.arrays import as_array, as_mask, is_rotated, list_lengths, not_null, points_known
from annobridge.core.checks import validate
from annobridge.core.schema import FieldSchema, LabelSchema

from . import images, names
from .config import DatagymConfig
from .vocabulary import GEOMETRY_TYPES, GLOBAL_KINDS, POINT_KEY, Vocabulary

TextLimits = Mapping[str, Mapping[str, int]]  # characters of a text, by the key of its root and its own key
MAX_DEPTH = 4  # levels of a label configuration
_MAX_ID = 64  # characters
_NESTABLE_KINDS = ("box", "polygon", "keypoints", "polyline")


# --- the schema and the options -----------------------------------------------------------------------------------------


def check_schema(schema: LabelSchema, samples: pa.Table, config: DatagymConfig) -> list[str]:
    """Problems of a schema, of the options, and of both together."""
    found = [*_check_options(samples, config)]
    for spec in schema.fields.values():
        found += _check_names(spec, config.shown_as)
    found += _check_shown_as(schema, config.shown_as)
    found += _check_nested_fields(schema, config)
    if found:
        return found
    found += _check_nested_attributes(schema, config)
    return found or list(_check_depth(Vocabulary.from_schema(schema, config)))


def _check_options(samples: pa.Table, config: DatagymConfig) -> Iterator[str]:
    if "video" in pc.unique(samples["media_type"]).to_pylist():
        yield "DataGym's labels of videos come back in part only; leave the videos out of the view, or use backend='cvat'."
    if config.project_id is not None and config.project_name is not None:
        yield "project_id and project_name are both given; give one of them."
    if config.project_name is not None and not names.is_project_name(config.project_name):
        yield (
            f"project_name has {len(config.project_name)} characters or signs that DataGym does not take "
            f"({config.project_name[:40]!r}{'…' * (len(config.project_name) > 40)}); give 1 to {names.LONGEST_NAME} letters, "
            "digits, spaces and _, and no word that DataGym keeps for itself."
        )
    if config.transport == "files":
        if config.folder is None:
            yield "transport='files' needs folder, in which the files to be uploaded are written."
        counts = Counter(map(names.base_name, samples["filepath"].to_pylist()))
        repeated = sorted(name for name, n in counts.items() if n > 1)
        if repeated:
            yield (
                f"transport='files' knows images by their names, and {len(repeated)} names occur more than once, as "
                f"{repeated[0]!r}; rename the files, or annotate them in several runs."
            )
    elif config.media == "urls":
        if config.url_root is not None and "?" in config.url_root:
            yield "url_root is signed (it has a query): DataGym takes only addresses that end in .jpg, .jpeg or .png; serve openly."
        else:
            yield from images.check_urls(samples["filepath"].to_pylist(), config)


def _displayed_names(spec: FieldSchema) -> Iterator[tuple[str, str]]:
    """What is displayed by name at DataGym, and the name. The classes of a whole image are options, which may have any letters."""
    if spec.kind in GLOBAL_KINDS:
        yield "field", spec.name
    else:
        yield from (("class", c) for c in spec.classes)
    yield from (("attribute", a) for a in spec.all_attributes())


def _check_names(spec: FieldSchema, shown_as: Mapping[str, str]) -> Iterator[str]:
    for what, name in _displayed_names(spec):
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
    if spec.kind in GLOBAL_KINDS:
        for option in (attr_text.to_plain(json.dumps(choice)) for choice in spec.classes):
            if len(option) > names.LONGEST_TEXT:
                yield (
                    f"{spec.name}: the class {option[:30]!r}… has {len(option)} characters, and DataGym takes "
                    f"{names.LONGEST_TEXT}; shorten it."
                )


def _check_shown_as(schema: LabelSchema, shown_as: Mapping[str, str]) -> Iterator[str]:
    known = {name for spec in schema.fields.values() for _, name in _displayed_names(spec)}
    for name, text in shown_as.items():
        if name not in known:
            yield f"shown_as: there is no class, attribute or classification {name!r} in the label schema; correct the name."
        if len(text) > names.LONGEST_KEY:
            yield f"shown_as: the text for {name!r} has {len(text)} characters, and DataGym takes {names.LONGEST_KEY}; shorten it."


def _check_nested_fields(schema: LabelSchema, config: DatagymConfig) -> Iterator[str]:
    for name, outer_name in config.nested_fields.items():
        where = f"nested_fields: {name!r} in {outer_name!r}"
        if name not in schema.fields or outer_name not in schema.fields:
            missing = name if name not in schema.fields else outer_name
            yield f"{where}: there is no field {missing!r} in the label schema; correct the name."
            continue
        inner, outer = schema.fields[name], schema.fields[outer_name]
        if inner.kind not in _NESTABLE_KINDS or outer.kind not in GEOMETRY_TYPES or outer_name in config.nested_fields:
            yield f"{where}: DataGym nests shapes in shapes, one level deep; send one of them as a field of its own."
        elif config.parent_attr not in inner.all_attributes():
            yield (
                f"{where}: the labels of {name!r} need the text attribute {config.parent_attr!r} with the id of the label that "
                "each is nested in; add it to the schema, or name another with parent_attr."
            )


def _check_nested_attributes(schema: LabelSchema, config: DatagymConfig) -> Iterator[str]:
    known = {a for spec in schema.fields.values() for a in spec.all_attributes()}
    for name, parent in config.nested_attributes.items():
        if missing := [n for n in (name, parent) if n not in known]:
            yield f"nested_attributes: there is no attribute {missing[0]!r} in the label schema; correct the name."
    for spec in schema.fields.values():
        if spec.kind in GLOBAL_KINDS:
            continue
        parents = Counter(config.nested_attributes[a] for a in spec.all_attributes() if a in config.nested_attributes)
        for parent, n in parents.items():
            if n > 1:
                yield (
                    f"{spec.name}: {n} attributes are nested in {parent!r}, and DataGym's import takes one in each attribute "
                    "of a shape; leave the others at the top level."
                )


def _check_depth(vocabulary: Vocabulary) -> Iterator[str]:
    for entry in vocabulary.entries:
        by_key = {c.key: c for c in entry.classifications}
        for classification in entry.classifications:
            depth, ancestor = len(entry.path) + (entry.label is not None), classification
            seen = {classification.key}
            while ancestor.parent is not None:
                depth, ancestor = depth + 1, by_key[ancestor.parent]
                if ancestor.key in seen:
                    yield (
                        f"{entry.field}: nested_attributes form a circle at {classification.key!r}; take one of them out."
                    )
                    return
                seen.add(ancestor.key)
            if depth > MAX_DEPTH:
                yield (
                    f"{entry.field}: the attribute {classification.key!r} is {depth} levels deep, and DataGym has {MAX_DEPTH}; "
                    "nest fewer."
                )


# --- labels -------------------------------------------------------------------------------------------------------------


def check_task(task: Task, vocabulary: Vocabulary, config: DatagymConfig, text_limits: TextLimits) -> Iterator[str]:
    """Problems of the labels of a task. ``text_limits`` are those of the existing project."""
    labels = task.labels.combine_chunks()
    yield from _check_values(labels, vocabulary, text_limits)
    yield from check_entries(labels, vocabulary)
    yield from _check_shapes(labels, task.samples)
    yield from _check_repeated_classes(task.schema, labels)
    if config.show_ids:
        too_long = as_mask(pc.greater(pc.utf8_length(labels["label_id"]), _MAX_ID))
        yield from rows_problem(
            labels, too_long, f"an id of more than {_MAX_ID} characters; pass show_ids=False, so that it is not sent."
        )
    for name, outer in config.nested_fields.items():
        yield from _check_parents(labels, name, outer, config.parent_attr)


def check_entries(labels: pa.Table, vocabulary: Vocabulary) -> Iterator[str]:
    """Labels that need what the project's label configuration lacks and other labels can do without."""
    known = {(e.field, e.label, e.closed) for e in vocabulary.entries}
    is_closed, has_several = as_mask(labels["closed"]), FlatPoints.of(labels["points"]).counts() > 1
    for entry in vocabulary.entries:
        is_own = as_mask(pc.equal(labels["field"], entry.field)) & as_mask(pc.equal(labels["label"], entry.label or ""))
        if entry.type == "line" and (entry.field, entry.label, True) not in known:
            yield from rows_problem(
                labels,
                is_own & is_closed,
                f"a closed line, and the project has no polygon class {names.key(f'{entry.key} closed', ())!r} for those; add it "
                "there, or pass update_project=True.",
            )
        if entry.type == "point" and entry.point_key is None:
            yield from rows_problem(
                labels,
                is_own & has_several,
                f"several points, and the class {entry.key!r} of the project has no text attribute {POINT_KEY!r} that "
                "tells them apart; add it there, or pass update_project=True.",
            )


def _check_values(labels: pa.Table, vocabulary: Vocabulary, text_limits: TextLimits) -> Iterator[str]:
    """Attributes and scalars with a value that DataGym cannot hold, each named once."""
    for field, kind in vocabulary.kinds.items():
        of_field = labels.filter(pc.equal(labels["field"], field))
        reported: set[str | None] = set()
        for entry in (e for e in vocabulary.entries if e.field == field):
            rows = of_field
            if entry.label is not None:  # attributes of one name may differ from class to class
                rows = rows.filter(pc.equal(rows["label"], entry.label))
            limits = text_limits.get(entry.path[0], {})
            for c in entry.classifications:
                attribute = c.attribute.name if c.attribute else None
                if attribute in reported or (attribute is None and kind != "scalar"):
                    continue
                column = attributes.values(rows["attributes"], attribute) if attribute else as_array(rows["value"])
                max_length = limits.get(c.key, names.LONGEST_TEXT)
                problem = value_problem(field, attribute, column, partial(c.problem_with, max_length=max_length))
                if problem:
                    reported.add(attribute)
                    yield from problem


def _check_shapes(labels: pa.Table, samples: pa.Table) -> Iterator[str]:
    kind, points = labels["kind"], as_array(labels["points"])
    is_keypoints = as_mask(pc.equal(kind, "keypoints"))
    yield from rows_problem(
        labels,
        as_mask(pc.equal(kind, "box")) & is_rotated(labels["rotation"]),
        "a rotation, and DataGym has upright boxes only; send them as polygons, or set it to 0.",
    )
    yield from rows_problem(
        labels,
        is_keypoints & (points_known(points) == 0),
        "keypoints of which none is there; delete them, or give one.",
    )
    yield from rows_problem(
        labels,
        is_keypoints & (list_lengths(points) > 1),
        "keypoints in several parts; give each part a label of its own.",
    )
    yield from rows_problem(
        labels,
        validate.other_size(labels, samples),
        "a mask of another size than its image; resize the mask to the image.",
    )


def _check_repeated_classes(schema: LabelSchema, labels: pa.Table) -> Iterator[str]:
    for spec in schema.fields.values():
        if spec.type != "classifications":
            continue
        rows = labels.filter(pc.equal(labels["field"], spec.name))
        counts = rows.group_by(["sample_id", "label"]).aggregate([([], "count_all")])
        for row in counts.filter(pc.greater(counts["count_all"], 1)).slice(0, 1).to_pylist():
            yield (
                f"{spec.name}: the sample {row['sample_id']!r} has {row['label']!r} {row['count_all']} times, and a checklist has "
                "it once; delete the others."
            )


def _check_parents(labels: pa.Table, name: str, outer_name: str, attribute: str) -> Iterator[str]:
    """Labels of a nested field without a label of the outer field that they are nested in."""
    inner = labels.filter(pc.equal(labels["field"], name))
    outer = labels.filter(pc.equal(labels["field"], outer_name))
    outer_keys = pc.binary_join_element_wise(as_array(outer["sample_id"]), as_array(outer["label_id"]), "\n")
    parent_ids = pc.utf8_trim(attributes.values(inner["attributes"], attribute), '"')
    parent_keys = pc.binary_join_element_wise(as_array(inner["sample_id"]), parent_ids, "\n")
    yield from rows_problem(
        inner,
        ~not_null(parent_keys) | ~as_mask(pc.is_in(parent_keys, value_set=outer_keys)),
        f"{attribute!r} is not the id of a label of {outer_name!r} on the same image; set it, or leave them out.",
    )
