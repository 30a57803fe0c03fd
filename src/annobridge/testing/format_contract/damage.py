"""The laws about label files that are damaged: whatever is in them, reading ends with a report or one error."""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import scenes
from .base import Laws, is_quick

_PNG = b"\x89PNG\r\n\x1a\n"
_DEEP = 100_000
_DOCTYPES = (
    b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 1_000 + b'"><!ENTITY c "' + b"&b;" * 100 + b'">]>',
    b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
    b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
)
_NUMBERS = (
    b"NaN",
    b"Infinity",
    b"-1",
    b"1e999",
    b"0",
    b"99999999999999999999999",
    b"-0.0",
    b'"x"',
    b"null",
    b"",
    b"1.5",
)
_NUMBER = re.compile(rb"(?<![\w.#-])-?\d+(\.\d+)?(?![\w.-])")
_QUOTED = re.compile(rb'"[^"\n]{1,40}"')
_Change = Callable[[bytes, random.Random], Iterator[bytes]]


def _cut(data: bytes, chance: random.Random) -> Iterator[bytes]:
    for share in (0.02, 0.3, 0.6, 0.9):
        yield data[: int(len(data) * share)]
    yield data[:-1]
    yield data[chance.randrange(len(data) + 1) :]


def _flipped(data: bytes, chance: random.Random) -> Iterator[bytes]:
    for count in (1, 1, 1, 3, 3, 20):
        changed = bytearray(data)
        for _ in range(count if data else 0):
            changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        yield bytes(changed)


def _replaced(data: bytes, _: random.Random) -> Iterator[bytes]:
    yield b""
    yield b"\0" * 100
    yield b"\n" * 1_000
    yield b"\xff\xfe" * 50
    yield bytes(range(256)) * 4
    yield data + data
    yield data + b"\0"
    yield b"\0" + data
    text = data.decode("utf-8", "replace")
    yield text.encode("utf-16")
    yield text.encode("utf-32")
    yield "é".encode("latin-1") + data
    yield data.replace(b"\n", b"\r\n")
    yield b"[]"
    yield b"{}"
    yield b"<a/>"
    yield b"1 2 3"


def _deep(data: bytes, _: random.Random) -> Iterator[bytes]:
    yield b"[" * _DEEP
    yield b"[" * _DEEP + b"]" * _DEEP
    yield b'{"a":' * _DEEP + b"1" + b"}" * _DEEP
    yield b"<a>" * _DEEP + b"</a>" * _DEEP
    yield b"- " * _DEEP
    for place in (data.find(b"["), data.rfind(b"[")):
        if place >= 0:
            yield data[: place + 1] + b"[" * _DEEP + b"]" * _DEEP + b"," + data[place + 1 :]
    if (place := data.find(b">", data.find(b"<image") if b"<image" in data else data.find(b"<annotation"))) >= 0:
        yield data[: place + 1] + b"<a>" * _DEEP + b"</a>" * _DEEP + data[place + 1 :]


def _doctype(data: bytes, _: random.Random) -> Iterator[bytes]:
    for doctype in _DOCTYPES:
        head, mark, rest = data.partition(b"?>")
        yield head + mark + doctype + rest if mark else doctype + data
        yield doctype + b"<annotations>&b;&c;</annotations>"


def _numbers(data: bytes, chance: random.Random) -> Iterator[bytes]:
    places = [match.span() for match in _NUMBER.finditer(data)]
    for number in _NUMBERS:
        if places:
            start, end = chance.choice(places)
            yield data[:start] + number + data[end:]
    for number in _NUMBERS[:4]:
        yield _NUMBER.sub(number, data)


def _words(data: bytes, chance: random.Random) -> Iterator[bytes]:
    places = [match.span() for match in _QUOTED.finditer(data)]
    for new in (b'"unknown"', b'""', b"7", b"null", b"[]", b"{}", b'"\\ud800"', b'"../../x.png"', b'"/etc/passwd"'):
        for start, end in chance.sample(places, min(2, len(places))):
            yield data[:start] + new + data[end:]
    lines = data.splitlines(keepends=True)
    for _ in range(2 if len(lines) > 1 else 0):
        line = chance.randrange(len(lines))
        yield b"".join(lines[:line] + lines[line + 1 :])
        yield b"".join(lines[: line + 1] + lines[line:])
    words = data.split(b" ")
    for _ in range(2 if len(words) > 1 else 0):
        at = chance.randrange(len(words))
        yield b" ".join(words[:at] + words[at + 1 :])


def _huge(data: bytes, _: random.Random) -> Iterator[bytes]:
    """Pictures of very many pixels in few bytes, in the place of a mask."""
    if data.startswith(_PNG):
        yield _png(100_000, b"")
        yield _png(20_000, zlib.compress(bytes(1 << 20)) * 2)
        yield _png(0, b"")


def _png(side: int, pixels: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", pixels), (b"IEND", b""))
    parts = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks)
    return _PNG + b"".join(parts)


_CHANGES: dict[str, _Change] = {
    "cut": _cut, "flipped": _flipped, "replaced": _replaced, "deep": _deep, "with a document type": _doctype,
    "a huge picture": _huge, "with other numbers": _numbers, "with other words": _words,
}  # fmt: skip


_OF_ALL, _OF_PICTURES = ("cut", "flipped"), ("a huge picture",)  # the others are of texts


class DamageLaws(Laws):
    """Each label file of an export is changed in turn."""

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("change", _CHANGES)
    def test_damaged_label_files_end_well(self, change: str) -> None:
        folder = self._folder_to_damage()
        for path in self._label_files(folder):
            data = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            if data.startswith(_PNG) != (change in _OF_PICTURES) and change not in _OF_ALL:
                continue
            for number, changed in enumerate(_CHANGES[change](data, random.Random(7))):  # noqa: S311 - not for secrets
                if is_quick() and number % 2 != len(self.format.name) % 2:
                    continue
                path.write_bytes(changed)
                self.format.recognises(folder)
                with self.ends_well(f"{name!r}, {change} ({number})"):
                    self.open(folder)
            path.write_bytes(data)

    def test_label_files_that_are_missing_end_well(self) -> None:
        folder = self._folder_to_damage()
        for path in self._label_files(folder):
            data = path.read_bytes()
            path.unlink()
            with self.ends_well(f"an export without {path.name!r}"):
                self.open(folder)
            path.mkdir()
            with self.ends_well(f"an export with a folder called {path.name!r}"):
                self.open(folder)
            path.rmdir()
            path.write_bytes(data)

    def test_images_that_are_missing_are_reported(self) -> None:
        folder = self._folder_to_damage()
        images = [path for path in sorted(folder.rglob("*")) if path.is_file() and scenes.digest(path) in self._digests]
        if images:
            images[0].unlink()
        with self.ends_well("an export that lacks an image"):
            self.open(folder)

    def _folder_to_damage(self) -> Path:
        """A copy of the example. Skips the test if that is no folder."""
        example = self.kept_example()
        if not example.is_dir():
            pytest.skip("the example is no folder")
        return self.copied(example)

    def _label_files(self, folder: Path) -> list[Path]:
        """One file of each kind, the largest: files with one suffix are read alike, if only the split or the image differs."""
        own = {name for split, path, _ in scenes.IMAGES for name in (split, *path.split("/")[:-1])}
        found: dict[tuple[str, ...], Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and scenes.digest(path) not in self._digests:
                folders = [part for part in path.relative_to(folder).parts[:-1] if part not in own]
                kind = (*folders, path.suffix)
                if kind not in found or path.stat().st_size > found[kind].stat().st_size:
                    found[kind] = path
        return list(found.values())
