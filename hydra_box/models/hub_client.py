"""Requests to the model hub: what a repository has, and pieces of its files.

The addresses, the errors and their meaning come from ``huggingface_hub``; the requests are our
own, so that each has a time limit, a size limit, and says nothing of this machine.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
import msgspec
from huggingface_hub import constants, errors, hf_hub_url
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    hf_raise_for_status,
    validate_repo_id,
)

from hydra_box import __version__
from hydra_box.errors import InvalidRequest, Unavailable
from hydra_box.models.hub_errors import translated
from hydra_box.types import Frozen

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
MOST_REDIRECTS = 5
INFO_LIMIT_BYTES = 64 * 1024 * 1024
MOST_CONNECTIONS = 8
TRUE = frozenset({"1", "on", "yes", "true"})


class _Large(Frozen, frozen=True, kw_only=True):
    size: int | None = None


class _Sibling(Frozen, frozen=True, kw_only=True):
    rfilename: str
    size: int | None = None
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


class HubClient:
    """Reads from one hub, inside ``with``; safe to use from several threads."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.endpoint = hub_endpoint(environ)
        self._token = _token(environ)
        self._offline = any(
            environ.get(name, "").lower() in TRUE
            for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        )
        self._client = httpx.Client(
            verify=_certificates(),
            follow_redirects=False,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS),
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
            raise self._nonsense(f"about {repository}") from error
        sizes = {one.rfilename: _size(one) for one in info.siblings if _is_inside(one.rfilename)}
        return Snapshot(repository=repository, revision=info.sha, sizes=sizes)

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
        url = hf_hub_url(
            snapshot.repository, file, revision=snapshot.revision, endpoint=self.endpoint
        )
        return self._get(url, snapshot.repository, count, start=start)

    def _get(self, url: str, repository: str, limit: int, *, start: int | None = None) -> bytes:
        """At most ``limit`` bytes of the answer; with ``start``, exactly that range is asked."""
        if self._offline:
            raise Unavailable(
                f"{repository} is on the hub, which is switched off (HF_HUB_OFFLINE)",
                hint="unset HF_HUB_OFFLINE, or give the path of a local model",
            )
        headers = {} if start is None else {"Range": f"bytes={start}-{start + limit - 1}"}
        try:
            with self._open(url, headers) as response:
                _raise_for_status(response)
                if start and response.status_code != httpx.codes.PARTIAL_CONTENT:
                    raise self._nonsense(f"for a part of a file of {repository}")
                return _read_at_most(response, limit)
        except errors.HfHubHTTPError as error:
            raise translated(error, repository, self.endpoint) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise Unavailable(
                f"the hub at {self.endpoint} cannot be reached: {why}",
                hint="check the network and HF_ENDPOINT, or give the path of a local model",
            ) from error

    @contextmanager
    def _open(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Follow redirects; the token goes to the hub's own address and nowhere else."""
        target, own = httpx.URL(url), httpx.URL(self.endpoint)
        for _ in range(MOST_REDIRECTS):
            secret = {}
            if self._token and _origin(target) == _origin(own):
                secret = {"Authorization": f"Bearer {self._token}"}
            with self._client.stream("GET", target, headers={**headers, **secret}) as response:
                if not response.has_redirect_location:
                    yield response
                    return
                following = target.join(response.headers["Location"])
            if target.scheme == "https" and following.scheme != "https":
                raise self._nonsense(f"with a redirect from https to {following.scheme}")
            target = following
        raise self._nonsense(f"with more than {MOST_REDIRECTS} redirects")

    def _nonsense(self, about: str) -> Unavailable:
        return Unavailable(
            f"the hub at {self.endpoint} gave an unusable answer {about}",
            hint="check HF_ENDPOINT, or try again later",
        )


@cache
def _certificates() -> ssl.SSLContext:
    # Reading the authorities takes longer than a request.
    return httpx.create_ssl_context()


def hub_endpoint(environ: Mapping[str, str]) -> str:
    """The hub's address, without a slash at its end."""
    return (environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _raise_for_status(response: httpx.Response) -> None:
    if response.is_error:
        # Without its body, which nobody bounds and the package reads for a text of its own.
        hf_raise_for_status(
            httpx.Response(
                response.status_code, headers=_error_headers(response), request=response.request
            )
        )


def _error_headers(response: httpx.Response) -> dict[str, str]:
    names = ("X-Error-Code", "X-Error-Message", "Retry-After")
    return {name: response.headers[name] for name in names if name in response.headers}


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


def _is_inside(name: str) -> bool:
    """Whether a file's name stays inside the directory that it would be put in."""
    path = PurePosixPath(name)
    safe = name.isprintable() and "\\" not in name
    return safe and not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _token(environ: Mapping[str, str]) -> str | None:
    """``HF_TOKEN``, or the file that ``hf auth login`` writes."""
    said = environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN")
    if said and said.strip():
        return said.strip()
    cache = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/nonexistent')}/.cache"
    home = environ.get("HF_HOME") or f"{cache}/huggingface"
    try:
        text = Path(environ.get("HF_TOKEN_PATH") or f"{home}/token").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError, ValueError):
        # No such file is the usual case: most models need no token.
        return None
    return text.strip() or None
