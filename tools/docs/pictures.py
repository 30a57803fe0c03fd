"""The pictures of the documentation, drawn from what annobridge really does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from annobridge import demo
from annobridge.dataset import Dataset
from annobridge.demo.pictures import side_by_side

EDITED = "street_02"  # the scene of the picture on the first page


def draw(folder: Path) -> list[Path]:
    """Draw all pictures anew; returns their files."""
    folder.mkdir(parents=True, exist_ok=True)
    return [before_and_after(folder / "before-after.webp")]


def before_and_after(path: Path) -> Path:
    """One image of the drawn dataset as it was sent, and as it is after a load."""
    with tempfile.TemporaryDirectory() as scratch:
        ds = demo.street(Path(scratch, "street"))
        before = _labels(ds)
        demo.correct(ds.annotate("round1", label_schema=["objects"], backend="memory", progress=False))
        ds.load_annotations("round1", progress=False)
        image = Path(ds.select(EDITED).first()["filepath"])
        sheet = Path(scratch, "sheet.png")
        side_by_side(sheet, image, before, _labels(ds), ("as the model left it", "after the load"))
        with Image.open(sheet) as drawn:
            drawn.save(path, "WEBP", quality=82, method=6)
    return path


def _labels(ds: Dataset) -> list[dict[str, Any]]:
    return ds.select(EDITED).labels(["objects"]).to_pylist()
