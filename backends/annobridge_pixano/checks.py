"""What Pixano cannot hold of a schema or a task, found before anything is sent: sentences with the cure."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Task
from annobridge.core.labels import REMOTE, conform
from annobridge.core.schema import LabelSchema
from annobridge.formats import media
from annobridge.formats.pixano_library.codec import encode, values
from annobridge.formats.pixano_library.codec.checks import (
    is_shown_unturned,
    keypoint_states,
    label_problems,
    template_problems,
)
from annobridge.formats.pixano_library.codec.layout import SPATIAL, Layout
from annobridge.formats.pixano_library.codec.messages import ATTRIBUTES as MESSAGE_ATTRIBUTES
from annobridge.formats.pixano_library.codec.tables import AUTO, TEMPLATES

from .task_layout import type_conflicts

EDITOR_LIMITS = {  # by label type: what people cannot do in Pixano's page
    **dict.fromkeys(
        ("polygons", "polylines"), "the points of an existing one cannot be moved; delete it and draw a new one."
    ),
    "keypoints": "new ones cannot be drawn; those of 4, 7 or 11 points are shown, and their points can be moved.",
    "classifications": "the classes of an image are edited as the text of a JSON list.",
}


def schema_problems(schema: LabelSchema) -> Iterator[str]:
    """Problems of a schema beyond what ``Capabilities`` declare."""
    yield from type_conflicts(schema)
    for f in schema.fields.values():
        if f.type == "messages":
            for name in sorted(set(f.all_attributes()) - set(MESSAGE_ATTRIBUTES)):
                yield (
                    f"{f.name}.attributes.{name}: messages in Pixano have only {', '.join(MESSAGE_ATTRIBUTES)}; leave it "
                    "out, or keep it in a scalar field."
                )


def task_problems(task: Task, layout: Layout) -> list[str]:
    """Labels of a task that the columns of its layout cannot hold."""
    spatial = task.labels.filter(pc.is_in(task.labels["kind"], pa.array(list(SPATIAL))))
    return [
        *label_problems(task.labels),
        *template_problems(task.labels, layout.template),
        *values.misfits(conform(spatial, REMOTE, remote_id="").combine_chunks(), layout.attributes),
    ]


def image_problems(task: Task) -> Iterator[str]:
    """Images that Pixano's page shows unturned."""
    rows = zip(task.samples["sample_id"].to_pylist(), task.samples["filepath"].to_pylist(), strict=True)
    if found := [path for sample, path in rows if is_shown_unturned(media.read_header_of(task.media, sample))]:
        yield (
            f"{len(found)} images are turned by their EXIF data and are no JPEG or WebP, as {media.without_secrets(found[0])!r}: "
            "Pixano's page shows them unturned, so labels would lie elsewhere. Turn the files themselves "
            "(PIL.ImageOps.exif_transpose), or leave them out of the view."
        )


def undrawn_notes(labels: pa.Table, template: str) -> Iterator[str]:
    """Keypoints that Pixano's page does not draw."""
    drawn = pc.is_in(encode.templates(keypoint_states(labels), template), pa.array(list(TEMPLATES)))
    if n := len(drawn) - drawn.true_count:
        sizes = ", ".join(f"{size} ({name!r})" for name, size in TEMPLATES.items())
        yield (
            f"{n} keypoint labels are kept, but Pixano's page lists them without drawing them: it has templates for keypoints "
            f"of {sizes} points only{'; the option `template` names another one' * (template != AUTO)}."
        )
