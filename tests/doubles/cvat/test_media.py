"""Uploads in every way, the work that follows, the list of frames, and the frames."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from PIL import Image
from tests.doubles.cvat.caller import Caller, Json, files, image, outcome

# One request, sessions


def test_one_request(caller: Caller) -> None:
    task = caller.task()
    sent = caller.upload(task, files("b.jpg", "a.jpg"), use_cache="true", sorting_method="natural")
    assert sent.status_code == 202
    if caller.is_new:
        assert sent.json() == {"rq_id": f"action=create&target=task&target_id={task}"}
    else:
        told = sent.json()
        assert (told["client_files"], told["use_cache"], told["image_quality"]) == (["b.jpg", "a.jpg"], False, 70)
    assert caller.wait(task)["state"] == "Finished"
    assert caller.names(task) == ["a.jpg", "b.jpg"]


def test_a_session_of_requests(caller: Caller) -> None:
    task, names = caller.task(), [f"{n}.jpg" for n in (10, 9, 8)]
    order = {"sorting_method": "predefined", "upload_file_order": names[::-1]}
    assert caller.session(task, files(*names), **order).status_code == 202
    caller.wait(task)
    assert caller.names(task) == names[::-1]


def test_an_order_must_name_the_files_sent(caller: Caller) -> None:
    task = caller.task()
    refused = caller.session(task, files("a.jpg"), sorting_method="predefined", upload_file_order=["a.jpg", "b.jpg"])
    assert refused.status_code == 400
    assert refused.json()[0].endswith("Mismatching files: b.jpg (missing)")
    body = {"image_quality": 70, "sorting_method": "predefined", "upload_file_order": ["a.jpg"]}
    assert caller.status("POST", f"/tasks/{task}/data", body, headers={"Upload-Finish": "1"}) == 202


def test_an_order_cannot_be_sent_in_a_form(caller: Caller) -> None:
    assert caller.upload(caller.task(), files("a.jpg"), upload_file_order='["a.jpg"]').status_code == 400


def test_image_quality(caller: Caller) -> None:
    path, part = f"/tasks/{caller.task()}/data", [("client_files[0]", ("a.jpg", image()))]
    multiple = caller.status("POST", path, files=part, headers={"Upload-Multiple": "true"})
    assert multiple == (200 if caller.is_new else 400)
    for quality, status in ((101, 400), (0, 400 if caller.is_new else 202)):
        task = caller.task()
        assert caller.upload(task, files("a.jpg"), image_quality=str(quality)).status_code == status
    without = caller.status("POST", path, {}, headers={"Upload-Finish": "true"})
    assert without == (202 if caller.is_new else 400)


def test_without_image_quality_the_work_fails(new: Caller) -> None:
    task = new.task()
    part = [("client_files[0]", ("a.jpg", image()))]
    assert new.status("POST", f"/tasks/{task}/data", files=part) == 202
    assert "The 'image_quality' parameter is required" in outcome(new, task)[1]


def test_names_lose_their_directories(caller: Caller) -> None:
    task = caller.task()
    caller.upload(task, files("sub/a.jpg", "ünï 1.jpg"))
    caller.wait(task)
    assert caller.names(task) == ["a.jpg", "ünï 1.jpg"]


def test_equal_names_break_the_server_and_nothing_is_kept(caller: Caller) -> None:
    task = caller.task()
    assert caller.upload(task, files("x/a.jpg", "y/a.jpg")).status_code == 500
    assert caller.session(task, files("b.jpg")).status_code == 202
    caller.wait(task)
    assert caller.names(task) == ["b.jpg"]


def test_a_field_without_index_is_ignored(caller: Caller) -> None:
    task = caller.task()
    part = [("client_files", ("a.jpg", image()))]
    assert caller.status("POST", f"/tasks/{task}/data", data={"image_quality": "70"}, files=part) == 202
    assert outcome(caller, task) == ("Failed", "ValueError: No media data found")


def test_unknown_kinds_are_dropped(caller: Caller) -> None:
    task = caller.task()
    caller.upload(task, {"notes.txt": b"x", "readme": b"x", **files("a.JPG")})
    caller.wait(task)
    assert caller.names(task) == ["a.JPG"]


# Archives, share


def zipped(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in content.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def test_directories_survive_in_an_archive(caller: Caller) -> None:
    task = caller.task()
    caller.upload(task, {"all.zip": zipped({**files("d0/f_0.jpg", "d1/f_0.jpg"), "notes.txt": b""})})
    caller.wait(task)
    assert caller.names(task) == ["d0/f_0.jpg", "d1/f_0.jpg"]


def test_an_archive_comes_alone(caller: Caller) -> None:
    task = caller.task()
    caller.upload(task, {"all.zip": zipped(files("f.jpg")), **files("a.jpg")})
    assert outcome(caller, task)[1].startswith("ValueError: Only one video, archive, pdf, zip or many image")


def test_files_of_the_share(caller: Caller) -> None:
    caller.server.share.update(files("set/0.jpg", "set/1.jpg", "other.jpg"))
    task = caller.task()
    assert (
        caller.session(task, {}, server_files=["set/1.jpg", "set/0.jpg"], sorting_method="predefined").status_code
        == 202
    )
    caller.wait(task)
    assert caller.names(task) == ["set/1.jpg", "set/0.jpg"]
    whole, missing = caller.task(), caller.task()
    caller.session(whole, {}, server_files=["set"])
    caller.session(missing, {}, server_files=["nosuch.jpg"])
    caller.wait(whole)
    assert len(caller.names(whole)) == 2
    assert outcome(caller, missing)[0] == "Failed"


# Order, choice, jobs


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("lexicographical", ["1.jpg", "10.jpg", "2.jpg"]),
        ("natural", ["1.jpg", "2.jpg", "10.jpg"]),
        ("predefined", ["10.jpg", "2.jpg", "1.jpg"]),
    ],
)
def test_orders(caller: Caller, method: str, names: list[str]) -> None:
    task = caller.task()
    caller.upload(task, files("10.jpg", "2.jpg", "1.jpg"), sorting_method=method)
    caller.wait(task)
    assert caller.names(task) == names


def test_a_choice_of_frames(caller: Caller) -> None:
    task = caller.full_task(6, options={"start_frame": "1", "stop_frame": "4", "frame_filter": "step=2"})
    meta = caller.json("GET", f"/tasks/{task}/data/meta")
    assert [frame["name"] for frame in meta["frames"]] == ["1.jpg", "3.jpg"]
    assert (meta["size"], meta["start_frame"], meta["stop_frame"], meta["frame_filter"]) == (2, 1, 3, "step=2")


@pytest.mark.parametrize(
    ("segment", "overlap", "bounds"),
    [
        (0, None, [(0, 4)]),
        (2, 0, [(0, 1), (2, 3), (4, 4)]),
        (2, 1, [(0, 1), (1, 2), (2, 3), (3, 4)]),
        (99, 0, [(0, 4)]),
    ],
)
def test_jobs_by_size_and_overlap(
    caller: Caller, segment: int, overlap: int | None, bounds: list[tuple[int, int]]
) -> None:
    task = caller.full_task(5, segment_size=segment, **({} if overlap is None else {"overlap": overlap}))
    assert caller.bounds(task) == bounds
    assert caller.json("GET", f"/tasks/{task}")["jobs"]["count"] == len(bounds)


def test_jobs_by_file(caller: Caller) -> None:
    task = caller.task()
    caller.session(task, files("0.jpg", "1.jpg", "2.jpg"), job_file_mapping=[["2.jpg", "0.jpg"], ["1.jpg"]])
    caller.wait(task)
    assert caller.names(task) == ["2.jpg", "0.jpg", "1.jpg"]
    assert caller.bounds(task) == [(0, 1), (2, 2)]
    sorted_too = caller.task()
    caller.session(sorted_too, files("0.jpg"), job_file_mapping=[["0.jpg"]], sorting_method="natural")
    assert "job_file_mapping cannot be used with sorting_method" in outcome(caller, sorted_too)[1]


# Images, video


def test_a_rotated_image_has_its_shown_size(caller: Caller) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    task = caller.task()
    caller.upload(task, {"a.jpg": image((320, 240), exif=exif)})
    caller.wait(task)
    frame = caller.json("GET", f"/tasks/{task}/data/meta")["frames"][0]
    assert (frame["width"], frame["height"]) == (240, 320)
    for quality in ("original", "compressed"):  # neither is the file: both are upright
        shown = caller.call("GET", f"/tasks/{task}/data?type=frame&number=0&quality={quality}")
        with Image.open(io.BytesIO(shown.content)) as upright:
            assert (upright.size, upright.getexif().get(0x0112)) == ((240, 320), None)


def test_a_cut_image_passes_and_a_broken_one_fails(caller: Caller) -> None:
    cut, broken = caller.task(), caller.task()
    caller.upload(cut, {"a.jpg": image((640, 480))[:-200]})
    caller.upload(broken, {"a.jpg": b"not an image"})
    assert outcome(caller, cut)[0] == "Finished"
    state, line = outcome(caller, broken)
    kind = "utils.dataset_manifest.errors.InvalidImageError" if caller.is_new else "PIL.UnidentifiedImageError"
    assert (state, line.split(":")[0]) == ("Failed", kind)
    assert caller.json("GET", f"/tasks/{broken}")["size"] == 0
    meta = caller.call("GET", f"/tasks/{broken}/data/meta")
    assert meta.status_code == (400 if caller.is_new else 200)


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def mp4(width: int, height: int, count: int) -> bytes:
    head = box(b"tkhd", bytes(76), struct.pack(">II", width << 16, height << 16))
    sizes = box(b"stsz", bytes(4), struct.pack(">II", 100, count))
    track = box(b"trak", head, box(b"mdia", box(b"minf", box(b"stbl", sizes))))
    return box(b"ftyp", b"isom", bytes(4)) + box(b"mdat", bytes(100)) + box(b"moov", box(b"mvhd", bytes(100)), track)


def avi(width: int, height: int, count: int) -> bytes:
    head = struct.pack("<14I", 0, 0, 0, 0, count, 0, 1, 0, width, height, 0, 0, 0, 0)
    return b"RIFF" + bytes(4) + b"AVI LIST" + bytes(4) + b"hdrlavih" + struct.pack("<I", len(head)) + head


@pytest.mark.parametrize(("name", "make"), [("v.mp4", mp4), ("v.avi", avi)])
def test_a_video(caller: Caller, name: str, make: Json) -> None:
    task = caller.task(segment_size=8)
    caller.upload(task, {name: make(320, 240, 30)})
    assert outcome(caller, task)[0] == "Finished"
    told, meta = caller.json("GET", f"/tasks/{task}"), caller.json("GET", f"/tasks/{task}/data/meta")
    assert (told["mode"], told["size"], told["overlap"]) == ("interpolation", 30, 4)
    assert [(f["name"], f["width"], f["height"]) for f in meta["frames"]] == [(name, 320, 240)]
    assert meta["size"] == 30
    frame = caller.call("GET", f"/tasks/{task}/data?type=frame&number=3&quality=original")
    assert frame.headers["Content-Type"] == "image/png"
    assert caller.bounds(task)[:2] == [(0, 7), (4, 11)]


@pytest.mark.parametrize(
    ("length", "line"),
    [
        (100, "av.error.InvalidDataError: [Errno 1094995529] Invalid data found when processing input: "),
        (240, "IndexError: tuple index out of range"),  # of the header, the beginning only
    ],
)
def test_a_video_that_is_cut_off_fails(caller: Caller, length: int, line: str) -> None:
    task = caller.task()
    caller.upload(task, {"v.mp4": mp4(64, 48, 30)[:length]})
    state, told = outcome(caller, task)
    assert state == "Failed"
    assert told.startswith(line)


def test_a_video_in_one_job_and_in_long_ones(caller: Caller) -> None:
    for segment, overlap in ((0, 5), (20, 5)):
        task = caller.task(segment_size=segment)
        caller.upload(task, {"v.mp4": mp4(64, 48, 30)})
        caller.wait(task)
        assert caller.json("GET", f"/tasks/{task}")["overlap"] == overlap
