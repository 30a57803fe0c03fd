"""Styles of pagination, for ``Http.pages(by=…)``.

    http.pages("/labels")                                              limit=500&offset=0, {"items": […], "total": n}
    http.pages("/tasks", by=PageNumbers(), size=100, items="results")  page=1&page_size=100, {"results": […], "count": n}
    http.pages("/tasks", by=NextLinks(), items="results")              {"results": […], "next": "https://…"}
    http.pages("/tasks", by=Cursors("after", "end"), items="tasks")    after=x, {"tasks": […], "end": "x"}

With ``items=None``, the answer is the list itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..exceptions import Broken, Gone

Params = Mapping[str, Any]
_Page = tuple[list[Any], Mapping[str, Any]]  # the items, and the object that contains them


@dataclass
class Reader:
    """Reads pages of ``size`` items with ``get(path, params)``. ``at`` names the list in messages."""

    get: Callable[[str, Params | None], Any]
    path: str
    params: Params
    size: int
    items: str | None
    at: str
    _before: list[Any] = field(default_factory=list)
    _marks: set[Any] = field(default_factory=set)

    def page(self, params: Params, path: str | None = None) -> _Page:
        """The items of a page, and the object that contains them. Raises ``Broken`` for the same page as before."""
        answer = self.get(self.path, {**self.params, **params}) if path is None else self.get(path, None)
        found = answer if self.items is None else answer[self.items]
        if found and found == self._before:
            raise self.broken("gives the same page twice")
        self._before = found
        return found, {} if self.items is None else answer

    def follow(self, next_: str, first: Params, following: Callable[[Any], _Page]) -> Iterator[list[Any]]:
        """The items of each page, if the member ``next_`` of a page identifies the next one."""
        found, answer = self.page(first)
        yield found
        while mark := answer.get(next_):
            found, answer = following(self._new(mark))
            yield found

    def _new(self, mark: Any) -> Any:
        """The identifier of the next page. Raises ``Broken`` if it has occurred before, which would be a loop."""
        if mark in self._marks:
            raise self.broken("comes back to a page that was read already")
        self._marks.add(mark)
        return mark

    def broken(self, why: str) -> Broken:
        """The error for a list that cannot be read completely."""
        return Broken(f"{self.at} {why}; try again.")


class Paging(Protocol):
    """A style of pagination."""

    def pages(self, reader: Reader) -> Iterator[list[Any]]:
        """The items of each page, to the last."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """By the number of items to skip; ends after ``total`` items or, if the server does not give it, with a short page."""

    limit: str = "limit"
    offset: str = "offset"
    total: str = "total"

    def pages(self, reader: Reader) -> Iterator[list[Any]]:
        """The items of each page, to the last."""
        at, total = 0, 1
        while at < total:
            found, answer = reader.page({self.limit: reader.size, self.offset: at})
            stated = _count(answer.get(self.total))
            at += len(found)
            total = at + (len(found) == reader.size) if stated is None else stated
            if not found and at < total:
                raise reader.broken(f"stopped at {at} of {total} items")
            yield found


@dataclass(frozen=True, slots=True)
class PageNumbers:
    """By the number of the page; ends after ``total`` items or, if the server does not give it, with an empty page or a 404."""

    page: str = "page"
    size: str = "page_size"
    total: str = "count"
    first: int = 1

    def pages(self, reader: Reader) -> Iterator[list[Any]]:
        """The items of each page, to the last."""
        number, at, total = self.first, 0, None
        while total is None or at < total:
            try:
                found, answer = reader.page({self.page: number, self.size: reader.size})
            except Gone:
                if number == self.first:
                    raise
                found, answer = [], {}
            total = _count(answer.get(self.total, total))
            at += len(found)
            if not found:
                if total is not None and at < total:
                    raise reader.broken(f"stopped at {at} of {total} items")
                return
            yield found
            number += 1


@dataclass(frozen=True, slots=True)
class NextLinks:
    """By the URL of the next page, a member of each page but the last. It must be of the same server."""

    next: str = "next"
    size: str = "page_size"

    def pages(self, reader: Reader) -> Iterator[list[Any]]:
        """The items of each page, to the last."""
        return reader.follow(self.next, {self.size: reader.size}, lambda link: reader.page({}, link))


@dataclass(frozen=True, slots=True)
class Cursors:
    """By a cursor: a member of each page but the last, and a parameter of the call for the next page."""

    cursor: str = "cursor"
    next: str = "next"
    size: str = "limit"

    def pages(self, reader: Reader) -> Iterator[list[Any]]:
        """The items of each page, to the last."""
        first = {self.size: reader.size}
        return reader.follow(self.next, first, lambda mark: reader.page({**first, self.cursor: mark}))


def _count(stated: Any) -> int | None:
    return stated if isinstance(stated, int) and not isinstance(stated, bool) else None
