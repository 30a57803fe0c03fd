"""Which sample is each of the media of a tool."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.core.match_media import match_media

parts = st.lists(st.sampled_from(["a", "b", "img.png", "été.jpg"]), min_size=1, max_size=4).map("/".join)


@given(st.lists(parts, unique=True), st.booleans())
def test_equal_paths_are_matched(paths: list[str], by_path: bool) -> None:
    found = match_media(paths, [(f"s{n}", f"/data/{path}") for n, path in enumerate(paths)], by_path)
    for n, (path, sample_id) in enumerate(zip(paths, found.sample_ids, strict=True)):
        assert sample_id in (f"s{n}", None)
        assert (sample_id is None) == (path in found.ambiguous)


@given(st.lists(parts, max_size=6), st.lists(parts, max_size=6), st.booleans())
def test_what_is_matched_has_the_name(names: list[str], paths: list[str], by_path: bool) -> None:
    samples = {f"s{n}": path for n, path in enumerate(paths)}
    found = match_media(names, samples.items(), by_path)
    for name, sample_id in zip(names, found.sample_ids, strict=True):
        same = [s for s, path in samples.items() if path.split("/")[-1] == name.split("/")[-1]]
        if sample_id is not None:
            assert sample_id in same
        else:
            assert not same or set(found.ambiguous[name]) <= set(same)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("img.png", r"C:\photos\img.png"),
        (r"cam\img.png", "/data/cam/img.png"),
        ("img.png", "s3://bucket/cam/img.png?signature=1"),
        ("./img.png", "img.png"),
    ],
)
def test_paths_of_every_system_are_understood(name: str, path: str) -> None:
    assert match_media([name], [("s", path)], by_path=False).sample_ids == ["s"]


def test_a_sample_without_a_file_and_a_medium_without_a_name_match_nothing() -> None:
    assert match_media(["", "img.png"], [("s", None), ("t", "")], by_path=True).sample_ids == [None, None]
