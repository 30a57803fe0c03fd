"""Draws street scenes with Pillow, the same ones each time, with the correct labels of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 640, 400
_SCALE = 2  # drawn larger and then reduced, for smooth edges
_KERB, _ROAD, _NEAR = (
    0.60,
    0.665,
    0.93,
)  # upper edges of the far pavement, the road and the near pavement, relative to the height
_SKIES = {
    "sunny": ((92, 158, 222), (205, 229, 246)),
    "cloudy": ((138, 150, 166), (206, 212, 219)),
    "night": ((14, 18, 46), (58, 56, 96)),
}
_WALLS = [(201, 143, 110), (222, 201, 164), (158, 108, 96), (170, 178, 186), (214, 180, 140), (124, 138, 154)]
COLOURS = {
    "red": (200, 48, 48),
    "blue": (42, 98, 178),
    "yellow": (232, 184, 44),
    "white": (236, 236, 232),
    "green": (58, 128, 84),
}
_CLOTHES = [(178, 58, 72), (46, 94, 110), (88, 66, 128), (226, 140, 54), (52, 52, 60), (70, 130, 90)]
_SKINS = [(240, 200, 168), (198, 146, 108), (128, 86, 60)]
Color = tuple[int, int, int]
Box = tuple[float, float, float, float]


@dataclass
class Thing:
    """An object in a scene, with its box (relative x, y, width, height)."""

    name: str
    label: str
    box: Box
    colour: str | None = None
    occluded: bool = False


@dataclass
class Scene:
    """An image and the objects that are in it."""

    name: str
    weather: str
    image: Image.Image
    things: list[Thing] = field(default_factory=list)

    @property
    def areas(self) -> dict[str, list[list[tuple[float, float]]]]:
        """The road and the pavements, each as polygons of relative [x, y]."""
        bands = {"road": [(_ROAD, _NEAR)], "pavement": [(_KERB, _ROAD), (_NEAR, 1.0)]}
        return {n: [[(0, a), (1, a), (1, b), (0, b)] for a, b in parts] for n, parts in bands.items()}

    def thing(self, name: str) -> Thing:
        return next(t for t in self.things if t.name == name)


def scenes(count: int = 12) -> list[Scene]:
    """The first ``count`` scenes; scene n is the same whatever the count."""
    return [_Painter(number).scene() for number in range(1, count + 1)]


class _Painter:
    def __init__(self, number: int) -> None:
        self.random = Random(number * 7919)  # noqa: S311 - a picture, not a secret
        self.weather = ("sunny", "cloudy", "sunny", "night")[number % 4]
        self.size = (WIDTH * _SCALE, HEIGHT * _SCALE)
        self.image = Image.new("RGB", self.size)
        self.draw = ImageDraw.Draw(self.image)
        self.made = Scene(f"street_{number:02}", self.weather, self.image)

    def scene(self) -> Scene:
        self.sky()
        self.houses()
        self.ground()
        x = self.random.uniform(0.02, 0.08)
        while x < 0.93:  # along the far pavement
            kind = self.random.choices(["tree", "person", "sign", "lamp"], [4, 4, 3, 2])[0]
            x += getattr(self, kind)(x, _KERB + 0.045) + self.random.uniform(0.03, 0.11)
        for lane, (base, size) in enumerate([(0.775, 0.17), (0.915, 0.215)]):
            x = self.random.uniform(-0.02, 0.12) + 0.1 * lane
            while x + size < 0.99:
                if self.random.random() < 0.75:
                    self.car(max(x, 0.004), base, size, right=lane == 1)
                x += size + self.random.uniform(0.09, 0.3)
        if self.random.random() < 0.6:
            self.person(self.random.uniform(0.1, 0.85), 0.985, tall=0.27)
        self._occlusions()
        self.made.image = self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        return self.made

    def at(self, *points: float) -> list[float]:
        """Pixels of relative coordinates ``x, y, x, y, …``."""
        return [v * self.size[i % 2] for i, v in enumerate(points)]

    def add(self, label: str, box: Box, colour: str | None = None) -> None:
        number = sum(t.label == label for t in self.made.things) + 1
        x, y = max(box[0], 0.0), max(box[1], 0.0)
        inside = (x, y, min(box[0] + box[2], 1.0) - x, min(box[1] + box[3], 1.0) - y)
        x, y, w, h = (math.floor(v * 10_000) / 10_000 for v in inside)
        self.made.things.append(Thing(f"{label}{number}", label, (x, y, w, h), colour))

    def _occlusions(self) -> None:
        """Mark objects that are covered by what was drawn after them, by more than 15 % of their box."""
        things = self.made.things
        for i, thing in enumerate(things):
            x, y, w, h = thing.box
            for front in things[i + 1 :]:
                a, b, c, d = front.box
                across, down = min(x + w, a + c) - max(x, a), min(y + h, b + d) - max(y, b)
                thing.occluded |= across > 0 and down > 0 and across * down > 0.15 * w * h

    def sky(self) -> None:
        top, low = _SKIES[self.weather]
        width, depth = self.size[0], int(self.size[1] * _KERB)
        for line in range(depth):
            color = tuple(int(a + (b - a) * line / depth) for a, b in zip(top, low, strict=True))
            self.draw.line((0, line, width, line), color)
        x, y = self.random.uniform(0.1, 0.9), self.random.uniform(0.08, 0.16)
        if self.weather == "night":
            for _ in range(60):
                star = self.at(self.random.random(), self.random.uniform(0, 0.4))
                self.draw.ellipse([*star, star[0] + 2, star[1] + 2], (230, 230, 210))
        if self.weather != "cloudy":
            disc = (250, 226, 120) if self.weather == "sunny" else (232, 232, 214)
            self.draw.ellipse(self.at(x - 0.035, y - 0.056, x + 0.035, y + 0.056), disc)
        for _ in range({"sunny": 2, "cloudy": 7, "night": 0}[self.weather]):
            self.cloud(self.random.random(), self.random.uniform(0.05, 0.28))

    def cloud(self, x: float, y: float) -> None:
        grey = 250 if self.weather == "sunny" else 190
        for dx, dy, r in ((-0.05, 0.01, 0.035), (0, -0.012, 0.045), (0.05, 0.008, 0.035), (0.02, 0.02, 0.035)):
            self.draw.ellipse(self.at(x + dx - r, y + dy - r, x + dx + r, y + dy + r), (grey, grey, min(grey + 5, 255)))

    def houses(self) -> None:
        x = -0.03
        while x < 1:
            width, top = self.random.uniform(0.12, 0.22), self.random.uniform(0.14, 0.36)
            wall = self.shade(self.random.choice(_WALLS))
            self.draw.rectangle(self.at(x, top, x + width, _KERB), wall)
            roof = tuple(int(c * 0.6) for c in wall)
            self.draw.rectangle(self.at(x - 0.006, top - 0.018, x + width + 0.006, top), roof)
            self.windows(x, top, width)
            x += width

    def windows(self, x: float, top: float, width: float) -> None:
        columns, rows = max(2, round(width / 0.05)), max(2, int((_KERB - 0.1 - top) / 0.09))
        for column in range(columns):
            for row in range(rows):
                left, up = x + width * (column + 0.28) / columns, top + 0.03 + row * 0.09
                lit = self.weather == "night" and self.random.random() < 0.45
                glass = (246, 212, 120) if lit else self.shade((86, 110, 134))
                self.draw.rectangle(self.at(left, up, left + width * 0.45 / columns, up + 0.055), glass)
        door = x + width * self.random.uniform(0.2, 0.7)
        self.draw.rectangle(self.at(door, _KERB - 0.085, door + 0.028, _KERB), self.shade((84, 60, 46)))

    def shade(self, color: Sequence[int]) -> Color:
        """A colour as it looks in the weather of the scene."""
        part = {"sunny": 1.0, "cloudy": 0.86, "night": 0.42}[self.weather]
        red, green, blue = (int(c * part) for c in color)
        return red, green, blue

    def ground(self) -> None:
        self.draw.rectangle(self.at(0, _KERB, 1, _ROAD), self.shade((186, 182, 174)))
        self.draw.rectangle(self.at(0, _ROAD, 1, _NEAR), self.shade((84, 86, 92)))
        self.draw.rectangle(self.at(0, _NEAR, 1, 1), self.shade((176, 172, 164)))
        for y in (_ROAD, _NEAR):
            self.draw.line(self.at(0, y, 1, y), self.shade((226, 222, 214)), 5)
        for i in range(9):
            self.draw.rectangle(self.at(i / 8 - 0.04, 0.793, i / 8 + 0.03, 0.802), self.shade((238, 236, 226)))

    def tree(self, x: float, base: float) -> float:
        self.draw.rectangle(self.at(x + 0.036, base - 0.15, x + 0.05, base), self.shade((104, 76, 52)))
        for dx, dy, r in ((0.02, -0.2, 0.04), (0.065, -0.2, 0.04), (0.043, -0.26, 0.045)):
            leaf = self.shade((66 + int(dx * 500), 124, 62))
            self.draw.ellipse(self.at(x + dx - r, base + dy - r * 1.5, x + dx + r, base + dy + r * 1.5), leaf)
        return 0.09

    def lamp(self, x: float, base: float) -> float:
        self.draw.rectangle(self.at(x + 0.012, base - 0.3, x + 0.018, base), self.shade((60, 64, 70)))
        glow = (252, 232, 150) if self.weather == "night" else self.shade((220, 220, 210))
        self.draw.ellipse(self.at(x, base - 0.33, x + 0.03, base - 0.285), glow)
        return 0.03

    def sign(self, x: float, base: float) -> float:
        r, centre, y = 0.022, x + 0.024, base - 0.185
        self.draw.rectangle(self.at(centre - 0.003, y, centre + 0.003, base), self.shade((110, 114, 120)))
        kind = self.random.choice(["stop", "round", "triangle"])
        red, white = self.shade((204, 36, 40)), self.shade((246, 246, 242))
        for size, color in ((1.0, red), (0.72, red if kind == "stop" else white)):
            corners = {"stop": 8, "round": 40, "triangle": 3}[kind]
            turn = {"stop": math.pi / 8, "round": 0.0, "triangle": -math.pi / 2}[kind]
            angles = [turn + 2 * math.pi * k / corners for k in range(corners)]
            points = [(centre + r * size * math.cos(a), y + r * 1.6 * size * math.sin(a)) for a in angles]
            self.draw.polygon([tuple(self.at(*p)) for p in points], color)
        if kind == "stop":
            self.draw.rectangle(self.at(centre - 0.014, y - 0.007, centre + 0.014, y + 0.007), white)
        self.add("sign", (centre - r - 0.002, y - r * 1.6 - 0.004, 2 * r + 0.004, base - y + r * 1.6 + 0.004))
        return 0.05

    def person(self, x: float, base: float, tall: float = 0.16) -> float:
        u, skin, coat = tall / 8, self.shade(self.random.choice(_SKINS)), self.shade(self.random.choice(_CLOTHES))
        w, step = tall * 0.24, self.random.uniform(0.15, 0.6)
        middle, legs = x + w / 2, self.shade((46, 50, 66))
        for side in (-1, 1):
            foot = self.at(middle, base - 3.4 * u, middle + side * w * step, base)
            self.draw.line(foot, legs, int(u * 0.9 * self.size[1]))
            hand = self.at(middle, base - 6.1 * u, middle + side * w * 0.55, base - 3.9 * u)
            self.draw.line(hand, coat, int(u * 0.6 * self.size[1]))
        body = self.at(middle - w * 0.36, base - 6.5 * u, middle + w * 0.36, base - 3.2 * u)
        self.draw.rounded_rectangle(body, u * 0.8 * self.size[1], coat)
        head = self.at(middle - u * 0.47, base - 8 * u, middle + u * 0.47, base - 6.5 * u)
        self.draw.ellipse(head, skin)
        self.draw.pieslice(head, 180, 360, self.shade((62, 44, 34)))
        reach = max(w * step, w * 0.55) + u * 0.3
        self.add("person", (middle - reach, base - 8.05 * u, 2 * reach, 8.1 * u))
        return w

    def car(self, x: float, base: float, w: float, right: bool) -> None:
        name = self.random.choice(list(COLOURS))
        paint, glass, h = self.shade(COLOURS[name]), self.shade((170, 206, 224)), w * 0.62
        ink = self.shade((30, 30, 34))

        def p(*points: float) -> list[float]:  # pixels of points relative to the car, as if it headed right
            flipped = [v if i % 2 or right else 1 - v for i, v in enumerate(points)]
            return self.at(*(x + v * w if i % 2 == 0 else base - h + v * h for i, v in enumerate(flipped)))

        def span(a: float, b: float, c: float, d: float) -> list[float]:
            left, up, far, low = p(a, b, c, d)
            return [min(left, far), up, max(left, far), low]

        self.draw.ellipse(span(-0.02, 0.88, 1.02, 1.06), self.shade((66, 68, 74)))
        self.draw.polygon(p(0.14, 0.46, 0.27, 0.06, 0.64, 0.06, 0.82, 0.46), paint)
        self.draw.polygon(p(0.21, 0.45, 0.31, 0.13, 0.44, 0.13, 0.44, 0.45), glass)
        self.draw.polygon(p(0.48, 0.45, 0.48, 0.13, 0.61, 0.13, 0.74, 0.45), glass)
        self.draw.rounded_rectangle(span(0, 0.42, 1, 0.84), w * 0.06 * self.size[0], paint)
        self.draw.rectangle(span(0.02, 0.66, 0.98, 0.69), tuple(int(c * 0.75) for c in paint))
        self.draw.rectangle(span(0.93, 0.5, 0.995, 0.6), (252, 240, 170))
        self.draw.rectangle(span(0.005, 0.5, 0.045, 0.6), self.shade((220, 50, 40)))
        for wheel in (0.22, 0.78):
            self.draw.ellipse(span(wheel - 0.105, 0.66, wheel + 0.105, 1.0), ink)
            self.draw.ellipse(span(wheel - 0.05, 0.75, wheel + 0.05, 0.91), self.shade((176, 180, 186)))
        self.add("car", (x, base - h * 0.96, w, h * 0.98), name)
