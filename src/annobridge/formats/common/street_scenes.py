"""What CamVid, Cityscapes and KITTI share: their own classes and colours, and masks of classes."""

from __future__ import annotations

import numpy as np

from . import mask_images
from .archive import Archive
from .items import Shapes
from .palette import Palette
from .report import ReadReport

_CAMVID = """
0 0 0 Void;64 128 64 Animal;192 0 128 Archway;0 128 192 Bicyclist;0 128 64 Bridge;128 0 0 Building;64 0 128 Car;
64 0 192 CartLuggagePram;192 128 64 Child;192 192 128 Column_Pole;64 64 128 Fence;128 0 192 LaneMkgsDriv;
192 0 64 LaneMkgsNonDriv;128 128 64 Misc_Text;192 0 192 MotorcycleScooter;128 64 64 OtherMoving;64 192 128 ParkingBlock;
64 64 0 Pedestrian;128 64 128 Road;128 128 192 RoadShoulder;0 0 192 Sidewalk;192 128 128 SignSymbol;128 128 128 Sky;
64 128 192 SUVPickupTruck;0 0 64 TrafficCone;0 64 64 TrafficLight;192 64 128 Train;128 128 0 Tree;192 128 192 Truck_Bus;
64 0 64 Tunnel;192 192 0 VegetationMisc;64 192 0 Wall
"""
_CITYSCAPES = """
0 0 0 unlabeled;0 0 0 egovehicle;0 0 0 rectificationborder;0 0 0 outofroi;0 0 0 static;111 74 0 dynamic;81 0 81 ground;
128 64 128 road;244 35 232 sidewalk;250 170 160 parking;230 150 140 railtrack;70 70 70 building;102 102 156 wall;
190 153 153 fence;180 165 180 guardrail;150 100 100 bridge;150 120 90 tunnel;153 153 153 pole;153 153 153 polegroup;
250 170 30 trafficlight;220 220 0 trafficsign;107 142 35 vegetation;152 251 152 terrain;70 130 180 sky;220 20 60 person;
255 0 0 rider;0 0 142 car;0 0 70 truck;0 60 100 bus;0 0 90 caravan;0 0 110 trailer;0 80 100 train;0 0 230 motorcycle;
119 11 32 bicycle;0 0 142 licenseplate
"""
_FILES = ("label_colors.txt", "label_color.txt")
_NOTHING = frozenset({"background", "void", "unlabeled"})


def _palette(text: str) -> Palette:
    rows = [row.split() for row in text.replace("\n", "").split(";")]
    return Palette(tuple(row[3] for row in rows), tuple((int(r), int(g), int(b)) for r, g, b, _ in rows))


CAMVID, CITYSCAPES = _palette(_CAMVID), _palette(_CITYSCAPES)


def palette_file(archive: Archive) -> str | None:
    """The list of colours: ``label_colors.txt`` or ``label_color.txt``."""
    names = (name for name in archive.by_suffix.get(".txt", ()) if name.rpartition("/")[2] in _FILES)
    return next(names, None)


def to_class_masks() -> dict[str, str]:
    """What happens to shapes in formats that have nothing but masks of classes."""
    return dict.fromkeys(("box", "polygon", "ellipse", "cuboid"), "painted as masks of their class")


def class_masks(
    shapes: Shapes, item: int, classes: np.ndarray, palette: Palette, place: str, report: ReadReport, semantic: bool
) -> None:  # fmt: skip
    """Add a mask for each class of an image but the background."""
    for number, _, mask in mask_images.regions(classes):
        if number == mask_images.UNKNOWN:
            report.skip(place, "pixels of a colour or number that is no class")
        elif number and palette.names[number].lower() not in _NOTHING:
            shapes.add(item, "segmentation" if semantic else "mask", palette.names[number], mask=mask, place=place)


def instance_masks(
    shapes: Shapes, item: int, values: np.ndarray, palette: Palette, place: str, report: ReadReport, base: int, background: bool
) -> None:  # fmt: skip
    """Add a mask for each value of an image of instances: ``class * base + instance``. One without an instance is a crowd.

    With base 1000 (Cityscapes), values below it are classes. ``background`` says whether 0 is a class too.
    """
    for value, _, mask in mask_images.regions(values):
        number, instance = divmod(value, base)
        if base == 1000 and value < base:
            number, instance = value, 0
        if value == 0 and not background:
            continue
        if not 0 <= number < len(palette.names):
            report.skip(place, "an instance of a class that the list of classes does not have")
            continue
        shapes.add(item, "mask", palette.names[number], {"iscrowd": instance == 0}, mask=mask, place=place)
