"""Send the media of a task: in batches of files, in chunks that can be resumed, as one zip, or by name only."""

from __future__ import annotations

import base64
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa
from PIL import Image

from annobridge.backend import Media, uploads
from annobridge.backend.http import Http
from annobridge.core.media import without_secrets
from annobridge.exceptions import Broken, Rejected, Throttled, Unreachable
from annobridge.formats.media import read_header

from .config import CvatConfig
from .frames import VIDEOS

MAX_FILES = 1000  # files in one request
MAX_BATCH = 16 << 20  # bytes of files in one request; a larger file is sent in chunks
CHUNK = 8 << 20
TRIES = 5  # to resume a file after the connection was lost
_KNOWN = re.compile(r"\.(jpe?g|png|webp|bmp|tiff?|gif|mp4|m4v|mov|avi|mkv|webm|mpe?g|ts|wmv|flv|3gp)$", re.IGNORECASE)
_UNSAFE = re.compile(r"[\x00-\x1f/\\\"%?*:<>|]")
_LONGEST_NAME = 120  # characters


@dataclass(frozen=True, slots=True)
class File:
    """The file of a sample, and the name that it has on the server."""

    sample_id: str
    name: str


def files(samples: pa.Table, media: Media, config: CvatConfig) -> list[File]:
    """The files of a task, with names that are unique in it, in the order of the server's frames.

    CVAT drops folders, refuses a name that occurs twice, and ignores files with an unknown suffix.
    """
    rows = zip(samples["sample_id"].to_pylist(), samples["filepath"].to_pylist(), strict=True)
    if config.media == "upload":
        return [File(i, _safe_name(n, i, filepath or "", media)) for n, (i, filepath) in enumerate(rows)]
    root = _root(config, samples)
    return [File(i, str(PurePosixPath(filepath).relative_to(root))) for i, filepath in rows]


def outside(samples: pa.Table, config: CvatConfig) -> list[str]:
    """The files that are not below ``media_root``: the server cannot find them."""
    if config.media == "upload":
        return []
    root = _root(config, samples)
    return [p for p in samples["filepath"].to_pylist() if not PurePosixPath(p or "").is_relative_to(root)]


def _root(config: CvatConfig, samples: pa.Table) -> PurePosixPath:
    if config.media_root is not None:
        return PurePosixPath(config.media_root)
    parents = [PurePosixPath(p or "").parent for p in samples["filepath"].to_pylist()]
    return next(p for p in (parents[0], *parents[0].parents) if all(q.is_relative_to(p) for q in parents))


def _safe_name(number: int, sample_id: str, filepath: str, media: Media) -> str:
    base = _UNSAFE.sub("_", without_secrets(filepath).rsplit("/", 1)[-1])
    if not _KNOWN.search(base):
        with media.open(sample_id) as stream:
            base += f".{(read_header(stream).format or 'png').lower()}"
    return f"{number_prefix(number)}{base[-_LONGEST_NAME:]}"


def number_prefix(number: int) -> str:
    """What the name of an uploaded file begins with, which keeps names unique and in order."""
    return f"{number:06d}_"


def first_unreadable(sent: Sequence[File], media: Media) -> File | None:
    """The first image that cannot be decoded to its end."""
    for file in sent:
        if not file.name.lower().endswith(tuple(VIDEOS)):
            try:
                with media.open(file.sample_id) as stream, Image.open(stream) as image:
                    image.load()
            except Image.DecompressionBombError:  # too large to be looked at here
                continue
            except (OSError, ValueError, SyntaxError):
                return file
    return None


def send(http: Http, task: int, sent: Sequence[File], media: Media, config: CvatConfig) -> str | None:
    """Send the media of a task. Returns the id of the request in which the server reads them; ``None`` from older servers."""
    settings = _settings(config, is_video=sent[0].name.lower().endswith(tuple(VIDEOS)))
    if config.media in ("share", "cloud"):
        names = [f.name for f in sent]
        return _finish(http, task, {**settings, "server_files": names, "sorting_method": "predefined"})
    if config.media == "archive":
        with tempfile.TemporaryFile(prefix="annobridge-") as archive:
            _zip(archive, sent, media)
            return _send_file(http, task, "media.zip", archive, settings)
    all_batches = list(
        uploads.batches(uploads.files_of(media, {f.sample_id: f.name for f in sent}), count=MAX_FILES, size=MAX_BATCH)
    )
    if len(all_batches) == 1 and _size(all_batches[0]) <= MAX_BATCH:
        return _request_of(_multipart(http, task, all_batches[0], settings, {}))
    _start(http, task)
    for batch in all_batches:
        if _size(batch) > MAX_BATCH:
            with batch[0].open() as stream:
                _send_chunks(http, task, batch[0].name, stream)
        else:
            _multipart(http, task, batch, {"image_quality": config.image_quality}, {"Upload-Multiple": "true"})
    return _finish(http, task, settings, started=True)


