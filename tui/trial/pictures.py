"""Images from this machine's files, as OpenAI's API takes them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from hydra_box.errors import InvalidRequest, NotFound
from hydra_box.shown.numbers import size
from tui.link import Link
from tui.trial.conversation import Picture, Turn

MOST_BYTES: Final = 20 * 1024 * 1024
_STARTS: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def read_picture(path: str) -> tuple[Picture, str]:
    """An image, and its ``data:`` URL.

    Raises:
        NotFound: there is no such file.
        InvalidRequest: it cannot be read, is no image that models take, or is too large.

    """
    file = Path(path).expanduser().absolute()
    try:
        size_bytes = file.stat().st_size
        if size_bytes > MOST_BYTES:
            raise InvalidRequest(
                f"{file.name} has {size(size_bytes)}, more than {size(MOST_BYTES)}",
                hint="a smaller image tells the model as much",
            )
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no file {file}", hint="the path is on the machine of this console"
        ) from error
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise InvalidRequest(f"{file} cannot be read: {why}") from error
    media_type = media_type_of(data)
    if media_type is None:
        raise InvalidRequest(
            f"{file.name} is no PNG, JPEG, WebP or GIF image", hint="convert it to one of these"
        )
    picture = Picture(path=str(file), media_type=media_type, size_bytes=len(data))
    return picture, f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def media_type_of(data: bytes) -> str | None:
    """What kind of image it is, by its first bytes; None: none that models take."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)


class Pictures:
    """The images of this opening, by path; those of an earlier one are read again."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}

    def put(self, picture: Picture, url: str) -> None:
        """Remember an image that was read."""
        self._urls[picture.path] = url

    async def urls(self, link: Link, turns: Iterable[Turn]) -> Mapping[str, str]:
        """Path to ``data:`` URL, of every image in the turns.

        Raises:
            HydraError: one of them can no longer be read.

        """
        wanted = {turn.picture.path for turn in turns if turn.picture is not None}
        for path in sorted(wanted - self._urls.keys()):
            picture, url = await link.run(partial(read_picture, path))
            self.put(picture, url)
        return self._urls
