"""Requests to the model hub: what a repository has, and pieces of its files.

The addresses, the errors and their meaning come from ``huggingface_hub``; the requests are our
own, so that each has a time limit, a size limit, and says nothing of this machine.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
import msgspec
from huggingface_hub import errors, hf_hub_url
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from hydra_box import __version__
from hydra_box.errors import InvalidRequest, Unavailable
from hydra_box.models.digests import is_digest
from hydra_box.models.hub_access import hub_endpoint, hub_token, is_offline
from hydra_box.models.hub_errors import raise_for_status, translated
from hydra_box.models.hub_sockets import Sockets
from hydra_box.types import Frozen

__all__ = ["MOST_CONNECTIONS", "Answer", "HubClient", "Snapshot", "hub_endpoint", "is_inside"]

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
MOST_REDIRECTS = 5
INFO_LIMIT_BYTES = 64 * 1024 * 1024
MOST_CONNECTIONS = 8


class _Large(Frozen, frozen=True, kw_only=True):
    size: int | None = None
    sha256: str = ""


class _Sibling(Frozen, frozen=True, kw_only=True):
    rfilename: str
    size: int | None = None
    blobId: str | None = None  # noqa: N815 - the hub's own name
    lfs: _Large | None = None


class _Info(Frozen, frozen=True, kw_only=True):
    sha: str
    siblings: tuple[_Sibling, ...] = ()


class Snapshot(Frozen, frozen=True, kw_only=True):
    """A repository at one commit."""

    repository: str
    revision: str
    """The commit, whatever branch or tag it was asked by."""
    sizes: dict[str, int]
    """Bytes of every file."""
    digests: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    """Checksums of files, as in ``ModelFile``; the hub may not tell all of them."""


@dataclass(frozen=True)
class Answer:
    """The beginning of an answer, whose body can be read."""

    response: httpx.Response
    is_hubs: bool
    """The hub itself answers, and not an address that it redirected to."""
    told: Mapping[str, str]
    """Headers in which the hub told about the file, also before a redirect."""


class HubClient:
    """Reads from one hub, inside ``with``; safe to use from several threads."""

    def __init__(self, environ: Mapping[str, str], *, connections: int = MOST_CONNECTIONS) -> None:
        self.endpoint = hub_endpoint(environ)
        self._token = hub_token(environ)
        self._offline = is_offline(environ)
        self._sockets = Sockets()
        self._client = httpx.Client(
            verify=_certificates(),
            follow_redirects=False,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=connections),
            headers={"User-Agent": f"hydra-box/{__version__}", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> Self:
        """Keep connections open until the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        self._client.close()

    def interrupt(self) -> None:
        """Have every request fail at once, those under way and those to come."""
        self._sockets.shut_down()

    def snapshot(self, repository: str, revision: str | None) -> Snapshot:
        """What the repository has at ``revision``, or on its main branch.

        Raises:
            InvalidRequest: the name cannot be one of a repository.
            NotFound: there is no such repository or revision, or it is private.
            Forbidden: its owner has not let this token in.
            Unavailable: the hub cannot be reached, is busy, or is switched off.

        """
        try:
            validate_repo_id(repository)
        except errors.HFValidationError as error:
            raise InvalidRequest(
                f"{repository!r} is not the name of a repository",
                hint="it has the form ORGANISATION/NAME",
                param="model",
            ) from error
        place = f"{self.endpoint}/api/models/{repository}"
        if revision is not None:
            place = f"{place}/revision/{quote(revision, safe='')}"
        data = self._get(f"{place}?blobs=true", repository, INFO_LIMIT_BYTES)
        try:
            info = msgspec.json.decode(data, type=_Info)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise self.nonsense(f"about {repository}") from error
        if not is_digest(info.sha):
            # It names a directory in the cache.
            raise self.nonsense(f"about {repository}: {info.sha[:80]!r} is no commit")
        inside = [one for one in info.siblings if is_inside(one.rfilename)]
        digests = {one.rfilename: _digest(one) for one in inside}
        return Snapshot(
            repository=repository,
            revision=info.sha,
            sizes={one.rfilename: _size(one) for one in inside},
            digests={name: digest for name, digest in digests.items() if is_digest(digest)},
        )

    def read(self, snapshot: Snapshot, file: str, start: int, count: int) -> bytes:
        """``count`` bytes of a file from ``start`` on, or fewer at its end.

        Raises:
            NotFound: there is no such file.
            Forbidden: its owner has not let this token in.
            Unavailable: the hub cannot be reached, is busy, or ignores the range.

        """
        count = min(count, snapshot.sizes[file] - start)
        if count <= 0:
            return b""
        url = self.address(snapshot.repository, snapshot.revision, file)
        return self._get(url, snapshot.repository, count, start=start)

    def address(self, repository: str, revision: str, file: str) -> str:
        """Where a file is asked for."""
        return hf_hub_url(repository, file, revision=revision, endpoint=self.endpoint)

    def refuse_offline(self, repository: str) -> None:
        """Return if the hub may be asked.

        Raises:
            Unavailable: it is switched off.

        """
        if self._offline:
            raise Unavailable(
                f"{repository} is on the hub, which is switched off (HF_HUB_OFFLINE)",
                hint="unset HF_HUB_OFFLINE, or give the path of a local model",
            )

    @contextmanager
    def open(self, url: str, repository: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        """The answer to a request, also one that refuses; its body can be read inside ``with``.

        Redirects are followed; the token goes to the hub's own address and nowhere else.

        Raises:
            Unavailable: the hub cannot be reached or is switched off; also while reading.
        """
        self.refuse_offline(repository)
        try:
            with self._follow(httpx.URL(url), headers) as answer:
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise Unavailable(
                f"the hub at {self.endpoint} cannot be reached: {why}",
                hint="check the network and HF_ENDPOINT, or give the path of a local model",
            ) from error

    def nonsense(self, about: str) -> Unavailable:
        """The error for an answer that means nothing."""
        return Unavailable(
            f"the hub at {self.endpoint} gave an unusable answer {about}",
            hint="check HF_ENDPOINT, or try again later",
        )

    def _get(self, url: str, repository: str, limit: int, *, start: int | None = None) -> bytes:
        """At most ``limit`` bytes of the answer; with ``start``, exactly that range is asked."""
        headers = {} if start is None else {"Range": f"bytes={start}-{start + limit - 1}"}
        with self.open(url, repository, headers) as answer:
            try:
                raise_for_status(answer.response)
            except errors.HfHubHTTPError as error:
                raise translated(error, repository, self.endpoint) from error
            if start and answer.response.status_code != httpx.codes.PARTIAL_CONTENT:
                raise self.nonsense(f"for a part of a file of {repository}")
            return _read_at_most(answer.response, limit)

    @contextmanager
    def _follow(self, target: httpx.URL, headers: Mapping[str, str]) -> Iterator[Answer]:
        own = _origin(httpx.URL(self.endpoint))
        told: dict[str, str] = {}
        watched = {"trace": self._sockets.trace}
        for _ in range(MOST_REDIRECTS):
            is_hubs = _origin(target) == own
            secret = {"Authorization": f"Bearer {self._token}"} if self._token and is_hubs else {}
            with self._client.stream(
                "GET", target, headers={**headers, **secret}, extensions=watched
            ) as response:
                if is_hubs:
                    told = {name.lower(): value for name, value in response.headers.items()}
                if not response.has_redirect_location:
                    yield Answer(response=response, is_hubs=is_hubs, told=told)
                    return
                following = target.join(response.headers["Location"])
            if target.scheme == "https" and following.scheme != "https":
                raise self.nonsense(f"with a redirect from https to {following.scheme}")
            target = following
        raise self.nonsense(f"with more than {MOST_REDIRECTS} redirects")


@cache
def _certificates() -> ssl.SSLContext:
    # Reading the authorities takes longer than a request.
    return httpx.create_ssl_context()


def _read_at_most(response: httpx.Response, limit: int) -> bytes:
    pieces, left = [], limit
    for piece in response.iter_raw(chunk_size=1 << 16):
        pieces.append(piece[:left])
        left -= len(pieces[-1])
        if left <= 0:
            break
    return b"".join(pieces)


def _size(sibling: _Sibling) -> int:
    size = sibling.lfs.size if sibling.lfs is not None and sibling.lfs.size else sibling.size
    return max(size or 0, 0)


def _digest(sibling: _Sibling) -> str:
    return sibling.lfs.sha256 if sibling.lfs is not None else sibling.blobId or ""


def is_inside(name: str) -> bool:
    """Whether a file's name stays inside the directory that it would be put in."""
    path = PurePosixPath(name)
    safe = name.isprintable() and "\\" not in name
    return safe and not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
