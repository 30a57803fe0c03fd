"""Resumable uploads, the work that follows an upload, the list of frames, and the frames."""

from __future__ import annotations

import base64
import io
import zipfile
from urllib.parse import quote

import requests
from PIL import Image
from tests.doubles.cvat.caller import Caller, files, image, outcome

# Resumable uploads


class Tus:
    def __init__(self, caller: Caller, task: int, name: str, length: int, path: str = "data/") -> None:
        self.caller = caller
        coded = base64.b64encode(name.encode()).decode()
        headers = {"Upload-Length": str(length), "Upload-Metadata": f"filename {coded}", "Origin": caller.server.url}
        self.created = caller.call("POST", f"/tasks/{task}/{path}", headers={"Tus-Resumable": "1.0.0", **headers})
        self.location = self.created.headers.get("Location", "")

    def patch(self, offset: int, content: bytes, kind: str = "application/offset+octet-stream") -> requests.Response:
        headers = {**self.caller.headers, "Upload-Offset": str(offset), "Content-Type": kind}
        return requests.patch(self.location, content, headers=headers, timeout=9)

    def head(self) -> requests.Response:
        return requests.head(self.location, headers=self.caller.headers, timeout=9)


def test_a_resumable_upload(caller: Caller) -> None:
    task, content = caller.task(), image()
    tus = Tus(caller, task, "a.jpg", len(content))
    assert (tus.created.status_code, tus.created.headers["Upload-Filename"]) == (201, "a.jpg")
    assert tus.location.startswith(f"{caller.server.url}/api/tasks/{task}/data/")
    first = tus.patch(0, content[:100])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "100")
    assert tus.patch(50, content[50:]).status_code == 409
    assert tus.patch(100, content[100:], "application/json").status_code == 415
    assert (tus.head().headers["Upload-Offset"], tus.head().headers["Upload-Length"]) == ("100", str(len(content)))
    assert tus.patch(100, content[100:]).status_code == 204
    assert tus.head().status_code == 404
    assert caller.session(task, files("b.jpg")).status_code == 202
    caller.wait(task)
    assert caller.names(task) == ["a.jpg", "b.jpg"]
    sent = caller.call("GET", f"/tasks/{task}/data?type=frame&number=0&quality=original").content
    assert sent == content


def test_refused_resumable_uploads(caller: Caller) -> None:
    task, content = caller.task(), image()
    Tus(caller, task, "a.jpg", len(content)).patch(0, content)
    assert Tus(caller, task, "a.jpg", 10).created.status_code == 409
    assert Tus(caller, task, "../a.jpg", 10).created.status_code == 400
    assert Tus(caller, task, "b.jpg", 30 << 30).created.status_code == 413
    options = caller.status("OPTIONS", f"/tasks/{task}/data/")
    assert options == (204 if caller.is_new else 500)
    coded = base64.b64encode(b"c.jpg").decode()
    bare = {"Upload-Length": "10", "Upload-Metadata": f"filename {coded}"}
    assert caller.status("POST", f"/tasks/{task}/data/", headers=bare) == (201 if caller.is_new else 500)


def test_a_directory_in_the_name_spoils_the_task(caller: Caller) -> None:
    task, content = caller.task(), image()
    assert Tus(caller, task, "sub/a.jpg", len(content)).patch(0, content).status_code == 500
    assert caller.session(task, files("b.jpg")).status_code == 500


def test_an_incomplete_file_fails_the_creation(caller: Caller) -> None:
    task, content = caller.task(), image()
    Tus(caller, task, "half.jpg", len(content)).patch(0, content[:50])
    caller.session(task, files("b.jpg"))
    kind = "utils.dataset_manifest.errors.InvalidImageError" if caller.is_new else "ValueError"
    assert outcome(caller, task) == ("Failed", f"{kind}: failed to parse image file 'half.jpg'")


def test_old_servers_need_the_slash(old: Caller) -> None:
    tus = Tus(old, old.task(), "a.jpg", 10, "data")
    assert tus.created.status_code == 201
    assert tus.patch(0, b"x" * 10).status_code == 404


# The work that follows


def test_more_data_after_success_and_after_failure(caller: Caller) -> None:
    task, broken = caller.full_task(1), caller.task()
    assert caller.upload(task, files("z.jpg")).status_code == 400
    caller.upload(broken, {"a.jpg": b"x"})
    caller.wait(broken)
    again = caller.upload(broken, files("b.jpg"))
    assert again.status_code == (202 if caller.is_new else 500)
    if caller.is_new:
        assert outcome(caller, broken)[0] == "Failed", "the bad file is still there"


def test_while_work_is_queued(new: Caller) -> None:
    new.server.creation_delay = 100
    task = new.task()
    number = new.upload(task, files("a.jpg")).json()["rq_id"]
    assert new.upload(task, files("b.jpg")).status_code == 409
    assert new.read(f"tasks/{task}") == {"version": 0, "tags": [], "shapes": [], "tracks": [], "intervals": []}
    lost = new.written(f"tasks/{task}", "put", shapes=[new.box(task)])
    assert lost["shapes"] == [], "a write before the jobs are there stores nothing"
    assert new.json("GET", f"/requests/{quote(number, safe='')}")["status"] == "queued"
    assert new.status("POST", f"/requests/{quote(number, safe='')}/cancel") == 200
    assert new.status("GET", f"/requests/{quote(number, safe='')}") == 404
    assert new.json("GET", f"/tasks/{task}/status")["state"] == "Finished"
    assert new.upload(task, files("b.jpg")).status_code == 500


