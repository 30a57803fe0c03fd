"""The files behind the samples, wherever they lie: on this disk, or with a web server."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import requests
import responses
from PIL import Image

from annobridge.store import image_headers, media


def picture(form: str, size: tuple[int, int] = (30, 20), **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, form, **options)
    return stream.getvalue()


def rows(*places: str) -> pa.Table:
    return pa.table(
        {"sample_id": [f"s{n}" for n in range(len(places))], "media_type": ["image"] * len(places), "filepath": places}
    )


@responses.activate
def test_images_of_a_web_server_are_read_and_faults_do_not_tell_a_signature() -> None:
    at = "https://photos.example/"
    responses.get(f"{at}a.png", picture("PNG"))
    responses.get(f"{at}none.png", status=404)
    responses.get(f"{at}closed.png", status=403)
    responses.get(f"{at}cut.png", picture("PNG", (300, 200))[:60])
    responses.get(
        f"{at}down.png", body=requests.ConnectionError("no route to https://photos.example/down.png?signature=s3cret")
    )
    samples = rows(*(f"{at}{name}.png?signature=s3cret" for name in ("a", "none", "closed", "cut", "down")))
    sizes, faults = media.check_media(samples, media.FileMedia.of(samples))
    assert sizes[0].tolist() == [30, 20]
    words = (
        "s1' does not exist",
        "s2' cannot be read: the server answers 403",
        "s3' cannot be read",
        "does not answer (ConnectionError)",
    )
    assert len(faults) == len(words)
    for fault, word in zip(faults, words, strict=True):
        assert word in fault
        assert "s3cret" not in fault


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF"])
@pytest.mark.parametrize("size", [(1, 1), (30, 20), (70_000, 1)])
def test_the_size_in_a_header_is_what_pillow_says(tmp_path: Path, form: str, size: tuple[int, int]) -> None:
    if form in ("JPEG", "WEBP", "GIF"):
        size = (min(size[0], 5_000), size[1])
    (tmp_path / "a").write_bytes(picture(form, size))
    assert image_headers.read_header(tmp_path / "a").shown == size


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"comment": "x" * 9000}, {"exif": b"Exif\0\0" + b"\0" * 60_000}]
)
def test_the_size_of_a_jpeg_of_another_build(tmp_path: Path, options: dict[str, object]) -> None:
    (tmp_path / "a").write_bytes(picture("JPEG", (33, 21), **options))
    assert image_headers.read_header(tmp_path / "a").shown == (33, 21)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", picture("JPEG")[:40], b"text"])
def test_no_image_is_an_error_of_pillow(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises((OSError, ValueError, SyntaxError)):
        image_headers.read_header(tmp_path / "a")
    assert media.known_sizes([tmp_path / "a", tmp_path / "none"]) == [None, None]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("left", [0.3, 0.9, 1.0])
def test_a_file_that_was_cut_off_is_found(tmp_path: Path, form: str, left: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, form)
    whole = stream.getvalue()
    (tmp_path / "a").write_bytes(whole[: int(len(whole) * left)])
    samples = rows(str(tmp_path / "a"))
    sizes, faults = media.check_media(samples, media.FileMedia.of(samples))
    assert (sizes.tolist(), bool(faults)) == (([[64, 64]], False) if left == 1 else ([[0, 0]], True))
