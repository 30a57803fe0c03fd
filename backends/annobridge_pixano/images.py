"""Images as Pixano's page shows them: it turns a JPEG or WebP as its EXIF data say, and shows other files as they are stored."""

from __future__ import annotations

from collections.abc import Iterator

from annobridge.backend import Task
from annobridge.formats import media

TURNED_BY_PAGE = ("JPEG", "MPO", "WEBP")


def unturned(header: media.ImageHeader | None) -> bool:
    """Whether the page shows an image otherwise than other programs do, so that no position would be right there."""
    return header is not None and header.orientation > 1 and header.format not in TURNED_BY_PAGE


def problems(task: Task) -> Iterator[str]:
    """Images that the page does not turn."""
    rows = zip(task.samples["sample_id"].to_pylist(), task.samples["filepath"].to_pylist(), strict=True)
    if found := [path for sample, path in rows if unturned(media.read_header_of(task.media, sample))]:
        yield (
            f"{len(found)} images are turned by their EXIF data and are no JPEG or WebP, as {media.without_secrets(found[0])!r}: "
            "Pixano's page shows them unturned, so labels would lie elsewhere. Turn the files themselves "
            "(PIL.ImageOps.exif_transpose), or leave them out of the view."
        )
