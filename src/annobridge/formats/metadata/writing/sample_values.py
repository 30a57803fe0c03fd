"""What lines say of the samples: their columns, and the sizes of their images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ....exceptions import InvalidMedia
from ....store import media
from .line_writer import Line


def sample_columns(samples: pa.Table, names: Sequence[str]) -> list[Line]:
    """The values of some columns, by sample. NaN and infinity, which JSON does not have, become ``None``."""
    columns = {name: [_finite(v) for v in samples[name].to_pylist()] for name in names}
    return [{name: values[n] for name, values in columns.items()} for n in range(samples.num_rows)]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def image_sizes(samples: pa.Table, files: media.Media) -> np.ndarray:
    """``[width, height]`` of each image in pixels; from its header where the dataset does not know it.

    Raises ``InvalidMedia``.
    """
    known = [
        samples[n].to_pylist() if n in samples.column_names else [None] * samples.num_rows for n in ("width", "height")
    ]
    sizes = list(zip(*known, strict=True))
    unknown = [n for n, size in enumerate(sizes) if not all(size)]
    if unknown:
        paths = [files.path(samples["sample_id"][n].as_py()) for n in unknown]
        local = iter(media.known_sizes([p for p in paths if p is not None]))
        not_local = [n for n, path in zip(unknown, paths, strict=True) if path is None]
        other = iter(_opened_sizes(samples.take(pa.array(not_local)), files)) if not_local else iter(())
        for n, path in zip(unknown, paths, strict=True):
            size = next(local) if path is not None else next(other)
            if size is None:
                raise InvalidMedia(
                    f"The size of the image {samples['filepath'][n].as_py()!r} is not known; set its width and height."
                )
            sizes[n] = size
    return np.array(sizes, np.float64).reshape(-1, 2)


def _opened_sizes(samples: pa.Table, files: media.Media) -> list[tuple[int, int]]:
    """The sizes of images that are not local files."""
    places = [None if place is None else media.without_secrets(place) for place in samples["filepath"].to_pylist()]
    rows = {"sample_id": samples["sample_id"], "media_type": pa.nulls(len(places)), "filepath": places}
    sizes, faults = media.check_media(pa.table(rows), files, size=media.header_size)
    if faults:
        text = media.describe_bad_files(faults)
        for place in filter(None, samples["filepath"].to_pylist()):  # the error of a library may quote it
            text = text.replace(place, media.without_secrets(place))
        raise InvalidMedia(text)
    return list(map(tuple, sizes.tolist()))


def file_size(path: Path | None) -> int | None:
    """The size of a local file in bytes. Raises ``InvalidMedia``."""
    try:
        return None if path is None else path.stat().st_size
    except OSError as e:
        raise InvalidMedia(
            f"The image {str(path)!r} cannot be found ({e.strerror}); put it there, or leave the sample out of the view."
        ) from None
