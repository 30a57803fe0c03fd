"""Pictures of samples: as they are shown, small, in bounded memory, or a placeholder that says why not."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
import threading
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest
import requests
from PIL import Image
from tests.review.fake_plan import FakePlan

from annobridge.review import images
from annobridge.review.frames import Frames
from annobridge.review.images import NotShown, image_picture, sample_image
from annobridge.review.pictures import Picture, PictureCache, placeholder
from annobridge.store.media import FileMedia

RED, BLUE = (250, 10, 10), (10, 10, 250)


def halves(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image.convert(mode)


def shown(path: Path, width: int = 2048) -> tuple[Picture, Image.Image]:
    picture = image_picture(FileMedia({"s": str(path)}), "s", width)
    return picture, Image.open(io.BytesIO(picture.data))


def is_like(pixel, colour) -> bool:
    return np.abs(np.array(pixel[:3], int) - colour).max() < 40


@pytest.mark.parametrize(("name", "media_type"), [("a.jpg", "image/jpeg"), ("a.png", "image/png")])
def test_a_small_file_is_sent_as_it_is(tmp_path, name, media_type):
    halves((64, 48)).save(tmp_path / name)
    picture, _ = shown(tmp_path / name)
    assert (picture.data, picture.media_type, picture.reason) == ((tmp_path / name).read_bytes(), media_type, None)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp", "tif", "gif"])
def test_a_large_one_is_scaled(tmp_path, kind):
    halves((900, 400)).save(tmp_path / f"a.{kind}")
    _, image = shown(tmp_path / f"a.{kind}", 300)
    assert image.size == (300, 133)
    assert is_like(image.convert("RGB").getpixel((20, 60)), RED)
    assert is_like(image.convert("RGB").getpixel((280, 60)), BLUE)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("width", [2048, 100])
def test_it_is_turned_as_exif_says(tmp_path, kind, orientation, width):
    from PIL import ImageOps

    image = halves((400, 240))
    image.paste((10, 250, 10), (0, 0, 400, 60))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / f"a.{kind}", exif=exif)
    image.getexif()[0x0112] = orientation
    expected = ImageOps.exif_transpose(image)
    _, found = shown(tmp_path / f"a.{kind}", width)
    if width == 2048 and orientation == 1 and kind in ("jpg", "png"):
        assert found.size == (400, 240)  # the file itself
        return
    assert found.size[0] == min(width, expected.width)
    assert abs(found.height / found.width - expected.height / expected.width) < 0.02
    small = np.asarray(expected.resize((10, 10), Image.Resampling.BOX), int)
    assert np.abs(np.asarray(found.convert("RGB").resize((10, 10), Image.Resampling.BOX), int) - small).mean() < 12


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "I;16", "F", "LA", "RGBA", "YCbCr", "LAB"])
@pytest.mark.parametrize("width", [2048, 100])
def test_every_mode_becomes_a_picture(tmp_path, mode, width):
    kind = "tif" if mode in ("F", "CMYK", "LAB", "YCbCr") else "png"
    if mode in ("I;16", "F"):
        values = np.tile(np.linspace(0, 30_000, 400), (300, 1))
        image = Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.float32))
    else:
        image = Image.merge("LAB", halves((400, 300)).split()) if mode == "LAB" else halves((400, 300), mode)
    image.save(tmp_path / f"a.{kind}")
    picture, found = shown(tmp_path / f"a.{kind}", width)
    assert found.size == ((400, 300) if width == 2048 else (100, 75))
    assert picture.media_type in ("image/jpeg", "image/png")
    if mode in ("I;16", "F"):
        assert found.convert("L").getpixel((2, 30)) < 20
        assert found.convert("L").getpixel((found.width - 2, 30)) > 235
    assert found.mode in ("L", "RGB", "RGBA", "1", "P", "LA")


def test_transparency_stays(tmp_path):
    image = halves((400, 300), "RGBA")
    image.putalpha(100)
    image.save(tmp_path / "a.png")
    picture, found = shown(tmp_path / "a.png", 100)
    assert (picture.media_type, found.getpixel((5, 5))[3]) == ("image/png", 100)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The file is no image that Pillow can read."),
        (b"no image", "The file is no image that Pillow can read."),
        (None, "The image is not there any more."),
        ("cut.jpg", "The image cannot be read: image file is truncated"),
        ("cut.png", "The image cannot be read: image file is truncated"),
    ],
)
def test_what_cannot_be_read(tmp_path, data, reason):
    path = tmp_path / "a.jpg"
    if isinstance(data, str):
        noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / data)
        data = (tmp_path / data).read_bytes()[:9000]
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(NotShown, match=reason):
        shown(path)


def test_a_placeholder_is_sent_and_told(serve, files):
    files[0].write_bytes(b"no image")
    files[1].unlink()
    client = serve(FakePlan.of_files(files))
    for number, reason in ((0, "day/a.png: The file is no image that Pillow can read."),
                           (1, "day/b.png: The image is not there any more.")):  # fmt: skip
        answer = client.get(f"api/samples/{number}/image?width=800")
        assert (answer.status_code, answer.headers["x-annobridge-placeholder"]) == (200, reason)
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/svg+xml", "no-store")
        assert 'width="64" height="48"' in answer.text
    assert client.get("api/samples/2/image").headers.get("x-annobridge-placeholder") is None
    assert client.get("api/plan").json()["notes"] == [
        "2 of the pictures asked for cannot be shown. The first: day/a.png: The file is no image that Pillow can read."
    ]
    halves((64, 48)).save(files[0])  # mended
    assert client.get("api/samples/0/image?width=800").headers["content-type"] == "image/png"


def test_a_placeholder_has_no_characters_that_xml_or_a_header_lacks():
    found = placeholder("a\x01\x1b[31m\u202e.png:\r\nX-Evil: 1", 10, 10)
    assert found.reason == "a\ufffd\ufffd[31m\ufffd.png:\r\nX-Evil: 1"
    ElementTree.fromstring(found.data)


def test_an_address_that_is_none_is_told(tmp_path):
    media = FileMedia({"s": "s3://a b\nc"})
    with pytest.raises(NotShown, match="The image cannot be opened: its URI is no address of an object store"):
        sample_image(media, "s", 100)


def test_hostile_names_are_text_in_a_placeholder():
    found = placeholder('<script>alert(1)</script>" onload="x' + "y" * 500, 10, 10)
    assert b"<script" not in found.data
    assert found.data.count(b"<tspan") <= 6


def test_a_picture_is_not_sent_twice(serve, plan):
    client = serve(plan)
    first = client.get("api/samples/0/image")
    assert first.headers["cache-control"] == "private, no-cache"
    again = client.get("api/samples/0/image", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_images_from_a_web_server(serve, tmp_path):
    import functools
    import http.server

    halves((64, 48)).save(tmp_path / "a.png")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://me:secret@127.0.0.1:{server.server_address[1]}"
        client = serve(FakePlan.of_files([f"{base}/a.png?signature=s", f"{base}/b.png?signature=s"]))
        assert client.get("api/samples/0/image").content == (tmp_path / "a.png").read_bytes()
        missing = client.get("api/samples/1/image")
        assert missing.headers["x-annobridge-placeholder"] == "b.png: The image is not there any more."
        assert not any(word in client.get("api/plan").text + missing.text for word in ("secret", "signature"))
        server.shutdown()


# --- memory -----------------------------------------------------------------------------------------------------------

MEASURE = """
    import re, sys
    from pathlib import Path
    from annobridge.review.images import image_picture
    from annobridge.store.media import FileMedia
    picture = image_picture(FileMedia({"s": sys.argv[1]}), "s", 1600)
    peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]  # ru_maxrss is that of the parent too
    print(picture.media_type, int(peak) // 1024)
"""


@pytest.mark.parametrize(("name", "options", "most"), [("a.jpg", {}, 250), ("p.jpg", {"progressive": True}, 900),
                                                       ("a.png", {"compress_level": 1}, 1100)])  # fmt: skip
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_200_megapixels_in_bounded_memory(tmp_path, monkeypatch, name, options, most):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    halves((20_000, 10_000)).save(tmp_path / name, **options)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURE), str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    media_type, megabytes = done.stdout.split()
    assert media_type == "image/jpeg"
    assert int(megabytes) < most


def test_more_than_fits_into_memory_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_MOST_DECODED", 1 << 20)
    for kind, size in (("png", "0.0"), ("webp", "0.0"), ("tif", "0.0")):
        halves((900, 400)).save(tmp_path / f"a.{kind}")
        with pytest.raises(NotShown) as error:
            shown(tmp_path / f"a.{kind}", 300)
        assert str(error.value).startswith(
            f"The image has 360,000 pixels, for which {size} GB of memory would be needed; up to 0.00 GB"
        )
    halves((900, 400)).save(tmp_path / "a.jpg")
    assert shown(tmp_path / "a.jpg", 300)[1].size == (300, 133)


def test_the_cache_is_bounded_and_makes_a_picture_once():
    cache, made = PictureCache(100), []

    def make(name: str, size: int = 40):
        made.append(name)
        return Picture(b"x" * size, "image/png")

    for name in ("a", "b", "a", "c", "a", "b"):  # b was the least recently used when c came
        cache.get(name, lambda name=name: make(name))
    assert made == ["a", "b", "c", "b"]
    cache.get("bad", lambda: Picture(b"x", "image/png", "why"))
    assert cache.get("bad", lambda: make("bad")).reason is None

    entered, release, counts = threading.Event(), threading.Event(), []

    def slow():
        counts.append(1)
        entered.set()
        release.wait(10)
        return Picture(b"y", "image/png")

    threads = [threading.Thread(target=lambda: cache.get("slow", slow)) for _ in range(4)]
    for thread in threads:
        thread.start()
    entered.wait(10)
    release.set()
    for thread in threads:
        thread.join()
    assert len(counts) == 1


# --- videos -----------------------------------------------------------------------------------------------------------

FRAMES = 90


def bright(number: int) -> int:
    """Unlike that of neighbours, and of all others."""
    return 20 + 2 * (number * 53 % 91)


def video(path: Path, gop: int = 30, skip: tuple[int, ...] = (), size: tuple[int, int] = (64, 48)) -> Path:
    """A video of which frame k is as bright as ``bright(k)``. For the numbers in ``skip`` none is written: others last longer."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size, stream.bit_rate = gop, 4_000_000
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(1, FRAMES + 1):
            if number in skip:
                continue
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), bright(number), np.uint8), "rgb24")
            frame.pts = number - 1
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def brightness(media: FileMedia, frames: Frames, number: int) -> float:
    picture = frames.picture(media, "v", number, 2048)
    return float(np.asarray(Image.open(io.BytesIO(picture.data)).convert("L"), float).mean())


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_frames_in_any_order(tmp_path, name):
    media, frames = FileMedia({"v": str(video(tmp_path / name))}), Frames()
    for number in (1, 2, 3, 90, 89, 88, 45, 1, 44, 46, 60, 30, 31, 29, 75, 74, 2):
        assert abs(brightness(media, frames, number) - bright(number)) < 3, number


