"""Images, sounds and films in a request: how many, how large, and from where.

An engine that follows an address reaches whatever the box reaches: the owner's network, the
metadata of a cloud, files. So no address is ever passed on to one. What is in the request itself
(``data:``, base64) is; what is on the web is refused, or fetched by the box where its owner allows
that; a file of this machine, or anything else, is refused whatever the settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec.json import decode

from hydra_box.config import Settings
from hydra_box.errors import InvalidRequest

_EMBEDDINGS = frozenset(
    ("image_embeds", "audio_embeds", "video_embeds", "prompt_embeds", "image_pil")
)
_MEDIA = frozenset(
    (
        *("image_url", "video_url", "audio_url", "input_audio", "input_image", "input_video"),
        *("file", "multimodal_data"),
    )
)
_SOURCES = ("url", "data", "file_data", "file_url", "image_url")
_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9+.-]*):")
_WEB = ("http", "https")
_LONGEST_SHOWN = 100


class Source(NamedTuple):
    """Where one of them comes from: the object or list that names it, under which key."""

    holder: Any
    key: Any

    @property
    def text(self) -> str:
        """An address, or what it is itself in base64."""
        return str(self.holder[self.key])

    @property
    def scheme(self) -> str:
        """``data``, ``https`` ... or empty for base64."""
        found = _SCHEME.match(self.text[:64])
        return found[1].lower() if found else ""


class Media(NamedTuple):
    """A request's media: the body that they were found in, and those that are on the web."""

    document: dict[str, Any]
    remote: list[Source]


def check_media(body: bytes, settings: Settings) -> Media:
    """Look at a body that may have media; it is a JSON object.

    Raises:
        InvalidRequest: there are too many, one is too large, or it comes from where it must not;
            ``param`` names the member that it is in.
    """
    document: dict[str, Any] = decode(body)
    found = [one for name in ("messages", "prompt", "input") for one in _find(document, name)]
    if len(found) > settings.media_limit:
        raise InvalidRequest(
            f"the request has {len(found)} images, sounds or films; "
            f"the limit is {settings.media_limit}",
            hint="send fewer, or raise the setting media_limit",
            param="messages",
        )
    remote = []
    for one in found:
        if one.scheme in _WEB:
            remote.append(_allowed(one, settings))
        else:
            _check_inside(one, settings.media_limit_bytes)
    return Media(document, remote)


def _find(document: dict[str, Any], name: str) -> Iterator[Source]:
    """Every source below a member of the body, however deep."""
    waiting = [document[name]] if isinstance(document.get(name), dict | list) else []
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += [one for one in value if isinstance(one, dict | list)]
            continue
        for key, inside in value.items():
            if key in _EMBEDDINGS or (key == "type" and inside in _EMBEDDINGS):
                raise _embeddings(name, str(inside if key == "type" else key))
            if key in _MEDIA:
                yield from _sources(value, key)
            elif isinstance(inside, dict | list):
                waiting.append(inside)


def _sources(holder: Any, key: Any) -> Iterator[Source]:
    value = holder[key]
    if isinstance(value, str):
        yield Source(holder, key)
    elif isinstance(value, dict):
        for name in _SOURCES:
            if name in value:
                yield from _sources(value, name)
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _sources(value, index)


def _embeddings(member: str, kind: str) -> InvalidRequest:
    return InvalidRequest(
        f"{kind} is refused: it carries tensors that the engine would load unchecked",
        hint="send text, or the image or sound itself",
        param=member,
    )


def _allowed(one: Source, settings: Settings) -> Source:
    if settings.remote_media:
        return one
    raise InvalidRequest(
        f"media of the web are refused: {one.text[:_LONGEST_SHOWN]!r}",
        hint="send the file itself as data:<type>;base64,...; "
        "the setting remote_media lets the box fetch it",
        param="messages",
    )


def _check_inside(one: Source, limit_bytes: int) -> None:
    if one.scheme not in ("", "data"):
        raise InvalidRequest(
            f"media of {one.scheme}: are refused: {one.text[:_LONGEST_SHOWN]!r}",
            hint="send the file itself as data:<type>;base64,...",
            param="messages",
        )
    # Four characters of base64 are three bytes.
    size = len(one.text) * 3 // 4
    if size > limit_bytes:
        raise InvalidRequest(
            f"an image, sound or film has about {size:,} bytes; the limit is {limit_bytes:,}",
            hint="make it smaller, or raise the setting media_limit_bytes",
            param="messages",
        )
