"""Media sent to a task: one request, a session of requests, or resumable uploads (TUS)."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterable
from pathlib import PurePosixPath

from .errors import ApiError, crash, invalid, invalid_field
from .messages import Answer, Json, UploadedFile, answer, empty, unsupported
from .router import Call, route
from .state import Creation, Data, Task, Upload
from .tasks import changeable

SORTING = ("lexicographical", "natural", "predefined", "random")
LARGEST = 26_843_545_600
LISTS = ("server_files", "remote_files", "server_files_exclude", "upload_file_order", "job_file_mapping")
TUS_HEADERS = {
    "Tus_Resumable": "1.0.0",
    "Tus_Version": "1.0.0",
    "Tus_Max_Size": str(LARGEST),
    "Tus_Extension": "creation,creation-defer-length,expiration",
    "Cache_Control": "no-store",
}


@route("POST", "/tasks/{task}/data/?")
def post_data(call: Call) -> Answer:
    task = changeable(call)
    if task.size:
        text = "Adding more data is not supported"
        raise invalid(text) if call.since(2, 16) else ApiError(400, text)
    if call.request.body and call.request.content_type not in ("application/json", "multipart/form-data"):
        unsupported(call.request)
    if task.data is None:
        task.data = Data(call.state.next_id("data"), call.state.now(), chunk_size=None)
    header = call.request.header
    starts, finishes = "upload-start" in call.request.headers, "upload-finish" in call.request.headers
    if starts and not finishes:
        return empty(202)
    if header("Upload-Length") and not finishes:
        return begin_resumable(call, task)
    if "upload-multiple" in call.request.headers and not finishes:
        store(task, parameters(call)[1])
        return empty(200)
    return finish(call, task)


def refuse_second(call: Call, task: Task) -> None:
    status = task.creation.status if task.creation else ""
    if status in ("queued", "started"):
        raise ApiError(409, {"rq_id": request_id(task)} if call.since(2, 16) else "Data is being processed")
    if status == "cancelled" or (status == "failed" and not call.since(2, 16)):
        raise crash()


def request_id(task: Task) -> str:
    return f"action=create&target=task&target_id={task.id}"


# What is sent along with the files


def parameters(call: Call) -> tuple[dict[str, Json], list[UploadedFile]]:
    """The checked parameters, and the files of fields named `client_files[i]`; any other file is ignored."""
    fields, files = call.request.form()
    is_form = call.request.content_type == "multipart/form-data"
    options: dict[str, Json] = {}
    for name, value in fields:
        listed = re.fullmatch(r"(\w+)\[\d+\]", name)
        if listed:
            options.setdefault(listed[1], []).append(value)
        elif is_form and name in LISTS:
            raise invalid_field(name, 'Expected a list of items but got type "str".')
        else:
            options[name] = value
    check(call, options)
    indexed = [(int(found[1]), file) for file in files if (found := re.fullmatch(r"client_files\[(\d+)\]", file.field))]
    return options, [file for _, file in sorted(indexed, key=lambda pair: pair[0])]


def check(call: Call, options: dict[str, Json]) -> None:
    if "image_quality" not in options and not call.since(2, 16):
        raise invalid_field("image_quality", "This field is required.")
    if "image_quality" in options:
        check_number(options, "image_quality", 1 if call.since(2, 65) else 0, 100)
    for name in ("chunk_size", "start_frame", "stop_frame"):
        if options.get(name) is not None:
            check_number(options, name, 1 if name == "chunk_size" else 0, None)
    options.setdefault("sorting_method", "lexicographical")
    if options["sorting_method"] not in SORTING:
        raise invalid_field("sorting_method", f'"{options["sorting_method"]}" is not a valid choice.')
    for name in ("use_cache", "use_zip_chunks", "copy_data"):
        options[name] = str(options.get(name, False)).lower() in ("true", "1", "on", "yes")
    if options.get("validation_params") and call.since(2, 21):
        check_validation(options)


def check_number(options: dict[str, Json], name: str, least: int, most: int | None) -> None:
    text = str(options[name])
    if not re.fullmatch(r"-?\d+", text):
        raise invalid_field(name, "A valid integer is required.")
    options[name] = int(text)
    if int(text) < least:
        raise invalid_field(name, f"Ensure this value is greater than or equal to {least}.")
    if most is not None and int(text) > most:
        raise invalid_field(name, f"Ensure this value is less than or equal to {most}.")


def check_validation(options: dict[str, Json]) -> None:
    validation = options["validation_params"]
    if validation.get("mode") not in ("gt", "gt_pool"):
        raise ApiError(400, {"validation_params": {"mode": [f'"{validation.get("mode")}" is not a valid choice.']}})
    if validation["mode"] == "gt_pool" and options["sorting_method"] != "random":
        raise invalid('validation mode "gt_pool" can only be used with sorting method "random"')


# Files kept, work started


def store(task: Task, files: Iterable[UploadedFile]) -> None:
    """Keep the files, all or none: a name that is there already makes the server fail."""
    names = [file.name for file in files]
    if len(set(names)) < len(names) or set(names) & set(task.files):
        raise crash()
    task.files |= {file.name: file.content for file in files}


def finish(call: Call, task: Task) -> Answer:
    if task.stuck:
        raise crash()
    options, files = parameters(call)
    refuse_second(call, task)
    store(task, files)
    # A resumable upload that was never completed counts as a file, one that nobody can read.
    task.files |= {upload.name: b"" for upload in task.uploads.values()}
    check_order(task, options)
    assert task.data is not None
    task.data.frame_filter = options.get("frame_filter") or ""
    task.data.image_quality = options.get("image_quality") or 0
    task.creation = Creation(options, call.user, call.state.now())
    if call.since(2, 16):
        return answer({"rq_id": request_id(task)}, 202)
    return answer(echo(task, options), 202)


def check_order(task: Task, options: dict[str, Json]) -> None:
    wanted = options.get("upload_file_order")
    if options["sorting_method"] != "predefined" or not wanted or not task.files:
        return
    extra, missing = sorted(set(task.files) - set(wanted)), sorted(set(wanted) - set(task.files))
    if extra or missing:
        faults = [f"{name} (extra)" for name in extra] + [f"{name} (missing)" for name in missing]
        raise invalid(
            "Uploaded files do not match the 'upload_file_order' field contents. "
            f"Please check the uploaded data and the list of uploaded files. Mismatching files: {', '.join(faults)}"
        )


def echo(task: Task, options: dict[str, Json]) -> Json:
    """The old answer repeats the parameters; what it says of storage is always the same."""
    return {
        "chunk_size": options.get("chunk_size"),
        "image_quality": options["image_quality"],
        "start_frame": options.get("start_frame", 0),
        "stop_frame": options.get("stop_frame", 0),
        "frame_filter": options.get("frame_filter", ""),
        "client_files": list(task.files),
        "server_files": options.get("server_files", []),
        "remote_files": options.get("remote_files", []),
        "use_zip_chunks": False,
        "server_files_exclude": options.get("server_files_exclude", []),
        "use_cache": False,
        "copy_data": False,
        "storage_method": "file_system",
        "storage": "local",
        "sorting_method": options["sorting_method"],
        "filename_pattern": options.get("filename_pattern"),
    }


# Resumable uploads


def begin_resumable(call: Call, task: Task) -> Answer:
    header = call.request.header
    name = upload_name(header("Upload-Metadata"))
    if ".." in PurePosixPath(name).parts:
        refused = answer(f"File name {name} is not allowed", 400)
        refused.content_type = "text/plain" if call.since(2, 16) else refused.content_type
        return tus(refused)
    if name in task.files or any(upload.name == name for upload in task.uploads.values()):
        return tus(answer("File with same name already exists", 409))
    if int(header("Upload-Length")) > LARGEST:
        return tus(answer(f"File size exceeds max limit of {LARGEST} bytes", 413))
    if not (header("Origin") or header("X-Forwarded-Host") or call.since(2, 56)):
        raise crash()
    number = f"{call.user.id}_{uuid.uuid4()}" if call.since(2, 16) else str(uuid.uuid4())
    task.uploads[number] = Upload(number, name, int(header("Upload-Length")))
    return tus(empty(201, Location=location_of(call, number), Upload_Filename=name))


def location_of(call: Call, number: str) -> str:
    """Old servers put together what the client told them, and forget the slash where the client did."""
    path, header = call.request.path, call.request.header
    if call.since(2, 59):
        return f"{call.request.url(path.rstrip('/'))}/{number}"
    if header("Origin") and not (call.since(2, 56) or header("X-Forwarded-Host")):
        return f"{header('Origin')}/api{path}{number}"
    return f"{call.request.url(path)}{number}"


def upload_name(metadata: str) -> str:
    for pair in metadata.split(","):
        key, _, value = pair.strip().partition(" ")
        if key == "filename":
            return base64.b64decode(value).decode()
    return ""


def tus(answer: Answer) -> Answer:
    answer.headers += [(name.replace("_", "-"), value) for name, value in TUS_HEADERS.items()]
    return answer


def find_upload(call: Call, task: Task) -> Upload | None:
    return task.uploads.get(call.words["upload"])


@route("HEAD", "/tasks/{task}/data/<upload>", head=True)
def upload_offset(call: Call) -> Answer:
    upload = find_upload(call, changeable(call))
    if upload is None:
        return tus(empty(404))
    return tus(empty(200, Upload_Offset=str(len(upload.content)), Upload_Length=str(upload.length)))


@route("PATCH", "/tasks/{task}/data/<upload>")
def append_chunk(call: Call) -> Answer:
    task = changeable(call)
    if call.request.content_type != "application/offset+octet-stream":
        raise ApiError(415, {"detail": f'Unsupported media type "{call.request.header("Content-Type")}" in request.'})
    upload = find_upload(call, task)
    if upload is None:
        return tus(empty(404))
    if call.request.header("Upload-Offset") != str(len(upload.content)):
        return tus(empty(409))
    if len(upload.content) + len(call.request.body) > upload.length:
        return tus(empty(413))
    upload.content += call.request.body
    if len(upload.content) == upload.length:
        if "/" in upload.name:
            task.stuck = True
            raise crash()
        task.files[upload.name] = bytes(upload.content)
        del task.uploads[upload.id]
    return tus(empty(204, Upload_Offset=str(len(upload.content)), Upload_Filename=upload.name))


@route("OPTIONS", "/tasks/{task}/data/?")
def upload_options(call: Call) -> Answer:
    if not call.since(2, 31):
        raise crash()
    return tus(empty(204))
