"""The command that looks for damage in a dataset, and repairs it."""

from __future__ import annotations

from typing import Annotated

import typer

from . import show
from .options import AsJson, Place, open_dataset


def doctor(
    dataset: Place = None,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be repaired.")] = False,
    pixel_labels: Annotated[
        str,
        typer.Option(
            metavar="keep|rescale",
            help="With --repair, for images whose width and height were the wrong way round: the boxes and points that came from "
            "no tool are left as they are, or rescaled, as is right for those that were imported in pixels of the image as it is "
            "shown.",
        ),
    ] = "keep",
    as_json: AsJson = False,
) -> None:
    """Look for damage in a dataset, and repair it.

    What earlier versions, crashes and other programs may have left: sizes of images that EXIF data turn, ids that are there
    twice, values that may not be stored, labels without a sample, runs of one key. Without --repair, nothing is written.

    Labels that were drawn in a tool are right even where an image had the wrong size, and are never moved. Images that EXIF data
    only mirror or turn by a half (orientations 2 to 4) have the same size either way, and need nothing.

    Exit codes: 0 all is well, or was repaired; 1 something is left.
    """
    report = open_dataset(dataset).doctor(repair, pixel_labels)
    show.emit(report.to_dict(), as_json, lambda _: [show.head(report.dataset), *report.lines()])
    if not report.ok:
        raise typer.Exit(1)
