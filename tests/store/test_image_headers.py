"""Headers: the size of an image as it is shown, which is that of ``PIL.ImageOps.exif_transpose``."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from annobridge.store import image_headers, media

FORMS = ["JPEG", "PNG", "WEBP", "TIFF"]
NOISE = np.random.default_rng(0).integers(0, 255, (40, 100, 3), np.uint8)


def turned(form: str, orientation: int, **more: object) -> bytes:
    """An image of 100 × 40 as stored."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(NOISE).save(stream, form, exif=exif, **more)
    return stream.getvalue()


def by_pillow(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return ImageOps.exif_transpose(image).size


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def short_exif(orientation: int, order: str = ">", kind: int = 3) -> bytes:
    """An EXIF block of one tag."""
    start = b"MM\x00*" if order == ">" else b"II*\x00"
    value = struct.pack(order + {3: "Hxx", 4: "I", 9: "i"}[kind], orientation)
    return start + struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, 1) + value + b"\x00" * 4


def in_jpeg(*segments: bytes) -> bytes:
    """A JPEG that begins with these APP1 segments."""
    stream = io.BytesIO()
    Image.fromarray(NOISE).save(stream, "JPEG")
    plain = stream.getvalue()
    inserted = b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
    return plain[:2] + inserted + plain[2:]


def in_png(before: bytes = b"", behind: bytes = b"", noise: np.ndarray = NOISE) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    plain = stream.getvalue()
    return plain[:33] + before + plain[33:-12] + behind + plain[-12:]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_shown_size_is_that_of_exif_transpose(tmp_path: Path, form: str, orientation: int) -> None:
    data = turned(form, orientation)
    (tmp_path / "a").write_bytes(data)
    header = image_headers.read_header(tmp_path / "a")
    assert (header.shown, header.orientation) == (by_pillow(data), orientation)
    assert (header.width, header.height, header.format) == (100, 40, form)
    assert image_headers.read_header(io.BytesIO(data)) == header
    assert media.size_of(io.BytesIO(data)) == media.header_size(io.BytesIO(data)) == header.shown
    assert media.known_sizes([tmp_path / "a"]) == [header.shown]


XMP = b'http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta tiff:Orientation="8"/>'
BUILDS = {
    "little endian": in_jpeg(b"Exif\x00\x00" + short_exif(6, "<")),
    "a long": in_jpeg(b"Exif\x00\x00" + short_exif(6, kind=4)),
    "no orientation there is": in_jpeg(b"Exif\x00\x00" + short_exif(9)),
    "EXIF of 50 kB": turned("JPEG", 6, comment=b"x" * 9000),
    "XMP alone": in_jpeg(XMP),
    "XMP behind EXIF": in_jpeg(b"Exif\x00\x00" + short_exif(1), XMP),
    "XMP before EXIF": in_jpeg(XMP, b"Exif\x00\x00" + short_exif(6)),
    "much before EXIF": in_jpeg(b"other\x00" + b"\x00" * 60_000, b"Exif\x00\x00" + short_exif(5)),
    "PNG, EXIF behind a long text": in_png(
        chunk(b"tEXt", b"Comment\x00" + b"x" * 9000) + chunk(b"eXIf", short_exif(7))
    ),
    "PNG, EXIF behind the pixels": in_png(behind=chunk(b"eXIf", short_exif(6))),
    "PNG, EXIF behind few pixels": in_png(behind=chunk(b"eXIf", short_exif(6)), noise=NOISE[:5, :9]),
    "PNG, EXIF as ImageMagick wrote it": in_png(
        chunk(b"tEXt", b"Raw profile type exif\x00\nexif\n      26\n" + short_exif(8).hex().encode() + b"\n")
    ),
    "PNG, XMP": in_png(chunk(b"iTXt", b'XML:com.adobe.xmp\x00\x00\x00\x00\x00<x tiff:Orientation="6"/>')),
}


@pytest.mark.parametrize("what", BUILDS)
def test_images_of_other_builds(tmp_path: Path, what: str) -> None:
    (tmp_path / "a").write_bytes(BUILDS[what])
    assert image_headers.read_header(tmp_path / "a").shown == by_pillow(BUILDS[what])


def test_an_exif_block_of_a_phone_with_a_thumbnail_is_skipped_without_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(in_jpeg(b"Exif\x00\x00" + short_exif(6) + b"\xff\xd8" * 25_000))
    monkeypatch.setattr(Image, "open", None)
    assert image_headers.read_header(tmp_path / "a").shown == (40, 100)


@given(st.sampled_from([b"Exif\x00\x00", b""]), st.binary(max_size=60), st.integers(0, 30))
def test_a_garbled_exif_block_counts_as_none(start: bytes, junk: bytes, kept: int) -> None:
    block = short_exif(1)[:kept] + junk
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in (in_jpeg(start + block), in_png(chunk(b"eXIf", block)), in_png(behind=chunk(b"eXIf", block))):
            assert sorted(image_headers.read_header(io.BytesIO(data)).shown) == [40, 100]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "block", [b"", b"Exif\x00\x00MM\x00*", b"Exif\x00\x00" + b"\xff" * 40, b"II*\x00\xff\xff\xff\xff"]
)
def test_a_garbled_exif_block_leaves_the_stored_size(tmp_path: Path, form: str, block: bytes) -> None:
    stream = io.BytesIO()
    Image.fromarray(NOISE).save(stream, form, **({} if form == "TIFF" else {"exif": block}))
    assert image_headers.read_header(io.BytesIO(stream.getvalue())) == (100, 40, 1, form)


@pytest.mark.parametrize(("width", "height"), [(2**32 - 1, 5), (5, 2**31), (0, 7)])
def test_an_impossible_size_is_a_sentence(tmp_path: Path, width: int, height: int) -> None:
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    (tmp_path / "a.png").write_bytes(data + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b""))
    with pytest.raises(ValueError, match=f"{width}×{height} pixels, which no image has"):
        image_headers.read_header(tmp_path / "a.png")
    assert media.known_sizes([tmp_path / "a.png"]) == [None]
