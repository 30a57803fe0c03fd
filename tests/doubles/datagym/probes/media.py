"""Images: names that the database takes for equal, kinds of files, addresses, and what is gone."""

from __future__ import annotations

import base64
from typing import Any

from .asking import Asker, picture

_PAIRS = {  # of names: the second is asked for after the first was taken
    "the same": ("same.png", "same.png"),
    "case": ("case.png", "CASE.PNG"),
    "an accent": ("cafe.png", "café.png"),
    "a capital accent": ("cafe2.png", "CAFÉ2.png"),
    "composed": ("\u00e8.png", "e\u0300.png"),
    "sharp s": ("mas.png", "maß.png"),
    "two s": ("mass.png", "maß.png"),
    "ae": ("ae.png", "æ.png"),
    "oe": ("oe.png", "œ.png"),
    "o with stroke": ("o1.png", "ø1.png"),
    "l with stroke": ("l1.png", "ł1.png"),
    "d with stroke": ("d1.png", "đ1.png"),
    "eth": ("d2.png", "ð2.png"),
    "thorn": ("th.png", "þ.png"),
    "i without dot": ("i3.png", "ı3.png"),
    "I with dot": ("i4.png", "İ4.png"),
    "emoji": ("😀.png", "😁.png"),
    "emoji and replacement": ("😀2.png", "\ufffd2.png"),
    "emoji and rare ideograph": ("😀3.png", "𠮷3.png"),
    "ideographs": ("行.png", "人.png"),
    "kana": ("か5.png", "が5.png"),
    "hiragana and katakana": ("か6.png", "カ6.png"),
    "Greek case": ("α7.png", "Α7.png"),
    "Greek accent": ("α8.png", "ά8.png"),
    "final sigma": ("σ9.png", "ς9.png"),
    "Cyrillic case": ("я.png", "Я.png"),
    "Cyrillic breve": ("и1.png", "й1.png"),
    "ligature": ("fi.png", "ﬁ.png"),
    "full width": ("a10.png", "ａ10.png"),
    "superscript": ("x2.png", "x².png"),
    "trailing space": ("t.png", "t.png "),
    "a soft hyphen": ("ab.png", "a\u00adb.png"),
    "Hebrew points": ("ש.png", "שׁ.png"),
    "Kelvin": ("k11.png", "K11.png"),
    "Angstrom": ("a12.png", "Å12.png"),
    "h with stroke": ("h1.png", "ħ1.png"),
    "zero width": ("zw.png", "z\u200bw.png"),
    "Hangul": ("각.png", "각.png"),
    "Hangul apart": ("한.png", "글.png"),
    "two accents": ("o13.png", "ộ13.png"),
    "micro": ("μ14.png", "µ14.png"),
    "Ohm": ("ω15.png", "Ω15.png"),
    "long s": ("s16.png", "ſ16.png"),
    "sharp S": ("s17.png", "ẞ17.png"),
    "digits": ("1x18.png", "١x18.png"),
    "Cyrillic yo": ("е19.png", "ё19.png"),
    "Devanagari": ("क20.png", "क़20.png"),
    "dotless j": ("j21.png", "ȷ21.png"),
    "o horn": ("o22.png", "ơ22.png"),
    "Vietnamese u": ("u23.png", "ự23.png"),
    "N tilde": ("n24.png", "Ñ24.png"),
    "kra": ("q25.png", "ĸ25.png"),
    "eng": ("n26.png", "ŋ26.png"),
    "schwa": ("e27.png", "ə27.png"),
    "two emoji": ("😀😀28.png", "😁28.png"),
    "variation": ("☀29.png", "☀\ufe0f29.png"),
    "half kana": ("カ30.png", "ｶ30.png"),
}


def ask(a: Asker) -> None:
    """All questions of this area."""
    dataset = a.new_dataset("Media")
    _names(a, dataset)
    _kinds(a, dataset)
    _addresses(a)
    made = a.upload(dataset, "listed.png")
    a.ask("image, downloaded", "GET", f"media/{made['id']}")
    a.ask("image that is not there, downloaded", "GET", "media/nowhere")
    a.ask("image, deleted", "DELETE", f"media/{made['id']}")
    a.ask("image that was deleted, deleted", "DELETE", f"media/{made['id']}")
    a.ask("image that was deleted, downloaded", "GET", f"media/{made['id']}")
    a.ask("image that is not there, deleted", "DELETE", "media/nowhere")
    a.upload(dataset, "listed.png")  # a name that was deleted is free
    small = a.new_dataset("Small")
    a.upload(small, "a.png")
    a.ask("images of a dataset", "GET", f"dataset/{small}/file")
    a.ask("images of no dataset", "GET", "dataset/nowhere/file")


def _sent(name: str) -> dict[str, Any]:
    return {
        "headers": {"X-filename": base64.b64encode(name.encode()).decode(), "Content-Type": "application/octet-stream"}
    }


def _names(a: Asker, dataset: str) -> None:
    path = f"dataset/{dataset}/file"
    for what, (first, second) in _PAIRS.items():
        own = a.new_dataset(f"Pair {list(_PAIRS).index(what)}")
        a.upload(own, first)
        a.ask(f"names that differ by {what}", "POST", f"dataset/{own}/file", picture(), **_sent(second))
    a.ask("image of 255 characters", "POST", path, picture(), **_sent("n" * 251 + ".png"))
    a.ask("image of 256 characters", "POST", path, picture(), **_sent("n" * 252 + ".png"))
    a.ask("image without a name", "POST", path, picture(), headers={})
    a.ask("image with an empty name", "POST", path, picture(), headers={"X-filename": ""})
    a.ask("image of a name that is no Base64", "POST", path, picture(), headers={"X-filename": "a b.png"})
    a.ask("image for no dataset", "POST", "dataset/nowhere/file", picture(), **_sent("a.png"))


def _kinds(a: Asker, dataset: str) -> None:
    whole = picture("JPEG")
    for what, data in {
        "PNG": picture(),
        "JPEG": whole,
        "GIF": picture("GIF"),
        "BMP": picture("BMP"),
        "WEBP": picture("WEBP"),
        "TIFF": picture("TIFF"),
        "text": b"hello",
        "nothing": b"",
        "a PNG cut off": picture()[:40],
        "a JPEG cut off": whole[: len(whole) // 3],
        "the head of a PNG": picture()[:8],
        "the head of a JPEG": whole[:4],
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }.items():
        a.ask(f"file that is {what}", "POST", f"dataset/{dataset}/file", data, **_sent(f"kind {what}.png"))


def _addresses(a: Asker) -> None:
    dataset = a.new_dataset("Addresses")
    path, url = f"dataset/{dataset}/url", "http://127.0.0.1:9/pictures/a.png"
    a.ask("address", "POST", path, [url])
    a.ask("address again", "POST", path, [url])
    a.ask("address twice in one call", "POST", path, ["http://127.0.0.1:9/b.jpg", "http://127.0.0.1:9/b.jpg"])
    a.ask("address of the same name elsewhere", "POST", path, ["http://127.0.0.1:9/other/a.png"])
    a.ask("address that is signed", "POST", path, ["http://127.0.0.1:9/c.png?x=1"])
    a.ask("address of another kind", "POST", path, ["http://127.0.0.1:9/c.webp"])
    a.ask("address in capitals", "POST", path, ["http://127.0.0.1:9/D.PNG"])
    a.ask("addresses that are none", "POST", path, [])
    a.ask("addresses that are no list", "POST", path, {})
    a.ask("images by address", "GET", f"dataset/{dataset}/file")
