"""Reviews: finished tasks that are given back, with a comment."""

from __future__ import annotations

from .asking import Asker, entry


def ask(a: Asker) -> None:
    """All questions of this area."""
    project, tasks = a.new_task("Reviews", [entry("car", "rectangle")], 2)
    one, two = (t["taskId"] for t in tasks)
    listed = f"project/{project['id']}/task"

    def fail(name: str, task: str, comment: str | None) -> None:
        a.ask(f"{name}, given back", "PUT", "task/reviewedFailed", {"taskId": task, "reviewComment": comment})

    def complete(task: str) -> None:
        changed = a.do("GET", f"task/{task}")["lastChangedConfig"]
        a.do("PUT", f"task/{task}/completeTask", {"lastChangedConfig": changed})

    fail("task in the backlog", one, "x")
    a.do("PUT", "task/moveAll", {"projectId": project["id"], "datasetId": "ALL", "direction": "WAITING"})
    fail("waiting task", one, "x")
    complete(one)
    fail("completed task", one, "not “so” → 🚗")
    a.ask("tasks, one of them given back", "GET", listed)
    fail("task that was given back", one, "y")
    complete(one)
    a.ask("task that was given back and completed, read", "GET", f"task/{one}")
    fail("task with a comment that is too long", one, "x" * 129)
    fail("task with the longest comment", one, "x" * 128)
    complete(one)
    a.ask("completed task, to waiting", "PUT", f"task/{one}/toWaiting")
    a.ask("completed task, accepted", "PUT", "task/reviewedSuccess", {"taskId": one})
    fail("accepted task", one, "x")
    a.ask("accepted task, to waiting for changes", "PUT", f"task/{one}/skipToWC")
    a.do("PUT", f"task/{two}/skipTask")
    fail("skipped task", two, None)
    a.ask("task that waits for changes, to the backlog", "PUT", f"task/{two}/toBacklog")
    a.ask("task in the backlog, to waiting for changes", "PUT", f"task/{two}/skipToWC")
    fail("task that is not there", "nowhere", "x")
    a.ask("no task, given back", "PUT", "task/reviewedFailed", {"reviewComment": "x"})
    a.ask("task given back with an unknown property", "PUT", "task/reviewedFailed", {"taskId": two, "colour": "red"})
    a.ask("tasks after all reviews", "GET", listed)