def test_frames_of_uneven_length_are_counted_and_not_timed(tmp_path):
    media = FileMedia({"v": str(video(tmp_path / "a.mp4", skip=(*range(10, 20), 50)))})
    frames = Frames()
    for number, value in ((9, 9), (10, 20), (39, 49), (40, 51), (79, 90)):
        assert abs(brightness(media, frames, number) - bright(value)) < 3, number
    with pytest.raises(NotShown, match="The video has 79 frames, and none of number 80."):
        brightness(media, frames, 80)
    with pytest.raises(NotShown, match="none of number 0"):
        brightness(media, frames, 0)


def test_a_frame_is_scaled(tmp_path):
    media = FileMedia({"v": str(video(tmp_path / "a.mp4", size=(320, 240)))})
    found = Image.open(io.BytesIO(Frames().picture(media, "v", 3, 80).data))
    assert found.size == (80, 60)


def test_only_some_videos_are_open(tmp_path):
    path = str(video(tmp_path / "a.mp4"))
    media, frames = FileMedia({f"v{n}": path for n in range(9)}), Frames()
    for n in (*range(9), 0):
        frames.picture(media, f"v{n}", 5, 100)
    assert len(frames._open) == 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"The video cannot be decoded: .*Invalid data found"),
        (b"no video at all", r"The video cannot be decoded: .*Invalid data found"),
        (None, r"The video is not there any more\."),
        ("audio", r"The file has no video\."),
        ("cut.mp4", r"The video cannot be decoded|The file has no video"),
        ("cut.mkv", r"The video (cannot be decoded|ends before frame|has \d+ frames)"),
    ],
)
def test_a_video_that_cannot_be_decoded(tmp_path, data, reason):
    path = tmp_path / "a.mp4"
    if data == "audio":
        with av.open(str(path), "w") as out:
            stream = out.add_stream("aac", rate=16000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16000, 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    elif isinstance(data, str):
        path = tmp_path / data
        path.write_bytes(video(path).read_bytes()[:4000])
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(NotShown, match=reason):
        Frames().picture(FileMedia({"v": str(path)}), "v", 80, 100)


def test_a_video_over_the_api(serve, tmp_path):
    plan = FakePlan.of_files([video(tmp_path / "a.mp4"), tmp_path / "b.mp4"])
    plan.sample_rows[0] |= {"media_type": "video", "frames": FRAMES, "fps": 25.0}
    plan.sample_rows[1]["media_type"] = "video"
    (tmp_path / "b.mp4").write_bytes(b"x")
    client = serve(plan)
    assert client.get("api/plan").json()["samples"][0] == {
        "name": "a.mp4", "width": 64, "height": 48, "media": "video", "frames": 90, "fps": 25.0,
    }  # fmt: skip
    first, other = (client.get(f"api/samples/0/image?frame={k}") for k in (1, 60))
    assert first.headers["content-type"] == "image/jpeg"
    assert first.content != other.content
    assert client.get("api/samples/0/image").content == first.content
    assert "cannot be decoded" in client.get("api/samples/1/image?frame=1").headers["x-annobridge-placeholder"]
    beyond = client.get("api/samples/0/image?frame=91").headers["x-annobridge-placeholder"]
    assert beyond == "a.mp4: The video has 90 frames, and none of number 91."


def test_without_av_a_placeholder_says_so(monkeypatch, tmp_path):
    from annobridge.review import frames

    monkeypatch.setattr(frames.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(NotShown, match=r"Videos are not decoded without PyAV: pip install 'annobridge\[review\]'\."):
        Frames().picture(FileMedia({"v": str(tmp_path / "a.mp4")}), "v", 1, 100)


def test_many_clients_ask_for_pictures_at_the_same_time(serve, tmp_path):
    files = []
    for number in range(12):
        halves((1200, 800)).save(tmp_path / f"{number}.jpg")
        files.append(tmp_path / f"{number}.jpg")
    client = serve(FakePlan.of_files([*files, video(tmp_path / "v.mp4")]))
    client_headers = {"X-Annobridge-Token": client.token}
    client_errors = []

    def ask(number: int) -> None:
        answer = requests.get(
            f"{client.origin}/api/samples/{number % 13}/image?width=300", headers=client_headers, timeout=60
        )
        if answer.status_code != 200:
            client_errors.append(answer.text)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client_errors == []
