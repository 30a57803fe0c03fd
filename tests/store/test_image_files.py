"""One look at a file says what a look at its header and a look at its content say."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annobridge.store import fingerprints, image_files, media


def paths(folder: Path) -> list[str]:
    """Images of several formats, turned by EXIF, small and of many bytes; and what is no image."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for side in (20, 300):
        noise = Image.fromarray(np.random.default_rng(side).integers(0, 255, (side, 2 * side, 3), np.uint8))
        for form in ("jpg", "png", "webp", "tif"):
            noise.save(folder / f"{side}.{form}")
            noise.save(folder / f"{side}-turned.{form}", exif=exif)
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.jpg").touch()
    (folder / "cut.jpg").write_bytes((folder / "300.jpg").read_bytes()[:100])
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    return [str(path) for path in sorted(folder.iterdir())] + [str(folder / "none.jpg"), str(folder / "null\0byte.jpg")]


def test_a_look_is_that_at_the_header_and_that_at_the_content(tmp_path: Path) -> None:
    places = paths(tmp_path)
    sizes, files = image_files.look_at(places)
    known = media.known_sizes(places)
    content = fingerprints.of_places(places).to_pylist()
    nothing = {"size": None, "fingerprint": None}
    assert sizes.tolist() == [list(size or (0, 0)) for size in known]
    assert files.to_pylist() == [of_file if size else nothing for of_file, size in zip(content, known, strict=True)]
    assert sum(size is not None for size in known) == 16


def test_no_files() -> None:
    sizes, files = image_files.look_at([])
    assert (sizes.shape, files.num_rows) == ((0, 2), 0)


def test_a_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "a.jpg")
    opened = []
    monkeypatch.setattr(os, "open", lambda *a, _open=os.open: opened.append(a[0]) or _open(*a))
    assert image_files.look_at([str(tmp_path / "a.jpg")])[0].tolist() == [[4, 3]]
    assert opened == [str(tmp_path / "a.jpg")]
