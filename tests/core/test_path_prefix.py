"""Prefixes of paths are of whole components, whatever system wrote them."""

from __future__ import annotations

from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.path_prefix import begins_with, is_windows, replace_prefix

PART = st.text(st.characters(codec="utf-8", exclude_characters="/\\\0:"), min_size=1, max_size=6)
PARTS = st.lists(PART, min_size=1, max_size=4)
PLAIN = st.lists(st.text("aZ09_.~-", min_size=1), min_size=1, max_size=4)  # what no URI escapes
POSIX = PARTS.map(lambda parts: "/" + "/".join(parts))
URI = st.tuples(st.sampled_from(["s3", "gs", "https", "file"]), PARTS).map(lambda p: f"{p[0]}://{'/'.join(p[1])}")
WINDOWS = st.tuples(st.sampled_from("CDz"), PARTS).map(lambda p: f"{p[0]}:\\" + "\\".join(p[1]))
ANY = st.one_of(POSIX, URI, WINDOWS)


def separator(prefix: str) -> str:
    return "\\" if is_windows(prefix) else "/"


def below(prefix: str, parts: list[str]) -> str:
    return separator(prefix).join([prefix, *parts])


def replaced(path: str | None, old: str, new: str) -> str | None:
    found: list[str | None] = replace_prefix(pa.array([path], pa.string()), old, new).to_pylist()
    return found[0]


@given(ANY, ANY, PLAIN)
def test_a_prefix_is_replaced_and_comes_back(old: str, new: str, parts: list[str]) -> None:
    assert replaced(below(old, parts), old, new) == below(new, parts)
    assert replaced(below(new, parts), new, old) == below(old, parts)


@given(POSIX, PARTS)
def test_names_are_escaped_in_uris_and_come_back(old: str, parts: list[str]) -> None:
    uri = replaced(below(old, parts), old, "https://host/x")
    assert uri == "https://host/x/" + "/".join(quote(part) for part in parts)
    assert replaced(uri, "https://host/x", old) == below(old, parts)


@given(ANY, PART, PARTS)
def test_a_component_that_only_begins_alike_is_another(prefix: str, more: str, parts: list[str]) -> None:
    assert replaced(below(prefix + more, parts), prefix, "/new") is None


@given(ANY, ANY, PLAIN)
def test_a_slash_at_the_end_of_a_prefix_does_not_matter(old: str, new: str, parts: list[str]) -> None:
    assert replaced(below(old, parts), old + separator(old), new + separator(new)) == below(new, parts)
    assert replaced(old, old, new) == new


@given(st.lists(st.one_of(ANY, st.none())), ANY)
def test_exactly_the_paths_that_begin_with_it_are_replaced(paths: list[str | None], prefix: str) -> None:
    table = pa.array(paths, pa.string())
    assert replace_prefix(table, prefix, "/new").is_valid().to_pylist() == begins_with(table, prefix).to_pylist()


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("C:\\Photos\\cam\\0.png", "c:/photos", "/data", "/data/cam/0.png"),
        ("c:/photos/cam/0.png", "C:\\Photos\\", "s3://bucket/x", "s3://bucket/x/cam/0.png"),
        ("\\\\nas\\photos\\0.png", "\\\\NAS\\photos", "/data", "/data/0.png"),
        ("/data/cam/0.png", "/data", "D:\\photos", "D:\\photos\\cam\\0.png"),
        ("/Data/0.png", "/data", "/new", None),
        ("s3://bucket/x/0.png", "s3://bucket/x", "/data", "/data/0.png"),
        ("s3://bucket/xy/0.png", "s3://bucket/x", "/data", None),
        ("s3://bucket/x/0.png", "s3://", "gs://", "gs://bucket/x/0.png"),
        ("/a/0.png", "/", "/mnt", "/mnt/a/0.png"),
        ("photos/0.png", "photos", "/data", "/data/0.png"),
        ("/data/a\\b.png", "/data", "/new", "/new/a\\b.png"),
        (None, "/data", "/new", None),
    ],
)
def test_of_all_systems(path: str | None, old: str, new: str, expected: str | None) -> None:
    assert replaced(path, old, new) == expected
