"""What the demo labels, and what a person mends: labels as a model would leave them, and the corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.rows import Classification, Detection, Label, Polyline, Sample, attributes
from ..exceptions import InvalidMedia, StoreError
from . import scenes
from .place import Hands

if TYPE_CHECKING:
    from ..dataset import Dataset

PHOTOS = 24  # of a person's own are taken, the first by name
_OCCLUDED = {"occluded": {"type": "checkbox"}}
STREET = {
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
PHOTO = {"objects": {"type": "detections", "classes": ["object", "other"], "attributes": _OCCLUDED}}


class Edit(NamedTuple):
    """One thing that a person does: a method of ``Hands``, its arguments, and how it is told."""

    verb: str
    arguments: tuple[Any, ...]
    sample: str
    text: str

    def do(self, hands: Hands) -> None:
        """Do it."""
        getattr(hands, self.verb)(*self.arguments)


@dataclass
class Work:
    """A dataset to be sent, what is done to it in the tool, and what is done here meanwhile."""

    schema: Mapping[str, Any]
    what: str
    edits: list[Edit] = field(default_factory=list)
    meanwhile: dict[str, Any] | None = None  # a row of set_labels
    meanwhile_text: str = ""
    both: str = ""  # what both sides come to


def streets(ds: Dataset, folder: Path) -> Work:
    """Draw the scenes, and add them with the labels of a model that makes some mistakes."""
    folder.mkdir(parents=True)
    made = {scene.name: scene for scene in scenes.scenes()}
    for scene in made.values():
        scene.image.save(folder / f"{scene.name}.png")
    second, fifth, eighth = (made[f"street_{n:02}"] for n in (2, 5, 8))
    car, missed = second.thing("car2"), second.thing("person3")
    sign, hidden = fifth.thing("sign2"), fifth.thing("car3")
    wrong = {
        (second.name, car.name): replace(car, box=_shifted(car.box), colour="white"),
        (second.name, missed.name): None,
        (fifth.name, sign.name): replace(sign, label="person"),
        (fifth.name, hidden.name): replace(hidden, occluded=False),
    }
    ghost = scenes.Thing("ghost", "person", (0.21, 0.14, 0.05, 0.16))
    samples = []
    for scene in made.values():
        things = [wrong.get((scene.name, t.name), t) for t in scene.things] + [ghost] * (scene is fifth)
        weather = "cloudy" if scene is eighth else scene.weather
        samples.append(_sample(folder, scene, [t for t in things if t], weather))
    ds.add_samples(samples)
    draw = (second.name, "person", missed.box, {"occluded": missed.occluded})
    edits = [
        Edit("move", (_id(second, car), car.box), second.name, "move the box of a car"),
        Edit("draw", draw, second.name, "draw a box around a person"),
        Edit("rename", (_id(fifth, sign), "sign"), fifth.name, "change a class: person → sign"),
        Edit("set_attribute", (_id(fifth, hidden), "occluded", True), fifth.name, "tick « occluded » of a car"),
        Edit("delete", (_id(fifth, ghost),), fifth.name, "delete a box around nothing"),
        Edit("classify", (eighth.name, "weather", "sunny"), eighth.name, "change the weather: cloudy → sunny"),
    ]
    row = {"label_id": _id(second, car), "attributes": attributes({"colour": "yellow", "occluded": car.occluded})}
    text = f"somebody sets the colour of that very car of {second.name} here: white → yellow"
    both = f"That car of {second.name} has now the box from the tool and the colour from here."
    return Work(STREET, f"{len(samples)} street scenes", edits, row, text, both)


def _id(scene: scenes.Scene, thing: scenes.Thing) -> str:
    return f"{scene.name}.{thing.name}"


def _shifted(box: scenes.Box) -> scenes.Box:
    return (box[0] - 0.05, box[1] + 0.035, box[2] * 0.8, box[3])


def _sample(folder: Path, scene: scenes.Scene, things: list[scenes.Thing], weather: str) -> Sample:
    objects: list[Label] = []
    for t in things:
        values = {"occluded": t.occluded} | ({"colour": t.colour} if t.colour else {})
        objects.append(Detection(t.label, t.box, label_id=_id(scene, t), attributes=values))
    ground = [Polyline(n, parts, filled=True, label_id=f"{scene.name}.{n}") for n, parts in scene.areas.items()]
    return Sample(
        folder / f"{scene.name}.png", sample_id=scene.name, width=scenes.WIDTH, height=scenes.HEIGHT, objects=objects,
        ground=ground, weather=Classification(weather, label_id=f"{scene.name}.weather"),
    )  # fmt: skip


def find(folder: Path) -> list[Path]:
    """A person's own photos below a folder, but for what earlier demos left there; those to be taken are looked at.

    Raises ``StoreError`` when there is none, and ``InvalidMedia`` with all that cannot be read.
    """
    from ..core.media import IMAGES

    if not folder.is_dir():
        raise StoreError(f"There is no folder {str(folder)!r}; correct the path.")
    root = folder.expanduser().resolve()
    images = (p for p in root.rglob("*") if p.suffix.lower() in IMAGES and p.is_file())
    found = sorted(p for p in images if not any(_is_demo(root / part) for part in p.relative_to(root).parents))
    if not found:
        raise StoreError(f"There is no image below {str(folder)!r} ({', '.join(sorted(IMAGES))}); give another folder.")
    if faults := _faults(found[:PHOTOS], root):
        listed = "".join(f"\n  - {fault}" for fault in faults) if len(faults) > 1 else f" {faults[0]}"
        raise InvalidMedia(f"Mend or remove what cannot be read, or give --images another folder:{listed}")
    return found


def _is_demo(folder: Path) -> bool:
    """Whether a demo made this folder."""
    return (folder / "pictures").is_dir() and (folder / "dataset" / "annotation_runs.lance").is_dir()


def _faults(photos: Sequence[Path], root: Path) -> list[str]:
    """A sentence for each photo that cannot be read to its end."""
    import pyarrow as pa

    from ..store import media

    names = [path.relative_to(root).as_posix() for path in photos]
    kinds, places = ["image"] * len(photos), [str(path) for path in photos]
    rows = pa.table({"sample_id": names, "media_type": kinds, "filepath": places})
    _, faults = media.check_media(rows, media.FileMedia.of(rows))
    return faults


def photos(ds: Dataset, found: Sequence[Path]) -> Work:
    """Add the first of a person's own photos, each with a box in the middle."""
    ids = ds.add_samples([Sample(path) for path in found[:PHOTOS]])
    names = {sample_id: path.name for sample_id, path in zip(ids, found, strict=False)}
    label_ids = [f"photo_{n:02}" for n in range(1, len(ids) + 1)]
    boxes = [Detection("object", (0.25, 0.25, 0.5, 0.5), label_id=i, occluded=False) for i in label_ids]
    ds.add_labels("objects", {sample: [box] for sample, box in zip(ids, boxes, strict=True)})
    ways: list[tuple[str, tuple[Any, ...], str]] = [
        ("move", ((0.2, 0.3, 0.6, 0.55),), "move the box"),
        ("rename", ("other",), "change a class: object → other"),
        ("set_attribute", ("occluded", True), "tick « occluded »"),
        ("delete", (), "delete the box"),
    ]
    edits = [
        Edit(verb, (label, *arguments), sample, f"{text} of {names[sample]}")
        for label, sample, (verb, arguments, text) in zip(label_ids, ids, ways, strict=False)
    ]
    box = (0.05, 0.05, 0.2, 0.3)
    edits.insert(1, Edit("draw", (ids[0], "other", box, {"occluded": False}), ids[0], f"draw a box on {names[ids[0]]}"))
    what = f"{len(ids)} of your images" if len(found) > len(ids) else f"{len(ids)} image{'s' * (len(ids) > 1)} of yours"
    return Work(PHOTO, what, edits)
