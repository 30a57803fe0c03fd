"""Reading media: the list of frames, single frames, chunks."""

from __future__ import annotations

import hashlib
import io
import zipfile

from PIL import ExifTags, Image, ImageOps

from . import jobs, tasks
from .contexts import owns
from .errors import ApiError, TextError, crash, denied, invalid
from .messages import Answer, Json, answer
from .router import Call, route
from .state import Data, Frame, Job, Task, stamp

FRAME_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "BMP": "image/bmp", "GIF": "image/gif"}


# The list of frames


@route("GET", "/tasks/{task}/data/meta")
def task_meta(call: Call) -> Answer:
    return answer(meta(call, present(call, tasks.find(call)), None))


@route("GET", "/jobs/{job}/data/meta")
def job_meta(call: Call) -> Answer:
    job = jobs.find(call)
    return answer(meta(call, present(call, job.task), job))


@route("PATCH", "/tasks/{task}/data/meta")
def patch_task_meta(call: Call) -> Answer:
    task = tasks.changeable(call)
    data = present(call, task)
    data.deleted = frames_given(call, range(data.size))
    call.state.touch(task)
    return answer(meta(call, data, None))


@route("PATCH", "/jobs/{job}/data/meta")
def patch_job_meta(call: Call) -> Answer:
    job = jobs.find(call)
    data = present(call, job.task)
    own = range(job.start, job.stop + 1)
    given = frames_given(call, own)
    data.deleted = sorted({frame for frame in data.deleted if frame not in own} | set(given))
    call.state.touch(job.task)
    return answer(meta(call, data, job))


def frames_given(call: Call, allowed: range) -> list[int]:
    frames = call.request.json().get("deleted_frames")
    if not isinstance(frames, list):
        kind = type(frames).__name__
        raise ApiError(400, {"deleted_frames": [f'Expected a list of items but got type "{kind}".']})
    if not all(type(frame) is int and frame >= 0 for frame in frames):
        raise ApiError(400, {"deleted_frames": ["A valid integer is required."]})
    outside = [frame for frame in frames if frame not in allowed]
    if outside and call.since(2, 21):
        raise ApiError(
            400, {"deleted_frames": [f"Unknown frames {', '.join(map(str, outside))} requested for removal"]}
        )
    return sorted(set(frames))


def present(call: Call, task: Task) -> Data:
    """Old servers know the media of a failed creation as empty, and fall over a task that never had any."""
    if call.since(2, 70) and not task.size:
        raise invalid("Data is not uploaded for the task yet")
    if task.data is None:
        raise crash()
    return task.data


def meta(call: Call, data: Data, job: Job | None) -> Json:
    shown = listed(call, data, job)
    told = {
        "chunk_size": data.chunk_size,
        "size": size_of(data, job),
        "image_quality": data.image_quality,
        "start_frame": data.start_frame,
        "stop_frame": data.stop_frame,
        "frame_filter": data.frame_filter,
        "frames": [
            {"width": f.width, "height": f.height, "name": f.name, "related_files": 0, "has_related_context": False}
            for f in shown
        ],
        "deleted_frames": [frame for frame in data.deleted if job is None or job.start <= frame <= job.stop],
        "included_frames": job.frames if job else None,
    }
    if job:
        told |= {"start_frame": source_position(data, job.start), "stop_frame": source_position(data, job.stop)}
    return {**told, **newer_fields(data)} if call.since(2, 21) else told


def size_of(data: Data, job: Job | None) -> int:
    if job is None:
        return data.size
    return len(job.frames) if job.frames is not None else job.stop - job.start + 1


def listed(call: Call, data: Data, job: Job | None) -> list[Frame]:
    if data.is_video or job is None:
        return data.frames
    frames = data.frames[job.start : job.stop + 1]
    if job.frames is None:
        return frames
    # A ground-truth job lists all frames, and hides the names of those that are not its own.
    own = set(job.frames)
    return [
        frame if number in own else Frame("placeholder.jpg", frame.width, frame.height)
        for number, frame in enumerate(frames, job.start)
    ]


def source_position(data: Data, number: int) -> int:
    step = int(data.frame_filter.partition("=")[2] or 1)
    return data.start_frame + number * step


def newer_fields(data: Data) -> Json:
    return {
        "chapters": [] if data.is_video else None,
        "chunks_updated_date": stamp(data.created),
        "storage": "local",
        "cloud_storage_id": None,
    }


# Single frames and chunks


@route("GET", "/tasks/{task}/data/?")
def task_data(call: Call) -> Answer:
    task = tasks.find(call)
    return media_asked(call, task, None)


@route("GET", "/jobs/{job}/data/?")
def job_data(call: Call) -> Answer:
    job = jobs.find(call)
    return media_asked(call, job.task, job)


@route("GET", "/tasks/{task}/preview")
def task_preview(call: Call) -> Answer:
    return preview(tasks.find(call), 0)


