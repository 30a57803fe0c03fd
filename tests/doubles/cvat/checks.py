"""Validation of the bodies of annotations, field by field, exactly as far as the release checks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import ApiError, crash
from .versions import Version

Json = Any
Faults = dict[str, Json]

TYPES = ("rectangle", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton")
SOURCES = ("auto", "semi-auto", "manual", "file", "consensus")
REQUIRED, NULL, BLANK = "This field is required.", "This field may not be null.", "This field may not be blank."
LONGEST_SOURCE = 16
LONGEST_VALUE = 4096
LENGTHS: dict[str, Callable[[int], bool]] = {
    "rectangle": lambda count: count == 4,
    "ellipse": lambda count: count == 4,
    "cuboid": lambda count: count == 16,
    "polygon": lambda count: count >= 6 and count % 2 == 0,
    "polyline": lambda count: count >= 4 and count % 2 == 0,
    "points": lambda count: count >= 2 and count % 2 == 0,
    "mask": lambda count: count >= 5,
    "skeleton": lambda count: count == 0,
}
TRUE, FALSE = ("true", "True", "1", "on", "yes", 1), ("false", "False", "0", "off", "no", 0)


def cleaned(body: Json, action: str, version: Version) -> dict[str, list[Json]]:
    """The objects of a body with all defaults filled in and nothing unknown; or 400 with every fault at its place."""
    checker = Checker(action, version)
    readers = {"tags": checker.tag, "shapes": checker.shape, "tracks": checker.track}
    if checker.has_intervals:
        readers["intervals"] = checker.interval
    found: dict[str, list[Json]] = {"tags": [], "shapes": [], "tracks": [], "intervals": []}
    faults: Faults = {}
    for kind, reader in readers.items():
        found[kind] = checker.items(body, kind, reader, faults)
    if faults:
        raise ApiError(400, faults)
    return found


class Checker:
    """The rules of one release for one action (`create`, also for PUT; `update`; `delete`)."""

    def __init__(self, action: str, version: Version) -> None:
        self.action = action
        self.checks_ids = version.since(2, 41)
        self.checks_points = version.since(2, 40)
        self.checks_sources = version.since(2, 70)
        self.has_scores = version.since(2, 56)
        self.has_intervals = version.since(2, 66)
        self.group_default = 0 if version.since(2, 65) else None

    def items(self, holder: Json, name: str, reader: Callable[[Json, Faults], Json], faults: Faults) -> list[Json]:
        value = holder.get(name, [])
        if value is None:
            faults[name] = [NULL]
            return []
        if not isinstance(value, list):
            faults[name] = {"non_field_errors": [f'Expected a list of items but got type "{type(value).__name__}".']}
            return []
        clean, wrong = [], []
        for item in value:
            found: Faults = {}
            if isinstance(item, dict):
                clean.append(reader(item, found))
            else:
                kind = type(item).__name__
                found["non_field_errors"] = [f"Invalid data. Expected a dictionary, but got {kind}."]
            wrong.append(found)
        if any(wrong):
            faults[name] = wrong
        return clean

    # Objects

    def tag(self, item: Json, faults: Faults) -> Json:
        return {**self.common(item, faults), "frame": whole(item, "frame", faults)}

    def shape(self, item: Json, faults: Faults) -> Json:
        clean = self.element(item, faults)
        clean["elements"] = self.items(item, "elements", self.element, faults)
        if not faults and self.checks_points:
            if clean["type"] == "skeleton" and not clean["elements"]:
                faults["elements"] = ["at least one required for skeleton shape"]
            elif clean["type"] != "skeleton" and clean["elements"]:
                faults["elements"] = ["not allowed for non-skeleton shape"]
        return clean

    def element(self, item: Json, faults: Faults) -> Json:
        clean = {**self.common(item, faults), **self.figure(item, faults)}
        if self.has_scores:
            clean["score"] = score(item, faults)
        return clean

    def track(self, item: Json, faults: Faults) -> Json:
        clean = self.element_track(item, faults)
        clean["elements"] = self.items(item, "elements", self.element_track, faults)
        return clean

    def element_track(self, item: Json, faults: Faults) -> Json:
        clean = {**self.common(item, faults), "frame": whole(item, "frame", faults)}
        if "shapes" not in item:
            faults["shapes"] = [REQUIRED]
        clean["shapes"] = self.items(item, "shapes", self.keyframe, faults)
        return clean

    def keyframe(self, item: Json, faults: Faults) -> Json:
        number = optional(item, "id", faults)
        return {"id": number, **self.figure(item, faults), "attributes": self.attributes(item, faults)}

    def interval(self, item: Json, faults: Faults) -> Json:
        if "stop" not in item:
            faults["stop"] = [REQUIRED]
        start, stop = whole(item, "start", faults), optional(item, "stop", faults)
        return {**self.common(item, faults), "score": score(item, faults), "start": start, "stop": stop}

    # Parts

    def common(self, item: Json, faults: Faults) -> Json:
        number = optional(item, "id", faults)
        if self.checks_ids and self.action == "create" and number is not None:
            faults["id"] = ["must be absent"]
        if self.checks_ids and self.action == "delete" and number is None:
            faults["id"] = ["must be present and not null"]
        return {
            "id": number,
            "label_id": whole(item, "label_id", faults),
            "group": self.group_default if item.get("group") is None else whole(item, "group", faults),
            "source": self.source(item, number, faults),
            "attributes": self.attributes(item, faults),
        }

    def attributes(self, item: Json, faults: Faults) -> list[Json]:
        return self.items(item, "attributes", attribute, faults)

    def source(self, item: Json, number: int | None, faults: Faults) -> str:
        value = item.get("source", "manual")
        text = str(value).strip()
        if value is None or not text:
            faults["source"] = [NULL if value is None else BLANK]
        elif self.checks_sources and text not in SOURCES:
            if number:
                return "manual"
            faults["source"] = [f"must be one of {', '.join(map(repr, SOURCES))}, got '{text}'"]
        elif len(text) > LONGEST_SOURCE and self.action != "delete":
            raise crash()
        return text

    def figure(self, item: Json, faults: Faults) -> Json:
        kind = item.get("type")
        if kind not in TYPES:
            wrong = REQUIRED if "type" not in item else NULL if kind is None else f'"{kind}" is not a valid choice.'
            faults["type"] = [wrong]
        points = numbers(item.get("points", []), faults)
        if self.checks_points and not faults and not LENGTHS[kind](len(points)):
            faults["points"] = [f"invalid length for shape type '{kind}'"]
        return {
            "type": kind,
            "frame": whole(item, "frame", faults),
            "occluded": flag(item, "occluded", faults),
            "outside": flag(item, "outside", faults),
            "z_order": whole(item, "z_order", faults, default=0, least=None),
            "rotation": bounded(item, "rotation", faults, default=0, most=360),
            "points": points,
        }


def whole(item: Json, name: str, faults: Faults, default: int | None = None, least: int | None = 0) -> int:
    value = item.get(name, default)
    if type(value) is not int:
        if value is None:
            faults[name] = [NULL if name in item else REQUIRED]
            return 0
        try:
            value = int(str(value).removesuffix(".0"))
        except ValueError:
            faults[name] = ["A valid integer is required."]
            return 0
    if least is not None and value < least:
        faults[name] = [f"Ensure this value is greater than or equal to {least}."]
    return value


def optional(item: Json, name: str, faults: Faults) -> int | None:
    return None if item.get(name) is None else whole(item, name, faults, least=None)


def bounded(item: Json, name: str, faults: Faults, *, default: float, most: float) -> float:
    value = item.get(name, default)
    if value is None:
        faults[name] = [NULL]
        return default
    try:
        value = float(value)
    except (TypeError, ValueError):
        faults[name] = ["A valid number is required."]
        return default
    if value < 0:
        faults[name] = ["Ensure this value is greater than or equal to 0."]
    if value > most:
        faults[name] = [f"Ensure this value is less than or equal to {most}."]
    return float(value)


def score(item: Json, faults: Faults) -> float:
    return bounded(item, "score", faults, default=1.0, most=1)


def flag(item: Json, name: str, faults: Faults) -> bool:
    value = item.get(name, False)
    if isinstance(value, bool):
        return value
    if value in TRUE or value in FALSE:
        return value in TRUE
    faults[name] = [NULL if value is None else "Must be a valid boolean."]
    return False


def numbers(points: Json, faults: Faults) -> list[float]:
    """A text is read as a list of letters, each of which is reported as an invalid number."""
    if not isinstance(points, list | str):
        raise crash()
    wrong = [at for at, number in enumerate(points) if type(number) not in (int, float)]
    if wrong:
        text = "[ErrorDetail(string='Value must be a float or an integer', code='invalid')]"
        faults["points"] = {str(at): text for at in wrong}
        return []
    return [float(number) for number in points]


def attribute(item: Json, faults: Faults) -> Json:
    """Any value becomes a text: `true` is "True", and null is "None". A missing one crashes the server."""
    if "value" not in item:
        raise crash()
    text = str(item["value"]).strip()
    if len(text) > LONGEST_VALUE:
        faults["value"] = [f"Ensure this field has no more than {LONGEST_VALUE} characters."]
    elif "\0" in text:
        faults["value"] = ["Null characters are not allowed."]
    return {"spec_id": whole(item, "spec_id", faults, least=None), "value": text}
