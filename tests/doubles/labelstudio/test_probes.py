"""What the double does wrong, the real server does wrong too: the same calls on both, where a real one is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from tests import labelstudio_servers
from tests.labelstudio_servers import Server

CONFIG = """<View><Image name="image" value="$image"/><RectangleLabels name="o" toName="image">
<Label value="car"/></RectangleLabels></View>"""
RESULT = {
    "id": "r",
    "from_name": "o",
    "to_name": "image",
    "type": "rectanglelabels",
    "value": {"x": 1, "rectanglelabels": ["car"]},
}


@pytest.fixture(params=["double", *(["real"] if labelstudio_servers.HAS_REAL else [])])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with getattr(labelstudio_servers, request.param)() as made:
        yield made


@pytest.fixture
def project(server: Server) -> Iterator[int]:
    number = server.call("POST", "/api/projects", json={"title": "Probes", "label_config": CONFIG})["id"]
    yield number
    server.call("DELETE", f"/api/projects/{number}/")


def picture() -> bytes:
    found = BytesIO()
    Image.new("RGB", (8, 8)).save(found, "PNG")
    return found.getvalue()


def imported(server: Server, project: int, *tasks: dict[str, Any]) -> list[int]:
    answer = server.call("POST", f"/api/projects/{project}/import?return_task_ids=true", json=list(tasks))
    assert answer["task_count"] == len(tasks)
    return list(answer["task_ids"])


def listed(server: Server, project: int, **given: Any) -> list[dict[str, Any]]:
    return list(
        server.call("GET", "/api/tasks", params={"project": project, "page": 1, "page_size": 100, **given})["tasks"]
    )


def test_files_of_one_field_name_overwrite_each_other(server: Server, project: int) -> None:
    path = f"/api/projects/{project}/import?commit_to_project=false"
    one = server.call("POST", path, files=[("file", (f"{n}.png", picture())) for n in range(3)])
    assert len(one["file_upload_ids"]) == 1
    many = server.call("POST", path, files=[(f"f{n}", (f"{n}-two words%25 é'.png", picture())) for n in range(3)])
    shown = server.call(
        "GET", f"/api/projects/{project}/file-uploads", params={"ids": json.dumps(many["file_upload_ids"])}
    )
    assert len(shown) == 3
    assert {entry["size"] for entry in shown} == {len(picture())}
    assert all(entry["file"].partition("-")[2].startswith(("0-", "1-", "2-")) for entry in shown)
    assert server.send("GET", f"/data/{shown[0]['file']}").content == picture()


def test_more_than_a_hundred_files_are_an_error_of_the_server(server: Server, project: int) -> None:
    path = f"/api/projects/{project}/import?commit_to_project=false"
    answer = server.send("POST", path, files=[(f"f{n}", (f"{n}.png", picture())) for n in range(101)])
    assert answer.status_code == 500


def test_a_list_that_is_sent_twice_makes_its_tasks_twice(server: Server, project: int) -> None:
    for _ in range(2):
        imported(server, project, {"data": {"image": "x", "mine": "a"}}, {"data": {"image": "x", "mine": "b"}})
    item = {"filter": "filter:tasks:data.mine", "operator": "equal", "type": "String", "value": "b"}
    query = json.dumps({"filters": {"conjunction": "and", "items": [item]}})
    assert [task["data"]["mine"] for task in listed(server, project, query=query)] == ["b", "b"]
    assert len(listed(server, project)) == 4


def test_results_are_not_looked_at_and_what_is_imported_is_ground_truth(server: Server, project: int) -> None:
    given = [{"foo": 1}, {**RESULT, "from_name": "another"}]
    imported(server, project, {"data": {"image": "x"}, "annotations": [{"result": given}]})
    (task,) = listed(server, project, fields="all")
    (annotation,) = task["annotations"]
    assert annotation["result"] == given
    assert (annotation["ground_truth"], annotation["updated_by"], task["updated_by"]) == (True, None, [])


def test_include_takes_the_results_out_of_annotations(server: Server, project: int) -> None:
    imported(server, project, {"data": {"image": "x"}, "annotations": [{"result": [RESULT]}]})
    (task,) = listed(server, project, fields="all", include="id,data,annotations")
    assert [set(one) for one in task["annotations"]] == [{"id"}]


def test_a_page_after_the_last_is_not_found(server: Server, project: int) -> None:
    imported(server, project, {"data": {"image": "x"}})
    answer = server.send("GET", "/api/tasks", params={"project": project, "page": 2, "page_size": 1})
    assert (answer.status_code, answer.json()["detail"]) == (404, "Invalid page.")


def test_errors_have_an_id(server: Server) -> None:
    answer = server.send("POST", "/api/projects", json={"title": "x" * 51, "label_config": CONFIG})
    assert (answer.status_code, len(answer.json()["id"])) == (400, 36)
    assert "no more than 50" in answer.json()["validation_errors"]["title"][0]


def test_a_missing_key_of_the_image_imports_nothing(server: Server, project: int) -> None:
    answer = server.send(
        "POST", f"/api/projects/{project}/import", json=[{"data": {"image": "x"}}, {"data": {"other": "x"}}]
    )
    assert answer.status_code == 400
    assert listed(server, project) == []


def test_every_change_moves_the_time_of_a_task(server: Server, project: int) -> None:
    (number,) = imported(
        server, project, {"data": {"image": "x"}, "annotations": [{"result": [RESULT], "ground_truth": False}]}
    )
    times = [listed(server, project)[0]["updated_at"]]
    (annotation,) = listed(server, project, fields="all")[0]["annotations"]
    server.call("PATCH", f"/api/annotations/{annotation['id']}/", json={"result": []})
    times.append(listed(server, project)[0]["updated_at"])
    second = server.call("POST", f"/api/tasks/{number}/annotations/?project={project}", json={"result": []})
    times.append(listed(server, project)[0]["updated_at"])
    server.call("DELETE", f"/api/annotations/{second['id']}/")
    times.append(listed(server, project)[0]["updated_at"])
    assert times == sorted(set(times))
    assert listed(server, project)[0]["updated_by"][0].keys() == {"user_id"}
    server.call("POST", f"/api/tasks/{number}/drafts?project={project}", json={"result": []})
    assert listed(server, project)[0]["updated_at"] == times[-1]
    assert listed(server, project, fields="all")[0]["draft_exists"] is True


def test_counts_of_skipped_annotations_are_wrong(server: Server, project: int) -> None:
    (number, other) = imported(
        server, project, {"data": {"image": "x"}}, {"data": {"image": "x"}, "annotations": [{"result": [RESULT]}]}
    )
    server.call(
        "POST", f"/api/tasks/{number}/annotations/?project={project}", json={"result": [], "was_cancelled": True}
    )
    (annotation,) = server.call("GET", f"/api/tasks/{other}")["annotations"]
    server.call("PATCH", f"/api/annotations/{annotation['id']}/", json={"result": [], "was_cancelled": True})
    found = [(task["total_annotations"], task["cancelled_annotations"]) for task in listed(server, project)]
    assert found == [(0, 0), (1, 0)]


def test_what_is_deleted_is_gone(server: Server, project: int) -> None:
    ids = imported(server, project, {"data": {"image": "x"}}, {"data": {"image": "y"}})
    path = f"/api/dm/actions?id=delete_tasks&project={project}"
    chosen = {"selectedItems": {"all": False, "included": ids}}
    assert server.call("POST", path, json=chosen)["processed_items"] == 2
    assert server.send("GET", f"/api/tasks/{ids[0]}").status_code == 404
    missing = server.send("GET", "/api/tasks", params={"project": 10**6, "page": 1})
    assert (missing.status_code, missing.json()["detail"]) == (404, "No Project matches the given query.")
    assert server.send("GET", "/api/no-such-path").content.lstrip().startswith(b"<!doctype")
