"""Projects and datasets: names, owners, connections, and what is gone."""

from __future__ import annotations

from typing import Any

from .asking import Asker


def ask(a: Asker) -> None:
    """All questions of this area."""
    _projects(a)
    _datasets(a)
    _connections(a)
    a.ask("path that is not there", "GET", "project/nowhere/nothing")
    a.ask("method that is not there", "PUT", "project")
    a.ask("v1 without a token", "GET", "v1/project")


def _projects(a: Asker) -> None:
    good: dict[str, Any] = {"owner": a.owner, "name": f"Probe {a.mark}", "shortDescription": "x", "description": None,
                            "mediaType": "IMAGE"}  # fmt: skip
    made = a.ask("project", "POST", "project", good)
    a.ask("project of a name that is taken", "POST", "project", good)
    a.ask("project of a name in other case", "POST", "project", good | {"name": f"PROBE {a.mark}"})
    for what, changes in {
        "with a hyphen": {"name": f"a-b {a.mark}"},
        "with a point": {"name": f"a.b {a.mark}"},
        "with an accent": {"name": f"é {a.mark}"},
        "without a name": {"name": None},
        "with an empty name": {"name": ""},
        "of 128 characters": {"name": f"{'n' * 119} {a.mark}"},
        "of 129 characters": {"name": f"{'n' * 120} {a.mark}"},
        "named geometry": {"name": "geometry"},
        "named GEOMETRY and more": {"name": f"GEOMETRY {a.mark}"},
        "named Dummy_Project": {"name": "Dummy_Project"},
        "without a short description": {"name": f"P0 {a.mark}", "shortDescription": None},
        "with an empty short description": {"name": f"P1 {a.mark}", "shortDescription": ""},
        "with accents in the short description": {
            "name": f"P2 {a.mark}",
            "shortDescription": "àâçéèêëîïôûùüÿñæœ äöüßÄÖÜ,.-_",
        },
        "with capital accents in the short description": {"name": f"P3 {a.mark}", "shortDescription": "É"},
        "with a colon in the short description": {"name": f"P4 {a.mark}", "shortDescription": "a:b"},
        "with a long short description": {"name": f"P5 {a.mark}", "shortDescription": "s" * 129},
        "with a description of 1024": {"name": f"P6 {a.mark}", "description": "s" * 1024},
        "with a description of 1025": {"name": f"P7 {a.mark}", "description": "s" * 1025},
        "without an owner": {"name": f"P8 {a.mark}", "owner": None},
        "of another owner": {"name": f"P9 {a.mark}", "owner": "somebody"},
        "of another medium": {"name": f"P10 {a.mark}", "mediaType": "SOUND"},
        "with an unknown property": {"name": f"P11 {a.mark}", "colour": "red"},
    }.items():
        a.ask(f"project {what}", "POST", "project", good | changes)
    a.ask(
        "project without a medium",
        "POST",
        "project",
        {n: good[n] for n in good if n != "mediaType"} | {"name": f"P12 {a.mark}"},
    )
    a.ask("project that is no JSON", "POST", "project", b"{")
    a.ask("project that is a list", "POST", "project", [])
    a.ask("project, read", "GET", f"project/{made['id']}")
    a.ask("project that is not there, read", "GET", "project/nowhere")
    a.ask("project, deleted", "DELETE", f"project/{made['id']}")
    a.ask("project that was deleted, read", "GET", f"project/{made['id']}")
    a.ask("project that was deleted, deleted", "DELETE", f"project/{made['id']}")
    a.ask("project that is not there, deleted", "DELETE", "project/nowhere")
    a.ask("project of a name that was deleted", "POST", "project", good)


def _datasets(a: Asker) -> None:
    good: dict[str, Any] = {"owner": a.owner, "name": f"Probe {a.mark}", "shortDescription": None, "mediaType": "IMAGE"}
    made = a.ask("dataset", "POST", "dataset", good)
    a.ask("dataset of a name that is taken", "POST", "dataset", good)
    a.ask("dataset of a name in other case", "POST", "dataset", good | {"name": f"PROBE {a.mark}"})
    for what, changes in {
        "with a hyphen": {"name": f"a-b {a.mark}"},
        "with an empty name": {"name": ""},
        "of 129 characters": {"name": f"{'n' * 120} {a.mark}"},
        "named label": {"name": "label"},
        "without an owner": {"name": f"D0 {a.mark}", "owner": None},
        "of another owner": {"name": f"D1 {a.mark}", "owner": "somebody"},
        "with an unknown property": {"name": f"D2 {a.mark}", "colour": "red"},
    }.items():
        a.ask(f"dataset {what}", "POST", "dataset", good | changes)
    a.ask("dataset, read", "GET", f"dataset/{made['id']}")
    a.ask("dataset that is not there, read", "GET", "dataset/nowhere")
    a.ask("dataset, deleted", "DELETE", f"dataset/{made['id']}")
    a.ask("dataset that was deleted, read", "GET", f"dataset/{made['id']}")
    a.ask("dataset that was deleted, deleted", "DELETE", f"dataset/{made['id']}")


def _connections(a: Asker) -> None:
    project, dataset = a.new_project("Connect"), a.new_dataset("Connect")
    a.upload(dataset, "a.png")
    path = f"project/{project['id']}/dataset"
    a.ask("dataset, connected", "POST", f"{path}/{dataset}")
    a.ask("dataset, connected again", "POST", f"{path}/{dataset}")
    a.ask("project with a dataset, read", "GET", f"project/{project['id']}")
    a.ask("tasks of a project", "GET", f"project/{project['id']}/task")
    a.ask("dataset that is not there, connected", "POST", f"{path}/nowhere")
    a.ask("dataset, connected to no project", "POST", f"project/nowhere/dataset/{dataset}")
    video = a.do("POST", "dataset", {"owner": a.owner, "name": f"Video {a.mark}", "mediaType": "VIDEO"})["id"]
    a.ask("dataset of videos, connected", "POST", f"{path}/{video}")
    a.ask("image in a dataset of videos", "POST", f"dataset/{video}/file", b"x", headers={"X-filename": "YS5wbmc="})
    a.ask("dataset, disconnected", "DELETE", f"{path}/{dataset}/remove")
    a.ask("dataset, disconnected again", "DELETE", f"{path}/{dataset}/remove")
    a.ask("tasks without a dataset", "GET", f"project/{project['id']}/task")
    a.ask("tasks of no project", "GET", "project/nowhere/task")
    a.do("POST", f"{path}/{dataset}")
    a.ask("dataset that is connected, deleted", "DELETE", f"dataset/{dataset}")
    a.ask("project of which the dataset was deleted, read", "GET", f"project/{project['id']}")
    a.ask("tasks of which the dataset was deleted", "GET", f"project/{project['id']}/task")
