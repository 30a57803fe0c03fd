"""Labelling configurations: the controls of one that is beside an export, and one for tasks that are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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


@dataclass
class Controls:
    """What a configuration declares.

    Attributes:
        tags: the tag of each control by its name, in lower case, as ``"choices"``; empty where there is no configuration.
        image_keys: the keys of images in the data of tasks.
        of_regions: the controls that ask about regions.
    """

    tags: dict[str, str] = field(default_factory=dict)
    of_regions: set[str] = field(default_factory=set)
    image_keys: list[str] = field(default_factory=list)


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
        for element in root.iter(etree.Element):
            tag, control = str(element.tag), element.get("name")
            if control and element.get("toName"):
                found.tags[control] = tag.lower()
                if (element.get("perRegion") or "").lower() == "true":
                    found.of_regions.add(control)
            elif tag in ("Image", "Ocr") and (element.get("value") or element.get("valueList") or "").startswith("$"):
                found.image_keys.append((element.get("value") or element.get("valueList") or "")[1:])
    return found


def text_of(
    shapes: Mapping[str, Sequence[str]],
    choices: Mapping[str, Sequence[str]],
    scalars: Mapping[str, str],
    attributes: Mapping[str, str],
) -> bytes:
    """A configuration.

    Args:
        shapes: the classes of each shape, as ``{"box": ["car"]}``.
        choices: the classes of each field of classes of images.
        scalars: the control of each field of values: "number", "textarea" or "choices".
        attributes: the control of each attribute of regions, as of scalars.
    """
    root = etree.Element("View")
    etree.SubElement(root, "Image", name=IMAGE, value=f"${IMAGE}")
    for name, classes in shapes.items():
        control = _control(root, SHAPES[name], name, classes, "Label")
        if name == "keypoint":  # the order of points in COCO and YOLO files that Label Studio exports
            for number, element in enumerate(control):
                element.set("model_index", str(number))
    for name, classes in choices.items():
        _control(root, "Choices", name, classes, "Choice").set("choice", "multiple")
    for name, kind in scalars.items():
        _answer(root, name, kind)
    for name, kind in attributes.items():
        _answer(root, name, kind).set("perRegion", "true")
    return bytes(etree.tostring(root, pretty_print=True, encoding="utf-8"))


def _answer(root: Element, name: str, kind: str) -> Element:
    if kind == "choices":
        element = _control(root, "Choices", name, ("true", "false"), "Choice")
        element.set("choice", "single")
        return element
    return _control(root, {"number": "Number", "textarea": "TextArea"}[kind], name, (), "")


def _control(root: Element, tag: str, name: str, values: Sequence[str], child: str) -> Element:
    element = etree.SubElement(root, tag, name=clean(name), toName=IMAGE)
    for value in values:
        etree.SubElement(element, child, value=clean(value))
    return element


def clean(text: str) -> str:
    """A text without characters that no XML can hold."""
    return _NOT_XML.sub("", text)
