"""The background work after an upload: files become frames, frames are split into jobs; or it fails, with a message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from PIL import UnidentifiedImageError

from . import media, segments
from .state import Creation, Data, Frame, State, Task

Json = Any


class Failure(Exception):
    """Why the work fails; `kind` is the class of the exception in the server's traceback."""

    def __init__(self, text: str, kind: str = "ValueError") -> None:
        super().__init__(text)
        self.kind = kind

    def line(self) -> str:
        return f"{self.kind}: {self}"


def refused(text: str) -> Failure:
    return Failure(f"[ErrorDetail(string={text!r}, code='invalid')]", "rest_framework.exceptions.ValidationError")


def work(state: State) -> None:
    """Do the background work that is due by now."""
    for task in list(state.tasks.values()):
        creation = task.creation
        if creation is None or creation.status not in ("queued", "started"):
            continue
        age = (state.now() - creation.created).total_seconds()
        if creation.status == "queued" and age >= state.limits.creation_delay / 2:
            creation.status, creation.started = "started", state.now()
        if creation.status == "started" and age >= state.limits.creation_delay:
            finish(state, task, creation)


def finish(state: State, task: Task, creation: Creation) -> None:
    try:
        create(state, task, creation.options)
    except Failure as failure:
        creation.status, creation.message = "failed", failure.line()
    except Exception as error:  # the reader of a broken file may raise anything; the server reports whatever it is
        module = type(error).__module__
        name = type(error).__name__ if module == "builtins" else f"{module}.{type(error).__name__}"
        creation.status, creation.message = "failed", f"{name}: {error}"
    else:
        creation.status = "finished"
    creation.finished = state.now()
    state.touch(task)


def is_expired(state: State, creation: Creation) -> bool:
    if creation.status != "finished" or creation.finished is None:
        return False
    return state.now() >= creation.finished + timedelta(seconds=state.limits.creation_life)


def traceback(message: str) -> str:
    return f'Traceback (most recent call last):\n  File "/home/django/cvat/apps/engine/task.py", line 0, in create\n{message}\n'


@dataclass
class Plan:
    """What is to be made: the frames in order, and the names of each job's files if these were given."""

    frames: list[Frame]
    mapping: list[list[str]] | None = None


def create(state: State, task: Task, options: dict[str, Json]) -> None:
    data = task.data
    if data is None:
        raise Failure("No media data found")
    files = sources(state, task, options)
    if options.get("image_quality") is None:
        raise refused("The 'image_quality' parameter is required for image- and video-based tasks")
    check_mixture(files)
    mapping = checked_mapping(task, options)
    if any(media.kind_of(name) == "video" for name in files):
        set_video(data, files, options)
    else:
        plan = Plan(image_frames(state, files, options, mapping), mapping)
        set_images(data, plan, options)
    data.image_quality = int(options["image_quality"])
    segments.split(state, task, mapping, options.get("validation_params"))


def sources(state: State, task: Task, options: dict[str, Json]) -> dict[str, bytes]:
    """The files of known kinds, sent or on the share; others are ignored."""
    files = dict(task.files)
    for path in options.get("server_files", []):
        inside = {
            name: body for name, body in state.share.items() if name == path or name.startswith(path.rstrip("/") + "/")
        }
        if not inside:
            raise Failure(f"[Errno 2] No such file or directory: '/home/django/share/{path}'", "FileNotFoundError")
        files |= inside
    if options.get("remote_files"):
        raise Failure(f"Failed to download {options['remote_files'][0]}", "Exception")
    files = {name: body for name, body in files.items() if media.kind_of(name)}
    if not files:
        raise Failure("No media data found")
    return files


def check_mixture(files: dict[str, bytes]) -> None:
    kinds = [media.kind_of(name) for name in files]
    if len(kinds) > 1 and set(kinds) != {"image"}:
        counts = ", ".join(f"{kinds.count(kind)} {kind}(s)" for kind in ("image", "video", "archive"))
        raise Failure(
            "Only one video, archive, pdf, zip or many image, directory can be used simultaneously, "
            f"            but {counts} found."
        )


