"""Pictures of any size by their headers; a limit where pixels are decoded, which is a setting."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

import annobridge as ab
from annobridge.core.media import MAX_PIXELS
from annobridge.store import image_headers, images, media


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pillow that takes pictures of 100 pixels at most for an attack."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)


def faults(path: Path) -> list[str]:
    rows = pa.table({"sample_id": ["s"], "media_type": ["image"], "filepath": [str(path)]})
    return media.check_media(rows, media.FileMedia.of(rows))[1]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"])
def test_headers_of_any_size_are_read(tmp_path: Path, form: str) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "a", form)
    assert image_headers.read_header(tmp_path / "a").shown == (40, 20)
    assert media.known_sizes([tmp_path / "a"]) == [(40, 20)]
    assert images.is_image(tmp_path / "a")


@pytest.mark.usefixtures("small")
def test_only_what_has_to_be_decoded_is_limited_and_told_truly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    Image.new("RGB", (40, 20)).save(tmp_path / "a.tif")
    assert faults(tmp_path / "a.png") == []
    (said,) = faults(tmp_path / "a.tif")
    assert (
        "it has 800 pixels, and no more than 100 are decoded here; allow it with ANNOBRIDGE_MAX_IMAGE_PIXELS=800"
        in said
    )
    for value in ("800", "1_000", "0"):
        monkeypatch.setenv(MAX_PIXELS, value)
        assert faults(tmp_path / "a.tif") == []
    monkeypatch.setenv(MAX_PIXELS, "799")
    assert faults(tmp_path / "a.tif")
    monkeypatch.delenv(MAX_PIXELS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert faults(tmp_path / "a.tif") == []


@pytest.mark.parametrize("value", ["many", "-5", "1e9"])
def test_a_limit_that_is_no_number(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(MAX_PIXELS, value)
    with pytest.raises(
        ab.InvalidOption, match=f"ANNOBRIDGE_MAX_IMAGE_PIXELS='{value}' .* is not a number of pixels; give one"
    ):
        images.pixel_limit()


@pytest.mark.parametrize(
    "content", [b"", b"text", b"%PDF-1.4", b"#!/bin/sh\n", b"\0" * 64, b"GIF89a", b"II*\0" + b"\xff" * 40]
)
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    assert not images.is_image(tmp_path / "a.bin")


def test_a_picture_larger_than_pillow_takes_is_imported(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    row = ab.import_dataset(tmp_path / "in", tmp_path / "ds").dataset.first()
    assert (row["width"], row["height"]) == (50_000, 50_000)
