"""One file of the hub, asked for in ranges by several threads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from huggingface_hub import errors

from hydra_box.errors import DownloadFailed
from hydra_box.models.digests import is_digest
from hydra_box.models.hub_client import Answer, HubClient
from hydra_box.models.hub_errors import raise_for_status, translated
from hydra_box.types import ModelFile

_EXPIRED = frozenset({400, 401, 403, 404, 410})
_TOTAL = re.compile(r"bytes \d+-\d+/(\d+)")


class HubFile:
    """Where a file is; remembers the address that the hub sends those to who ask for it.

    Such an address has a signature that expires; then the hub is asked again.
    """

    def __init__(self, client: HubClient, repository: str, revision: str, file: ModelFile) -> None:
        self.file = file
        self.repository = repository
        self._client = client
        self._address = client.address(repository, revision, file.name)
        self._target: str | None = None

    def interrupt(self) -> None:
        """Have every request fail at once, those under way and those to come."""
        self._client.interrupt()

    @contextmanager
    def open(self, start: int, count: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Ask for a range, inside ``with``.

        Yields:
            Where the answer begins, and its bytes. It begins at 0 if ranges are not known.

        Raises:
            DownloadFailed: the file is another one now.
            NotFound: it is gone.
            Forbidden: its owner does not let this token in (any more).
            Unavailable: the hub cannot be reached, or is busy; try again.
        """
        headers = {"Range": f"bytes={start}-{start + count - 1}"}
        target = self._target
        if target is not None:
            with self._client.open(target, self.repository, headers) as answer:
                if answer.response.status_code not in _EXPIRED:
                    yield self._body(answer, start)
                    return
            self._target = None
        with self._client.open(self._address, self.repository, headers) as answer:
            body = self._body(answer, start)
            if not answer.is_hubs:
                self._target = str(answer.response.request.url)
            yield body

    def _body(self, answer: Answer, start: int) -> tuple[int, Iterator[bytes]]:
        response = answer.response
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise self._changed(f"it had {self.file.size_bytes:,} bytes and is shorter now")
        try:
            raise_for_status(response)
        except errors.HfHubHTTPError as error:
            raise translated(error, self.repository, self._client.endpoint) from error
        self._check(answer)
        is_part = response.status_code == httpx.codes.PARTIAL_CONTENT
        return (start if is_part else 0), response.iter_raw()

    def _check(self, answer: Answer) -> None:
        """Compare what is told about the file with what it was when the download began."""
        told = answer.told.get("x-linked-etag") or (
            answer.told.get("etag") if answer.is_hubs else None
        )
        digest = (told or "").removeprefix("W/").strip('"')
        if is_digest(digest) and digest != self.file.digest:
            raise self._changed(f"its checksum was {self.file.digest} and is {digest} now")
        size = self._size(answer.response)
        if size is not None and size != self.file.size_bytes:
            raise self._changed(f"it had {self.file.size_bytes:,} bytes and has {size:,} now")

    def _size(self, response: httpx.Response) -> int | None:
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            found = _TOTAL.fullmatch(response.headers.get("Content-Range", ""))
            return int(found[1]) if found else None
        told = response.headers.get("Content-Length", "")
        return int(told) if told.isdecimal() else None

    def _changed(self, how: str) -> DownloadFailed:
        return DownloadFailed(
            f"{self.file.name} of {self.repository} has changed on the hub while it was being "
            f"fetched: {how}",
            hint="hydra-box models pull fetches the new one",
            param="model",
        )
