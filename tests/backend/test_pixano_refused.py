"""What Pixano finds wrong with the lines that it is sent, and whose samples they are."""

from __future__ import annotations

from typing import Any

import pytest

import annobridge as ab
from annobridge_pixano.api import Api


class Answering:
    """A server that answers every call with one body."""

    url = "http://pixano.example"

    def __init__(self, body: Any) -> None:
        self.body = body

    def send(self, *_: Any, **__: Any) -> Any:
        return self.body


def finding(*lines: int | None, severity: str = "error") -> dict[str, Any]:
    places = [{"file": "train/metadata.jsonl", "line": line, "json_pointer": "/views"} for line in lines]
    return {
        "code": "media_missing",
        "severity": severity,
        "count": len(lines),
        "samples": places,
        "suggestion": "Look.",
    }


def analyzed(*findings: dict[str, Any]) -> str:
    body = {"plan_id": "p", "report": {"findings": {str(n): f for n, f in enumerate(findings)}}}
    return Api(Answering(body)).analyze("there", ["a", "b", "c"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("findings", "samples"),
    [
        ([finding(3)], ("b",)),
        ([finding(4, 2), finding(2)], ("a", "c")),
        ([finding(3), finding(None)], ()),
        ([finding(1)], ()),
        ([finding(5)], ()),
        ([finding()], ()),
        ([finding(3), finding(None, severity="warning")], ("b",)),
    ],
    ids=["one", "several", "one nowhere", "the header", "beyond", "no example", "a warning"],
)
def test_the_samples_in_whose_lines_something_is_wrong(
    findings: list[dict[str, Any]], samples: tuple[str, ...]
) -> None:
    with pytest.raises(ab.Rejected, match="the server refuses what was sent:\n  - media_missing") as refused:
        analyzed(*findings)
    assert refused.value.samples == samples


def test_warnings_refuse_nothing() -> None:
    assert analyzed(finding(3, severity="warning")) == "p"