@route("GET", "/jobs/{job}/preview")
def job_preview(call: Call) -> Answer:
    job = jobs.find(call)
    return preview(job.task, job.start)


def preview(task: Task, number: int) -> Answer:
    if task.data is None or not task.size:
        raise TextError(404, "Task image preview not found")
    return picture(task.data, number, "compressed")


def media_asked(call: Call, task: Task, job: Job | None) -> Answer:
    query = call.request.query
    kind, number, quality = query.get("type"), query.get("number"), query.get("quality", "compressed")
    if kind not in ("frame", "chunk"):
        raise invalid("Data type not specified or has wrong value")
    index = query.get("index") if kind == "chunk" and job and call.since(2, 20) else None
    if (number is None) == (index is None):
        raise invalid("Number is not specified" if number is None else "Number and index cannot be used together")
    if quality not in ("compressed", "original"):
        raise invalid("Wrong quality value")
    if not (index or number or "").isdecimal():
        raise crash()
    if task.data is None or not task.size:
        raise ApiError(404, {"detail": "Cannot find requested data"})
    if kind == "frame":
        return single(task.data, job, int(number or 0), quality)
    return chunk(call, task.data, job, int(index or number or 0), quality, by_index=index is not None)


def single(data: Data, job: Job | None, number: int, quality: str) -> Answer:
    if job is not None and not (number in job.frames if job.frames is not None else job.start <= number <= job.stop):
        raise ApiError(400, "The frame number doesn't belong to the job")
    if not 0 <= number < data.size:
        raise ApiError(400, f"The frame number should be in the [0, {data.size - 1}] range")
    return picture(data, number, quality)


def picture(data: Data, number: int, quality: str) -> Answer:
    content, kind = encoded(data, number, quality)
    return Answer(200, content, FRAME_TYPES.get(kind, "image/jpeg"))


def encoded(data: Data, number: int, quality: str) -> tuple[bytes, str]:
    """An image's original is the very file, unless EXIF data turn it; that, and a video's (as PNG), is drawn anew."""
    frame = data.frame(number)
    if data.is_video:
        image = Image.new("RGB", (frame.width, frame.height), (number % 256, 0, 0))
        return drawn(image, "PNG" if quality == "original" else "JPEG", data)
    if quality == "original":
        with Image.open(io.BytesIO(frame.content)) as image:
            kind = image.format or "JPEG"
            if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
                return frame.content, kind
            return drawn(ImageOps.exif_transpose(image), kind, data)
    with Image.open(io.BytesIO(frame.content)) as image:
        return drawn(ImageOps.exif_transpose(image).convert("RGB"), "JPEG", data)


def drawn(image: Image.Image, kind: str, data: Data) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": data.image_quality} if kind == "JPEG" else {}))
    return buffer.getvalue(), kind


def chunk(call: Call, data: Data, job: Job | None, number: int, quality: str, *, by_index: bool) -> Answer:
    frames = chunk_frames(call, data, job, number, by_index)
    if data.is_video and not data.zip_chunks:
        return Answer(200, data.frames[0].content, "video/mp4")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for position, frame in enumerate(frames):
            content, kind = encoded(data, frame, quality)
            archive.writestr(f"{position:06d}.{'jpeg' if kind == 'JPEG' else kind.lower()}", content)
    found = Answer(200, buffer.getvalue(), "application/zip")
    if call.since(2, 20):
        found.headers.append(("X-Checksum", hashlib.sha1(found.body).hexdigest()))
        found.headers.append(("X-Updated-Date", stamp(data.created) or ""))
    return found


def chunk_frames(call: Call, data: Data, job: Job | None, number: int, by_index: bool) -> range:
    """Chunks of a task; since 2.20 those of a job hold the job's own frames only."""
    size = data.chunk_size or 1
    first, last = (job.start, job.stop) if job else (0, data.size - 1)
    if job and call.since(2, 20):
        position = number if by_index else number - first // size
        frames = range(first + position * size, min(first + (position + 1) * size - 1, last) + 1)
    else:
        frames = range(number * size, min((number + 1) * size, data.size))
        position = number - first // size
    if not frames or position < 0 or frames[0] > last:
        raise ApiError(400, f"The chunk number should be in the [{first // size}, {last // size}] range")
    return frames


# Ground truth and honeypots


@route("GET", "/tasks/{task}/validation_layout", since=(2, 21))
def validation_layout(call: Call) -> Answer:
    task = tasks.find(call)
    if not owns(call.user, task):
        raise denied()
    found = task.data.validation if task.data else None
    if found is None:
        return answer({"mode": None, "frames_per_job_count": None})
    told = {
        "mode": found.mode,
        "frames_per_job_count": found.per_job,
        "validation_frames": found.frames,
        "disabled_frames": [],
    }
    if found.mode == "gt_pool":
        frames = sorted(found.honeypots)
        real = [found.honeypots[frame] for frame in frames]
        told |= {"honeypot_count": len(frames), "honeypot_frames": frames, "honeypot_real_frames": real}
    return answer(told)