def _settings(config: CvatConfig, *, is_video: bool) -> dict[str, Any]:
    given: dict[str, Any] = {"chunk_size": config.chunk_size, "cloud_storage_id": config.cloud_storage_id}
    if is_video:
        step = f"step={config.frame_step}" if config.frame_step else None
        given |= {"start_frame": config.frame_start, "stop_frame": config.frame_stop, "frame_filter": step}
    return {
        "image_quality": config.image_quality,
        "use_cache": config.use_cache,
        "use_zip_chunks": config.use_zip_chunks,
        **{name: value for name, value in given.items() if value is not None},
    }


def _size(batch: Sequence[uploads.MediaFile]) -> int:
    return sum(file.size for file in batch)


def _start(http: Http, task: int) -> None:
    """Announce that the media come in several requests."""
    headers = {"Upload-Start": "true"}
    http.send("POST", f"/api/tasks/{task}/data", data=b"", headers=headers, retry_on=_is_put_off)


def _is_put_off(status: int, _: Any) -> bool:
    return status == 429


def _multipart(
    http: Http, task: int, batch: Sequence[uploads.MediaFile], fields: dict[str, Any], headers: dict[str, str]
) -> Any:
    try:
        return http.upload(
            f"/api/tasks/{task}/data", batch, field="client_files[{}]",  # without its number, CVAT ignores a file
            fields=fields, headers=headers, retry_on=_is_put_off,
        )  # fmt: skip
    except Rejected as e:
        if e.status != 413:
            raise
        raise Rejected(
            f"cvat at {http.url} takes no body of {_size(batch) / 1e6:.1f} MB; raise the limit of the proxy before "
            f"CVAT (nginx: client_max_body_size) to {MAX_BATCH >> 20} MB at least.",
            413,
        ) from e


def _finish(http: Http, task: int, settings: dict[str, Any], *, started: bool = False) -> str | None:
    headers = {"Upload-Finish": "true"} if started else {}
    return _request_of(http.send("POST", f"/api/tasks/{task}/data", json=settings, headers=headers))


def _request_of(answer: Any) -> str | None:
    return answer.get("rq_id") if isinstance(answer, dict) else None


def _send_file(http: Http, task: int, name: str, stream: BinaryIO, settings: dict[str, Any]) -> str | None:
    """Send one file in chunks, as all of the media."""
    _start(http, task)
    _send_chunks(http, task, name, stream)
    return _finish(http, task, settings, started=True)


def _zip(target: BinaryIO, sent: Sequence[File], media: Media) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sent:
            with media.open(file.sample_id) as stream, archive.open(file.name, "w", force_zip64=True) as entry:
                while chunk := stream.read(CHUNK):
                    entry.write(chunk)


def _send_chunks(http: Http, task: int, name: str, stream: BinaryIO) -> None:
    """Send a file by the tus protocol: after a lost connection, the server says how many bytes it has."""
    length = stream.seek(0, 2)
    location = _create_upload(http, task, name, length)
    offset, tries = 0, TRIES
    while offset < length:
        stream.seek(offset)
        try:
            headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            found = http.headers("PATCH", location, data=stream.read(CHUNK), headers=headers, expect=["Upload-Offset"])
            offset, tries = _offset_of(found), TRIES
        except (Unreachable, Throttled, Broken, Rejected) as e:
            tries -= 1
            if not tries or (
                isinstance(e, Rejected) and e.status != 409
            ):  # 409: the server has another number of bytes
                raise
            offset = _current_offset(http, location, offset)


_TUS = {"Tus-Resumable": "1.0.0"}


def _create_upload(http: Http, task: int, name: str, length: int) -> str:
    headers = {
        **_TUS,
        "Upload-Length": str(length),
        "Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}",
        "Origin": "/".join(http.url.split("/", 3)[:3]),  # 2.15 builds the address of the upload from it
    }
    made = http.headers("POST", f"/api/tasks/{task}/data/", headers=headers, expect=["Location"])
    # Behind a proxy, the server may give another host; only the path is used.
    _, path, rest = made["Location"].partition("/api/")
    return path + rest or made["Location"]


def _current_offset(http: Http, location: str, before: int) -> int:
    with suppress(Unreachable, Throttled, Broken):
        return _offset_of(http.headers("HEAD", location, headers=_TUS, expect=["Upload-Offset"]))
    return before


def _offset_of(headers: Mapping[str, str]) -> int:
    text = headers["Upload-Offset"]
    if not text.isdecimal():
        raise Broken(f"cvat: the server says that it has {text[:20]!r} bytes of a file, which is no number.")
    return int(text)
