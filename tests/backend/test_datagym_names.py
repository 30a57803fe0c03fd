"""Names of images: the server's database takes some different names for equal, and refuses the second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests import datagym_servers
from tests.datagym_servers import Server
from tests.doubles.datagym import collation

import annobridge as ab
from annobridge_datagym import names

pytestmark = pytest.mark.filterwarnings("ignore::annobridge_datagym.upload.BacklogWarning")
ALIKE = [
    ("cafe.png", "café.png"), ("cafe.png", "CAFE\u0301.png"), ("mas.png", "maß.png"), ("mass.png", "maß.png"), ("😀.png", "😁.png"),
    ("𠮷.png", "𠮟.png"), ("ﬁ.png", "fi.png"), ("ａ.png", "a.png"), ("ı.png", "I.png"), ("æ.png", "ae.png"), ("σ.png", "ς.png"),
    ("µ.png", "μ.png"), ("ё.png", "Е.png"), ("a.png", "a\u00ad.png"), ("ø.png", "o.png"),
]  # fmt: skip
LETTERS = st.text(
    st.sampled_from("aAáàåÅßsSſıiİIµμσςΣϲй И行人😀😁𠮷𝐀ﬁfiæe\u0301\u200b각가あぁ.")
    | st.characters(exclude_categories=["Cs", "Cc"]),
    max_size=6,
)


@pytest.fixture(params=datagym_servers.KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with datagym_servers.running(request.param) as found:
        yield found


@given(st.lists(LETTERS, max_size=8), st.booleans())
def test_no_two_names_are_equal_in_the_database(given_: list[str], latin: bool) -> None:
    sent = names.file_names(given_, latin=latin)
    assert len(set(map(collation.key, sent))) == len(given_)


@pytest.mark.parametrize("pair", ALIKE)
def test_names_that_look_alike_are_numbered(pair: tuple[str, str]) -> None:
    assert names.file_names(["/here/x.png", *pair], latin=False) == ["x.png", pair[0], f"000002_{pair[1]}"]


@pytest.mark.parametrize("pair", [("a.png", "b.png"), ("行.png", "人.png"), ("가.png", "각.png"), ("か.png", "カ.png")])
def test_names_that_differ_are_sent_as_they_are(pair: tuple[str, str]) -> None:
    assert names.file_names(list(pair), latin=False) == list(pair)


def test_images_with_such_names_are_sent(server: Server, tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "data")
    for n, name in enumerate(
        ["cafe.png", "café.png", "mas.png", "maß.png", "😀.png", "😁.png", "𠮷.png", "𠮟.png", "行.png"]
    ):
        Image.new("RGB", (64, 48), (20 * n, 0, 0)).save(tmp_path / name)
        ds.add_samples([ab.Sample(tmp_path / name, sample_id=f"s{n}")])
    schema = {
        "streets": {"type": "detections", "classes": ["Straße", "façade"], "attributes": {"état": {"type": "text"}}}
    }
    results = ds.annotate("run", label_schema=schema, backend="datagym", progress=False, **server.options())
    (receipt,) = results.receipts()
    assert len(set(receipt.state["media"])) == 9
    task = server.call("GET", f"task/{receipt.state['tasks'][0]}")
    shown = {e["entryValue"]: [c["entryValue"] for c in e["children"]] for e in task["labelConfig"]["entries"]}
    assert {name: "état" in children for name, children in shown.items()} == {"Straße": True, "façade": True}
