"""Images and videos of an export are copied to where the format has them, or linked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ...exceptions import InvalidMedia
from .. import media
from .export import ExportData

FolderOf = Callable[[str | None], str]


def place_media(
    data: ExportData, folder_of: FolderOf, video_folder_of: Callable[[str | None], str | None], how: bool | str
) -> None:
    """Copy or link the images and videos into the export; with ``False``, nothing. Videos without a folder are counted."""
    if how is False:
        return
    left_out = 0
    for rows, samples, files in data.media_of():
        places = zip(rows, samples["sample_id"].to_pylist(), samples["filepath"].to_pylist(), strict=True)
        for row, sample_id, place in places:
            folder = video_folder_of(row["split"]) if "fps" in row else folder_of(row["split"])
            if folder is None:
                left_out += 1
                continue
            target = data.folder / folder / row["name"]
            target.parent.mkdir(parents=True, exist_ok=True)
            _place(files, sample_id, place or "", target, how)
    if left_out:
        data.notes.append(f"{left_out:,} videos were not copied, as the format has no place for them.")


def _place(files: media.Media, sample_id: str, place: str, target: Path, how: bool | str) -> None:
    path = files.path(sample_id)
    if how == "link" and path is not None:
        if not path.is_file():
            raise InvalidMedia(f"{str(path)!r} of sample {sample_id!r} does not exist; leave it out of the view.")
        os.symlink(path.absolute(), target)
    elif path is not None and path.is_file():
        shutil.copyfile(path, target)
    else:
        with target.open("wb") as copy:
            for piece in media.read_chunks(files, sample_id, place, "leave it out of the view"):
                copy.write(piece)
