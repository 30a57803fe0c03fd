"""Frames of videos as pictures, by PyAV (``av``, of the extra ``annobridge[review]``).

Frame k is the k-th in the order in which frames are shown, as ``frame_number`` of ``LABELS`` counts them. The times of all frames
are read once from the packets, without decoding, so that it is exact for frames of uneven length too.
"""

from __future__ import annotations

import importlib.util
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..core.media import Media
from .images import TURNS, NotShown
from .pictures import Picture, encode

if TYPE_CHECKING:
    import av

_OPEN = 4  # videos that are kept open
_KEPT = 64 << 20  # bytes of decoded frames that a video keeps, so that a step back needs no decoding
_AHEAD = 64  # frames that are decoded to get at one, before it is worth while to look for a key frame
_QUARTERS = {90: 8, 180: 3, 270: 6}  # degrees counter-clockwise → the EXIF orientation that turns alike


class Frames:
    """The videos of a review. Only some are open at a time; each decodes for one thread at a time."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Video] = OrderedDict()
        self._lock = threading.Lock()

    def picture(self, media: Media, sample_id: str, number: int, width: int) -> Picture:
        """Frame ``number``, from 1, at most ``width`` pixels wide. Raises ``NotShown``."""
        image, frames = self._decoded(media, sample_id, number, width)
        return replace(encode(image), frames=frames)

    def image(self, media: Media, sample_id: str, number: int, width: int) -> Image.Image:
        """The same, before it is encoded."""
        return self._decoded(media, sample_id, number, width)[0]

    def _decoded(self, media: Media, sample_id: str, number: int, width: int) -> tuple[Image.Image, int]:
        """A frame, and how many there are."""
        if importlib.util.find_spec("av") is None:
            raise NotShown("Videos are not decoded without PyAV: pip install 'annobridge[review]'.")
        video = self._video(media, sample_id)
        with video.lock:
            return video.frame(number, width), len(video.times)

    def _video(self, media: Media, sample_id: str) -> _Video:
        with self._lock:
            if sample_id not in self._open:
                self._open[sample_id] = _Video(media, sample_id)
            self._open.move_to_end(sample_id)
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)  # closed when the thread that may still use it is done
            return self._open[sample_id]


class _Video:
    """A video, opened when its first frame is asked for."""

    def __init__(self, media: Media, sample_id: str) -> None:
        self.lock = threading.Lock()
        self._media, self._sample_id = media, sample_id
        self._container: av.container.InputContainer | None = None
        self.times: npt.NDArray[np.int64] = np.array([], np.int64)
        self._decoding: Iterator[av.VideoFrame] = iter(())
        self._next: int | None = None  # the time of the last frame that was decoded
        self._recent: deque[av.VideoFrame] = deque()

    def frame(self, number: int, width: int) -> Image.Image:
        import av

        try:
            container = self._opened()
            if not 1 <= number <= len(self.times):
                raise NotShown(f"The video has {len(self.times):,} frames, and none of number {number:,}.")
            return _image(self._at(container, number), width)
        except (FileNotFoundError, KeyError):  # the file, or the sample
            raise NotShown("The video is not there any more.") from None
        except (OSError, ValueError, av.FFmpegError) as error:
            self._next = None  # the next frame is looked for anew
            raise NotShown(f"The video cannot be decoded: {str(error).rstrip('.') or type(error).__name__}.") from None

    def _opened(self) -> av.container.InputContainer:
        import av

        if self._container is not None:
            return self._container
        path = self._media.path(self._sample_id)
        source: Any = str(path) if path is not None else self._media.open(self._sample_id)
        if path is not None:
            self._media.open(self._sample_id).close()  # the error of a missing file
        container: av.container.InputContainer = av.open(source, metadata_errors="ignore")
        if not container.streams.video:
            container.close()
            raise NotShown("The file has no video.")
        container.streams.video[0].thread_type = "AUTO"
        times = [packet.pts for packet in container.demux(container.streams.video[0]) if packet.pts is not None]
        self.times = np.unique(np.array(times, np.int64))
        self._container = container
        self._start_at(container, int(self.times[0]) if len(self.times) else 0)
        return container

    def _at(self, container: av.container.InputContainer, number: int) -> av.VideoFrame:
        time = int(self.times[number - 1])
        if (kept := next((f for f in self._recent if f.pts == time), None)) is not None:
            return kept
        last = self._next if self._next is not None else -1
        ahead = number - 1 - int(np.searchsorted(self.times, last))
        if self._next is None or not 0 < ahead <= _AHEAD:
            self._start_at(container, time)
        for frame in self._decoding:
            if frame.pts is None:
                continue
            self._keep(frame)
            if frame.pts >= time:
                return frame
        self._next = None
        raise NotShown(f"The video ends before frame {number:,}, or is damaged there.")

    def _start_at(self, container: av.container.InputContainer, time: int) -> None:
        stream = container.streams.video[0]
        container.seek(time, stream=stream, backward=True)
        self._decoding, self._next = container.decode(stream), None
        self._recent.clear()

    def _keep(self, frame: av.VideoFrame) -> None:
        self._next = frame.pts
        self._recent.append(frame)
        most = max(1, _KEPT // max(1, frame.width * frame.height * 3 // 2))
        while len(self._recent) > most:
            self._recent.popleft()


def _image(frame: av.VideoFrame, width: int) -> Image.Image:
    """A frame as it is shown: with square pixels, turned as the file says."""
    turn = TURNS.get(_QUARTERS.get(round(frame.rotation) % 360, 1))
    sideways = turn in (TURNS[6], TURNS[8])
    across = frame.height if sideways else frame.width
    if across > width:
        share = width / across
        size = {"width": max(2, round(frame.width * share)), "height": max(2, round(frame.height * share))}
        frame = frame.reformat(**size, format="rgb24")
    image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    return image.transpose(turn) if turn is not None else image
