"""Lists that are read page by page, in each style: every item once, in order, or an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import examples

from annobridge.backend.http import Http
from annobridge.backend.paging import Cursors, NextLinks, Offsets, PageNumbers
from annobridge.exceptions import Broken, Gone, Rejected

URL = "https://tool.example"
Page = tuple[int, Any]


def serve(web: Any, page: Callable[[dict[str, str]], Page]) -> None:
    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        status, body = page(request.params)
        return status, {}, json.dumps(body)

    web.add_callback("GET", f"{URL}/rows", answer)


def rows(size: int) -> list[dict[str, int]]:
    return [{"id": number} for number in range(size)]


def by_offset(found: list[Any], most: int) -> Callable[[dict[str, str]], Page]:
    def page(params: dict[str, str]) -> Page:
        at = int(params["offset"])
        return 200, {"items": found[at : at + min(most, int(params["limit"]))], "total": len(found)}

    return page


def by_number(found: list[Any], most: int, *, counted: bool, ends: int = 200) -> Callable[[dict[str, str]], Page]:
    def page(params: dict[str, str]) -> Page:
        size = min(most, int(params["page_size"]))
        part = found[(int(params["page"]) - 1) * size :][:size]
        if not part and params["page"] != "1":
            return ends, {"detail": "Invalid page."} if ends != 200 else {"results": []}
        return 200, {"results": part} | ({"count": len(found)} if counted else {})

    return page


def by_link(found: list[Any], most: int) -> Callable[[dict[str, str]], Page]:
    def page(params: dict[str, str]) -> Page:
        at = int(params.get("at", 0))
        more = f"{URL}/rows?at={at + most}" if at + most < len(found) else None
        return 200, {"results": found[at : at + most], "next": more}

    return page


def by_cursor(found: list[Any], most: int) -> Callable[[dict[str, str]], Page]:
    def page(params: dict[str, str]) -> Page:
        at = int(params.get("after", "c0")[1:])
        body = {"results": found[at : at + most]}
        return 200, body | ({"end": f"c{at + most}"} if at + most < len(found) else {})

    return page


STYLES: dict[str, tuple[Any, str, Callable[[list[Any], int], Any]]] = {
    "offsets": (Offsets(), "items", by_offset),
    "numbers": (PageNumbers(), "results", lambda f, m: by_number(f, m, counted=True)),
    "numbers without a count": (PageNumbers(), "results", lambda f, m: by_number(f, m, counted=False)),
    "numbers that end in 404": (PageNumbers(), "results", lambda f, m: by_number(f, m, counted=False, ends=404)),
    "links": (NextLinks(), "results", by_link),
    "cursors": (Cursors("after", "end"), "results", by_cursor),
}


@pytest.mark.parametrize("style", STYLES)
@examples(25)
@given(size=st.integers(0, 23), most=st.integers(1, 9))
def test_every_item_comes_once_and_in_order(http: Http, style: str, size: int, most: int) -> None:
    by, items, server = STYLES[style]
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        serve(web, server(rows(size), most))
        assert list(http.pages("/rows", size=most, items=items, by=by, expect={"id": int})) == rows(size)


def test_other_parameters_go_with_each_page(http, web) -> None:
    serve(web, by_number(rows(5), 2, counted=True))
    list(http.pages("/rows", {"project": 7}, size=2, items="results", by=PageNumbers()))
    assert [call.request.params for call in web.calls] == [
        {"project": "7", "page": str(number), "page_size": "2"} for number in (1, 2, 3)
    ]


def test_an_answer_may_be_the_list_itself(http, web) -> None:
    serve(web, lambda params: (200, rows(5)[int(params["page"]) * 2 :][:2]))
    found = http.pages("/rows", size=2, items=None, by=PageNumbers(size="per_page", first=0))
    assert list(found) == rows(5)


@pytest.mark.parametrize(
    ("by", "page"),
    [
        (Offsets(), {"results": rows(2), "total": 9}),
        (PageNumbers(), {"results": rows(2)}),
        (PageNumbers(), {"results": rows(2), "count": 9}),
        (NextLinks(), {"results": rows(2), "next": "/rows?at=1"}),
        (Cursors(), {"results": rows(2), "next": "c"}),
    ],
)
def test_a_server_that_gives_one_page_for_ever_is_broken(http, web, by: Any, page: Any) -> None:
    serve(web, lambda _: (200, page))
    with pytest.raises(Broken, match=r"GET /rows gives the same page twice; try again\."):
        list(http.pages("/rows", size=2, items="results", by=by))
    assert len(web.calls) == 2


@pytest.mark.parametrize("by", [NextLinks(), Cursors()])
def test_a_circle_of_pages_is_broken(http, web, by: Any) -> None:
    turns = iter(range(99))
    serve(web, lambda _: (200, {"results": [next(turns)], "next": "/rows?x=1"}))
    with pytest.raises(Broken, match="GET /rows comes back to a page that was read already; try again"):
        list(http.pages("/rows", items="results", by=by))


@pytest.mark.parametrize("by", [Offsets(total="count"), PageNumbers()])
def test_a_list_that_stops_too_early_is_broken(http, web, by: Any) -> None:
    first = iter([rows(2)])
    serve(web, lambda _: (200, {"results": next(first, []), "count": 5}))
    with pytest.raises(Broken, match="GET /rows stopped at 2 of 5 items; try again"):
        list(http.pages("/rows", size=2, items="results", by=by))


def test_a_list_that_is_not_there_is_gone(http, web) -> None:
    serve(web, lambda _: (404, {"detail": "Not found."}))
    with pytest.raises(Gone):
        list(http.pages("/rows", items="results", by=PageNumbers()))


def test_a_link_to_another_server_is_not_followed(http, web) -> None:
    serve(web, lambda _: (200, {"results": rows(1), "next": "https://elsewhere.example/rows"}))
    with pytest.raises(Rejected, match="is on another server, and was not fetched"):
        list(http.pages("/rows", items="results", by=NextLinks()))


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ([], "it is a list without anything in it, and should be an object"),
        ({"count": 3}, "'results' is missing"),
        ({"results": None}, "'results' is null, and should be a list"),
        ({"results": [{"id": "7"}]}, r"'results\[0\].id' is '7', and should be an integer"),
    ],
)
def test_a_page_of_another_form_is_broken(http, web, page: Any, words: str) -> None:
    serve(web, lambda _: (200, page))
    with pytest.raises(Broken, match=f"GET /rows answers 200 with JSON of another form: {words}"):
        list(http.pages("/rows", items="results", by=PageNumbers(), expect={"id": int}))