def test_the_requests_api(new: Caller) -> None:
    task = new.full_task(1)
    number = f"action=create&target=task&target_id={task}"
    path = f"/requests/{quote(number, safe='')}"
    told = new.json("GET", path)
    assert (told["id"], told["status"], told["message"]) == (number, "finished", "")
    assert (told["operation"]["type"], told["operation"]["task_id"]) == ("create:task", task)
    assert [row["id"] for row in new.rows(f"/requests?task_id={task}&action=create")] == [number]
    assert new.status("POST", f"{path}/cancel") == 400
    new.server.add_user("alice", "word")
    assert Caller(new.server, f"Token {new.server.key_of('alice')}").status("GET", path) == 403
    new.server.advance(501)
    gone = new.call("GET", path)
    assert (gone.status_code, gone.text) == (404, "There is no request with specified id")
    assert gone.headers["Content-Type"].startswith("text/html")
    assert new.json("GET", f"/tasks/{task}/status")["state"] == "Finished"
    assert new.call("GET", f"/tasks/{task}/status").headers["Deprecation"] == "true"
    new.call("DELETE", f"/tasks/{task}")
    assert new.call("GET", path).json() == ["Task matching query does not exist."]
    assert new.status("GET", "/requests/nonsense") == 404


def test_a_failure_in_the_requests_api_is_one_line(new: Caller) -> None:
    task = new.task()
    number = new.upload(task, {"a.txt": b""}).json()["rq_id"]
    new.wait(task)
    told = new.json("GET", f"/requests/{quote(number, safe='')}")
    assert (told["status"], told["message"]) == ("failed", "ValueError: No media data found\n")
    assert new.json("GET", f"/tasks/{task}/status")["message"].startswith("Traceback (most recent call last):")


# Frames


def test_deleted_frames(caller: Caller) -> None:
    task = caller.full_task(4, segment_size=2)
    path, second = f"/tasks/{task}/data/meta", caller.jobs(task)[1]["id"]
    assert caller.json("PATCH", path, {"deleted_frames": [3, 1]})["deleted_frames"] == [1, 3]
    assert caller.json("GET", f"/jobs/{second}/data/meta")["deleted_frames"] == [3]
    caller.json("PATCH", f"/jobs/{second}/data/meta", {"deleted_frames": [2]})
    assert caller.json("GET", path)["deleted_frames"] == [1, 2]
    assert caller.status("PATCH", path, {"deleted_frames": [99]}) == (400 if caller.is_new else 200)


def test_the_meta_of_a_job(caller: Caller) -> None:
    task = caller.full_task(5, segment_size=3)
    meta = caller.json("GET", f"/jobs/{caller.jobs(task)[1]['id']}/data/meta")
    assert (meta["size"], meta["start_frame"], meta["stop_frame"]) == (2, 3, 4)
    assert [frame["name"] for frame in meta["frames"]] == ["3.jpg", "4.jpg"]


def test_the_meta_of_a_ground_truth_job(caller: Caller) -> None:
    task = caller.full_task(3)
    body = {"task_id": task, "type": "ground_truth", "frame_selection_method": "manual", "frames": [1]}
    job = caller.json("POST", "/jobs", body)
    assert (job["type"], job["frame_count"], job["start_frame"], job["stop_frame"]) == ("ground_truth", 1, 0, 2)
    meta = caller.json("GET", f"/jobs/{job['id']}/data/meta")
    assert [f["name"] for f in meta["frames"]] == ["placeholder.jpg", "1.jpg", "placeholder.jpg"]
    assert (meta["size"], meta["included_frames"]) == (1, [1])
    assert caller.status("POST", "/jobs", body) == 400


def test_single_frames(caller: Caller) -> None:
    task, first, second = caller.task(), image((20, 10), "PNG"), image((30, 20))
    caller.upload(task, {"a.png": first, "b.jpg": second})
    caller.wait(task)
    path = f"/tasks/{task}/data?type=frame"
    assert caller.call("GET", f"{path}&number=0&quality=original").content == first
    compressed = caller.call("GET", f"{path}&number=0")
    assert compressed.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(compressed.content)).size == (20, 10)
    beyond = caller.call("GET", f"{path}&number=2")
    assert (beyond.status_code, beyond.json()) == (400, "The frame number should be in the [0, 1] range")
    assert caller.status("GET", f"/tasks/{task}/data?number=0") == 400
    assert caller.status("GET", f"/tasks/{task}/preview") == 200
    empty = caller.call("GET", f"/tasks/{caller.task()}/preview")
    assert (empty.status_code, empty.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


def names_in(found: requests.Response) -> list[str]:
    assert found.status_code == 200, found.text
    with zipfile.ZipFile(io.BytesIO(found.content)) as archive:
        return archive.namelist()


def test_chunks(caller: Caller) -> None:
    task = caller.full_task(5, segment_size=3, options={"chunk_size": "2"})
    path = f"/tasks/{task}/data?type=chunk&quality=original"
    assert [len(names_in(caller.call("GET", f"{path}&number={n}"))) for n in range(3)] == [2, 2, 1]
    assert caller.status("GET", f"{path}&number=3") == 400


def test_chunks_of_a_job_hold_its_own_frames(new: Caller) -> None:
    task = new.full_task(5, segment_size=3, options={"chunk_size": "2"})
    path = f"/jobs/{new.jobs(task)[0]['id']}/data?type=chunk&quality=original"
    found = new.call("GET", f"{path}&index=1")
    assert names_in(found) == ["000000.jpeg"]
    assert {"X-Checksum", "X-Updated-Date"} <= set(found.headers)
    assert new.status("GET", f"{path}&index=0&number=0") == 400
    assert new.status("GET", f"{path}&index=2") == 400