def checked_mapping(task: Task, options: dict[str, Json]) -> list[list[str]] | None:
    mapping: list[list[str]] | None = options.get("job_file_mapping")
    if mapping is None:
        return None
    if not any(mapping):
        raise refused("job_file_mapping cannot be empty")
    if task.segment_size:
        raise refused("job_file_mapping cannot be used with segment_size")
    if options["sorting_method"] != "lexicographical":
        raise refused("job_file_mapping cannot be used with sorting_method")
    for name in ("start_frame", "stop_frame", "frame_filter"):
        if options.get(name):
            raise refused(f"job_file_mapping cannot be used with {name}")
    return mapping


def image_frames(
    state: State, files: dict[str, bytes], options: dict[str, Json], mapping: list[list[str]] | None
) -> list[Frame]:
    if [media.kind_of(name) for name in files] == ["archive"]:
        files = media.unpack(next(iter(files.values())))
        if not files:
            raise Failure("No media data found")
    if mapping is not None:
        return [frame(state, name, mapped(files, name)) for job in mapping for name in job]
    return [frame(state, name, files[name]) for name in ordered(state, list(files), options)]


def mapped(files: dict[str, bytes], name: str) -> bytes:
    if name not in files:
        raise refused(f"Some of the files specified in job_file_mapping are not found in the input files: {name}")
    return files[name]


def frame(state: State, name: str, content: bytes) -> Frame:
    is_new = state.version.since(2, 73)
    try:
        width, height = media.image_size(content)
    except UnidentifiedImageError:
        if is_new or not content:
            kind = "utils.dataset_manifest.errors.InvalidImageError" if is_new else "ValueError"
            raise Failure(f"failed to parse image file '{name}'", kind) from None
        text = f"cannot identify image file '/home/django/data/raw/{name}'"
        raise Failure(text, "PIL.UnidentifiedImageError") from None
    return Frame(name, width, height, content)


def ordered(state: State, names: list[str], options: dict[str, Json]) -> list[str]:
    method = options["sorting_method"]
    if method == "random":
        return state.random.sample(names, len(names))
    if method == "natural":
        return sorted(names, key=media.natural_key)
    if method == "predefined":
        wanted = options.get("upload_file_order") or options.get("server_files") or []
        place = {name: position for position, name in enumerate(wanted)}
        return sorted(names, key=lambda name: place.get(name, len(place)))
    return sorted(names)


def chosen(data: Data, count: int, options: dict[str, Json]) -> range:
    """The source positions that become frames."""
    step = re.fullmatch(r"(?:step\s*=\s*([1-9][0-9]*))?", data.frame_filter)
    if step is None:
        raise Failure("Error frame filter expression")
    stop = options.get("stop_frame")
    last = min(count - 1, int(stop)) if stop is not None else count - 1
    data.start_frame = int(options.get("start_frame") or 0)
    positions = range(data.start_frame, last + 1, int(step[1] or 1))
    if not positions:
        raise Failure("No media data found")
    data.stop_frame = positions[-1]
    return positions


def set_images(data: Data, plan: Plan, options: dict[str, Json]) -> None:
    positions = chosen(data, len(plan.frames), options)
    data.frames = [plan.frames[position] for position in positions]
    data.size = len(data.frames)
    first = data.frames[0]
    by_area = max(2, min(72, 36 * 1920 * 1080 // (first.width * first.height)))
    data.chunk_size = int(options.get("chunk_size") or by_area)


def set_video(data: Data, files: dict[str, bytes], options: dict[str, Json]) -> None:
    (name, content), *_ = files.items()
    found = media.video(name, content)
    if found is None:
        text = f"[Errno 1094995529] Invalid data found when processing input: '/home/django/data/data/{data.id}/raw/{name}'"
        raise Failure(text, "av.error.InvalidDataError")
    data.size = len(chosen(data, found.count, options))
    data.frames = [Frame(name, found.width, found.height, content)]
    data.is_video, data.zip_chunks = True, bool(options.get("use_zip_chunks"))
    data.chunk_size = int(options.get("chunk_size") or 36)
