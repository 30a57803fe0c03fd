"""The scenario of the demo: a dataset with labels as a model would predict them, and the edits that correct them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from ..core.rows import Classification, Detection, Label, Polyline, Sample, attributes
from ..exceptions import InvalidMedia, StoreError
from . import scenes
from .tools import Annotator

if TYPE_CHECKING:
    from ..dataset import Dataset

MOST_PHOTOS = 24  # of the given photos, the first by name
_OCCLUDED = {"occluded": {"type": "checkbox"}}
_STREET_SCHEMA = {
    "objects": {
        "type": "detections",
        "classes": [
            {"classes": ["car"], "attributes": {"colour": {"type": "select", "values": sorted(scenes.COLOURS)}}},
            "person",
            "sign",
        ],
        "attributes": _OCCLUDED,
    },
    "ground": {"type": "polygons", "classes": ["road", "pavement"]},
    "weather": {"type": "classification", "classes": ["sunny", "cloudy", "night"]},
}
_FALSE_POSITIVE = scenes.Thing("ghost", "person", (0.21, 0.14, 0.05, 0.16))
_LAST_EDITED = 8  # the number of the last scene with a wrong label
_PHOTO_SCHEMA = {"objects": {"type": "detections", "classes": ["object", "other"], "attributes": _OCCLUDED}}


class Edit(NamedTuple):
    """An edit in the tool: the sample that it is on, a description, and the call that makes it."""

    sample_id: str
    text: str
    apply: Callable[[Annotator], None]


class LocalEdit(NamedTuple):
    """An edit in the dataset while the run is in the tool."""

    row: dict[str, Any]  # for ``Dataset.set_labels``
    text: str
    merged: str  # what the label is once both edits are merged


@dataclass
class Scenario:
    """What is annotated, and how it is edited on both sides."""

    schema: Mapping[str, Any]  # the ``label_schema`` of ``annotate``
    text: str  # describes the samples
    edits: list[Edit]
    local_edit: LocalEdit | None = None


def street(ds: Dataset, folder: Path) -> Scenario:
    """Draw the street scenes into ``folder``, and add them to a dataset with some wrong labels."""
    folder.mkdir(parents=True)
    drawn = scenes.scenes()
    for scene in drawn:
        scene.image.save(folder / f"{scene.name}.png")
    second, fifth, eighth = _mislabelled(drawn)
    car, missed = second.thing("car2"), second.thing("person3")
    sign, hidden = fifth.thing("sign2"), fifth.thing("car3")
    x, y, width, height = car.box
    wrong = {  # None: the model missed it
        (second.name, car.name): replace(car, box=(x - 0.05, y + 0.035, width * 0.8, height), colour="white"),
        (second.name, missed.name): None,
        (fifth.name, sign.name): replace(sign, label="person"),
        (fifth.name, hidden.name): replace(hidden, occluded=False),
    }
    samples = []
    for scene in drawn:
        things = [wrong.get((scene.name, t.name), t) for t in scene.things] + [_FALSE_POSITIVE] * (scene is fifth)
        weather = "cloudy" if scene is eighth else scene.weather
        samples.append(_street_sample(folder, scene, [t for t in things if t], weather))
    ds.add_samples(samples)
    local = LocalEdit(
        {"label_id": _id(second, car), "attributes": attributes({"colour": "yellow", "occluded": car.occluded})},
        f"somebody sets the colour of that very car of {second.name} here: white → yellow",
        f"That car of {second.name} has now the box from the tool and the colour from here.",
    )
    return Scenario(_STREET_SCHEMA, f"{len(samples)} street scenes", _edits(drawn), local)


def street_edits() -> list[Edit]:
    """What people correct in the street scenes, in the order in which they do it."""
    return _edits(scenes.scenes(_LAST_EDITED))


def _mislabelled(drawn: Sequence[scenes.Scene]) -> list[scenes.Scene]:
    """The three scenes with wrong labels."""
    by_name = {scene.name: scene for scene in drawn}
    return [by_name[f"street_{n:02}"] for n in (2, 5, _LAST_EDITED)]


def _edits(drawn: Sequence[scenes.Scene]) -> list[Edit]:
    second, fifth, eighth = _mislabelled(drawn)
    car, missed = second.thing("car2"), second.thing("person3")
    sign, hidden = fifth.thing("sign2"), fifth.thing("car3")
    car_id, sign_id, hidden_id = _id(second, car), _id(fifth, sign), _id(fifth, hidden)
    new = methodcaller("draw", second.name, "person", missed.box, {"occluded": missed.occluded})
    return [
        Edit(second.name, "move the box of a car", methodcaller("move", car_id, car.box)),
        Edit(second.name, "draw a box around a person", new),
        Edit(fifth.name, "change a class: person → sign", methodcaller("set_class", sign_id, "sign")),
        Edit(fifth.name, "tick « occluded » of a car", methodcaller("set_attribute", hidden_id, "occluded", True)),
        Edit(fifth.name, "delete a box around nothing", methodcaller("delete", _id(fifth, _FALSE_POSITIVE))),
        Edit(
            eighth.name, "change the weather: cloudy → sunny", methodcaller("classify", eighth.name, "weather", "sunny")
        ),
    ]


def _id(scene: scenes.Scene, thing: scenes.Thing) -> str:
    return f"{scene.name}.{thing.name}"


def _street_sample(folder: Path, scene: scenes.Scene, things: list[scenes.Thing], weather: str) -> Sample:
    objects: list[Label] = []
    for thing in things:
        values = {"occluded": thing.occluded} | ({"colour": thing.colour} if thing.colour else {})
        objects.append(Detection(thing.label, thing.box, label_id=_id(scene, thing), attributes=values))
    ground = [Polyline(n, parts, filled=True, label_id=f"{scene.name}.{n}") for n, parts in scene.areas.items()]
    return Sample(
        folder / f"{scene.name}.png", sample_id=scene.name, width=scenes.WIDTH, height=scenes.HEIGHT, objects=objects,
        ground=ground, weather=Classification(weather, label_id=f"{scene.name}.weather"),
    )  # fmt: skip


def photos(ds: Dataset, paths: Sequence[Path]) -> Scenario:
    """Add the first ``MOST_PHOTOS`` photos to a dataset, each with a box in its middle."""
    ids = ds.add_samples([Sample(path) for path in paths[:MOST_PHOTOS]])
    names = {sample_id: path.name for sample_id, path in zip(ids, paths, strict=False)}
    label_ids = [f"photo_{n:02}" for n in range(1, len(ids) + 1)]
    boxes = [Detection("object", (0.25, 0.25, 0.5, 0.5), label_id=i, occluded=False) for i in label_ids]
    ds.add_labels("objects", {sample: [box] for sample, box in zip(ids, boxes, strict=True)})
    methods: list[tuple[str, str, tuple[Any, ...]]] = [  # of the first four photos, one each
        ("move the box", "move", ((0.2, 0.3, 0.6, 0.55),)),
        ("change a class: object → other", "set_class", ("other",)),
        ("tick « occluded »", "set_attribute", ("occluded", True)),
        ("delete the box", "delete", ()),
    ]
    edits = [
        Edit(sample, f"{text} of {names[sample]}", methodcaller(method, label_id, *arguments))
        for sample, label_id, (text, method, arguments) in zip(ids, label_ids, methods, strict=False)
    ]
    new = methodcaller("draw", ids[0], "other", (0.05, 0.05, 0.2, 0.3), {"occluded": False})
    edits.insert(1, Edit(ids[0], f"draw a box on {names[ids[0]]}", new))
    text = f"{len(ids)} of your images" if len(paths) > len(ids) else f"{len(ids)} image{'s' * (len(ids) > 1)} of yours"
    return Scenario(_PHOTO_SCHEMA, text, edits)


def find_photos(folder: Path) -> list[Path]:
    """The images below a folder, sorted by path, without those of earlier demos.

    Raises:
        StoreError: There is no such folder, or no image in it.
        InvalidMedia: Some of the first ``MOST_PHOTOS`` cannot be read; all of these are listed.
    """
    from ..core.media import IMAGES

    if not folder.is_dir():
        raise StoreError(f"There is no folder {str(folder)!r}; correct the path.")
    root = folder.expanduser().resolve()
    images = (path for path in root.rglob("*") if path.suffix.lower() in IMAGES and path.is_file())
    found = sorted(p for p in images if not any(_is_demo(root / part) for part in p.relative_to(root).parents))
    if not found:
        raise StoreError(f"There is no image below {str(folder)!r} ({', '.join(sorted(IMAGES))}); give another folder.")
    if problems := [text for path in found[:MOST_PHOTOS] if (text := _problem(path))]:
        listed = "".join(f"\n  - {text}" for text in problems) if len(problems) > 1 else f" {problems[0]}"
        raise InvalidMedia(f"Mend or remove what cannot be read, or give --images another folder:{listed}")
    return found


def _is_demo(folder: Path) -> bool:
    return (folder / "pictures").is_dir() and (folder / "dataset" / "annotation_runs.lance").is_dir()


def _problem(path: Path) -> str | None:
    """Why an image cannot be decoded to its end, in a sentence; ``None`` if it can."""
    try:
        with Image.open(path) as image:
            image.load()
    except UnidentifiedImageError:
        why = "empty (0 bytes)" if path.stat().st_size == 0 else "not an image that Pillow can read"
        return f"The image {str(path)!r} is {why}."
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        return f"The image {str(path)!r} cannot be read: {error}."
    return None
