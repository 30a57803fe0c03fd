"""Labelling configurations: the controls of one, and one for tasks that are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.xml import Element, document, root_name

IMAGE = "image"  # the name of the image, and the key of its address
SHAPES = {
    "box": "RectangleLabels", "polygon": "PolygonLabels", "ellipse": "EllipseLabels", "mask": "BrushLabels",
    "keypoint": "KeyPointLabels",
}  # fmt: skip
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Control:
    """What asks for labels or answers.

    Attributes:
        name: its name, which results give as ``from_name``.
        tag: its tag, as ``"RectangleLabels"``.
        values: the classes or choices, as they are in results.
        several: whether it takes any number of the choices, or of texts.
        of_region: whether it asks about a region, instead of the whole image.
        when: the control of the regions that it asks about; ``None``: those of any.
        classes: the classes of the regions that it asks about; none: all.
        image: the name of the image that it belongs to.
    """

    name: str
    tag: str
    values: tuple[str, ...] = ()
    several: bool = True
    of_region: bool = False
    when: str | None = None
    classes: tuple[str, ...] = ()
    image: str = IMAGE


@dataclass
class Controls:
    """What configurations declare.

    Attributes:
        all: the controls, in order.
        tags: the tag of each control by its name, in lower case, as ``"choices"``; empty where there is no configuration.
        of_regions: the names of the controls that ask about regions.
        images: the key of each image in the data of tasks, by its name.
    """

    all: list[Control] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    of_regions: set[str] = field(default_factory=set)
    images: dict[str, str] = field(default_factory=dict)

    def add(self, root: Element) -> None:
        """Add what is declared in an element."""
        for element in root.iter(etree.Element):
            tag, name = str(element.tag), element.get("name")
            value = element.get("value") or element.get("valueList") or ""
            if name and element.get("toName"):
                control = _control_of(element, tag, name)
                self.all.append(control)
                self.tags[name] = tag.lower()
                self.of_regions |= {name} if control.of_region else set()
            elif tag in ("Image", "Ocr") and value.startswith("$"):
                self.images[name or value] = value[1:]


def read(archive: Archive) -> Controls:
    """The configurations of a source, as one. Files that are none, or are damaged, are passed over: they have no labels."""
    found = Controls()
    for name in archive.by_suffix.get(".xml", ()):
        try:
            if (root_name(archive, name) or "").lower() != "view":
                archive.opened.discard(name)
                continue
            root = document(archive, name)
        except InvalidSource:
            continue
        found.add(root)
    return found


def parse(text: str) -> Controls:
    """The controls of a configuration. Raises ``InvalidSource`` for what is no XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise InvalidSource(f"A labelling configuration is no XML ({error}); correct it in Label Studio.") from None
    found = Controls()
    found.add(root)
    return found


def text_of(controls: Iterable[Control], image: str = IMAGE) -> bytes:
    """A configuration for one image of this name, whose address is in the data under the key ``"image"``."""
    root = etree.Element("View")
    etree.SubElement(root, "Image", name=image, value=f"${IMAGE}")
    for control in controls:
        _add(root, control, image)
    return bytes(etree.tostring(root, pretty_print=True, encoding="utf-8"))


def controls_of(
    shapes: Mapping[str, Sequence[str]],
    choices: Mapping[str, Sequence[str]],
    scalars: Mapping[str, str],
    attributes: Mapping[str, str],
) -> list[Control]:
    """Controls for labels of all fields together, one for each shape.

    Args:
        shapes: the classes of each shape, as ``{"box": ["car"]}``.
        choices: the classes of each field of classes of images.
        scalars: the control of each field of values: "number", "textarea" or "choices".
        attributes: the control of each attribute of regions, as of scalars.
    """
    return [
        *(Control(name, SHAPES[name], tuple(classes)) for name, classes in shapes.items()),
        *(Control(name, "Choices", tuple(classes)) for name, classes in choices.items()),
        *(_answer(name, kind) for name, kind in scalars.items()),
        *(_answer(name, kind, of_region=True) for name, kind in attributes.items()),
    ]


def _answer(name: str, kind: str, of_region: bool = False) -> Control:
    values = ("true", "false") if kind == "choices" else ()
    tag = {"choices": "Choices", "number": "Number", "textarea": "TextArea"}[kind]
    return Control(name, tag, values, several=kind != "choices", of_region=of_region)


def _add(root: Element, control: Control, image: str) -> None:
    element = etree.SubElement(root, control.tag, name=clean(control.name), toName=image)
    if control.tag == "Choices":
        element.set("choice", "multiple" if control.several else "single")
    elif not control.several:
        element.set("maxSubmissions", "1")
    if control.of_region:
        element.set("perRegion", "true")
    if control.when is not None:
        element.set("whenTagName", control.when)
    if control.classes:
        element.set("whenLabelValue", ",".join(map(clean, control.classes)))
    if control.tag == "VectorLabels":
        element.set("closable", "true")
        element.set("minPoints", "2")
    child = "Choice" if control.tag == "Choices" else "Label"
    for number, value in enumerate(control.values):
        made = etree.SubElement(element, child, value=clean(value))
        if control.tag == "KeyPointLabels":  # the order of points in COCO and YOLO files that Label Studio exports
            made.set("model_index", str(number))


def _control_of(element: Element, tag: str, name: str) -> Control:
    values = [child.get("alias") or child.get("value") for child in element.iter("Label", "Choice")]
    several = (
        element.get("choice") == "multiple" if tag == "Choices" else element.get("maxSubmissions") != "1"
    )  # a single choice is the default
    return Control(
        name, tag, tuple(v for v in values if v), several,
        of_region=(element.get("perRegion") or "").lower() == "true", when=element.get("whenTagName"),
        classes=tuple(filter(None, (element.get("whenLabelValue") or "").split(","))),
        image=element.get("toName") or IMAGE,
    )  # fmt: skip


def clean(text: str) -> str:
    """A text without characters that no XML can hold."""
    return _NOT_XML.sub("", text)
