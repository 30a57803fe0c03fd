"""Lists: exact filters, search, JSON logic, order, pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .errors import ApiError, invalid
from .messages import Answer, Json, answer

if TYPE_CHECKING:
    from .router import Call

DEFAULT_PAGE_SIZE = 10


def not_found(call: Call, kind: str) -> ApiError:
    """The message differs between releases, the status does not."""
    text = f"No {kind} matches the given query." if call.since(2, 16) else "Not found."
    return ApiError(404, {"detail": text})


def page(
    call: Call,
    rows: list[Json],
    *,
    filters: tuple[str, ...] = (),
    search: tuple[str, ...] = ("name",),
    order: str = "-id",
    value_of: Callable[[Json, str], Json] = lambda row, name: row.get(name),
) -> Answer:
    """The asked page of the rows that pass. Names that are not filters of this list are ignored, without a word."""
    query = call.request.query
    rows = [row for row in rows if passes(row, query, filters, search, value_of)]
    if "filter" in query:
        logic = parse_logic(call, query["filter"])
        rows = [row for row in rows if truth(logic, row, value_of)]
    rows = ordered(rows, query.get("sort", order), value_of)
    if query.get("page_size") == "all":
        return answer({"count": len(rows), "next": None, "previous": None, "results": rows})
    return one_page(call, rows)


def one_page(call: Call, rows: list[Json]) -> Answer:
    query = call.request.query
    size = positive(query.get("page_size"), DEFAULT_PAGE_SIZE)
    number = positive(query.get("page", "1"), 0)
    if number < 1 or (number > 1 and (number - 1) * size >= len(rows)):
        raise ApiError(404, {"detail": "Invalid page."})

    def link(to: int) -> str | None:
        inside = to >= 1 and (to - 1) * size < len(rows)
        return f"{call.request.url(call.request.path)}?{urlencode({**query, 'page': to})}" if inside else None

    results = rows[(number - 1) * size : number * size]
    return answer({"count": len(rows), "next": link(number + 1), "previous": link(number - 1), "results": results})


def positive(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() and int(text) > 0 else otherwise


def passes(
    row: Json,
    query: dict[str, str],
    filters: tuple[str, ...],
    search: tuple[str, ...],
    value_of: Callable[[Json, str], Json],
) -> bool:
    for name in filters:
        if query.get(name) and as_text(value_of(row, name)) != query[name]:
            return False
    wanted = query.get("search", "").lower()
    return not wanted or any(wanted in as_text(value_of(row, name)).lower() for name in search)


def as_text(value: Json) -> str:
    if isinstance(value, dict):
        return str(value.get("username", ""))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, list) else str(value)


def ordered(rows: list[Json], sort: str, value_of: Callable[[Json, str], Json]) -> list[Json]:
    """Newest first, unless a known field is named; of several fields the first counts most."""
    for name in reversed(sort.split(",")):
        rows = ordered_by(name, rows, value_of)
    return rows


def ordered_by(name: str, rows: list[Json], value_of: Callable[[Json, str], Json]) -> list[Json]:
    key = name.removeprefix("-")
    if any(value_of(row, key) is None for row in rows):
        key, name = "id", "-id"
    return sorted(rows, key=lambda row: _sortable(value_of(row, key)), reverse=name.startswith("-"))


def _sortable(value: Json) -> tuple[bool, float, str]:
    if isinstance(value, int | float):
        return True, value, ""
    return False, 0.0, as_text(value)


def parse_logic(call: Call, text: str) -> Json:
    try:
        logic = json.loads(text)
        if not isinstance(logic, dict):
            raise ValueError(text)
        return logic
    except ValueError as error:
        hint = f"can't parse filter expression: {error}" if call.since(2, 16) else "Json syntax should be used"
        raise invalid(f"filter: {hint}") from None


def truth(logic: Json, row: Json, value_of: Callable[[Json, str], Json]) -> bool:
    """JSON logic, as far as clients use it."""
    (operator, operands), *_ = logic.items()
    if operator == "and":
        return all(truth(part, row, value_of) for part in operands)
    if operator == "or":
        return any(truth(part, row, value_of) for part in operands)
    if operator == "!":
        return not truth(operands[0] if isinstance(operands, list) else operands, row, value_of)
    value = value_of(row, operands[0]["var"])
    if operator == "==":
        return as_text(value) == as_text(operands[1])
    if operator == "in":
        return as_text(value) in [as_text(choice) for choice in operands[1]]
    raise invalid(f"filter: {operator} operation is not supported")
