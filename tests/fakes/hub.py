"""A model hub on the loopback: it speaks the Hub's protocol and serves a directory.

``root/ORGANISATION/NAME/`` is a repository. As at the real one, large files are redirected to a
second origin, which wants no token; errors carry ``X-Error-Code``. Every request is recorded.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

CHUNK_BYTES = 64 * 1024
CDN_HOST = "127.0.0.2"
"""Another host, also to clients that look at nothing but its name."""
LARGE = (".gguf", ".safetensors", ".bin")
"""Files that the hub keeps apart (LFS, Xet) and answers with a redirect for."""


@dataclass(frozen=True)
class Request:
    """One request that was made."""

    origin: str
    """``hub`` or ``cdn``."""
    method: str
    path: str
    token: str | None
    range: str | None


@dataclass
class FakeHub:
    """Two servers; the attributes may be set while they run."""

    root: Path
    token: str = "hf_secret"
    gated: set[str] = field(default_factory=set)
    """Repositories that even a valid token may not read."""
    private: set[str] = field(default_factory=set)
    """Repositories that a valid token may read, and nobody else may know of."""
    ignores_ranges: bool = False
    status: int | None = None
    """Answer everything with this."""
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers of the next answers for files; each is given once."""
    breaks: Iterator[int] = field(default_factory=lambda: iter(()))
    """After how many bytes the next answers with a file break off."""
    spoilt: Iterator[bool] = field(default_factory=lambda: iter(()))
    """Whether the next answers with a file have a wrong byte."""
    signature_uses: int | None = None
    """How often an address that the hub redirects to is good; None: for ever."""
    bytes_per_second: int | None = None
    """How fast each connection is; None: as fast as it goes."""
    requests: list[Request] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    """The origin of each connection that was made."""
    pieces: list[int] = field(default_factory=list)
    """Bytes of each file, or range of one, that was asked for and given."""
    sent: dict[str, int] = field(default_factory=dict)
    """File to the bytes of it that went out."""
    signatures: list[int] = field(default_factory=list)
    """Uses that are left of each redirect's address."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._hub = _start(partial(_HubHandler, self))
        self._cdn = _start(partial(_CdnHandler, self), CDN_HOST)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        """Its address, for ``HF_ENDPOINT``."""
        return f"http://127.0.0.1:{self._hub.server_port}"

    @property
    def cdn_url(self) -> str:
        """The other origin."""
        return f"http://{CDN_HOST}:{self._cdn.server_port}"

    def sent_bytes(self, repository: str) -> int:
        """Bytes of a repository's files that went out, ranges of headers included."""
        with self.lock:
            return sum(
                count for name, count in self.sent.items() if name.startswith(f"{repository}/")
            )

    def environ(self, *, token: str | None = None) -> dict[str, str]:
        """An environment that leads to this hub and to no token of the user's."""
        said = {} if token is None else {"HF_TOKEN": token}
        return {"HF_ENDPOINT": self.url, "HF_TOKEN_PATH": "/nonexistent", **said}

    def repository(self, name: str) -> Path:
        """The directory of a repository, made if it is not there."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def files(self, name: str) -> dict[str, Path]:
        """Every file of a repository by its relative name."""
        root = self.root / name
        return {
            path.relative_to(root).as_posix(): path
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    def commit(self, name: str) -> str:
        """The commit that the repository is at: it follows from its files' names and sizes."""
        listing = [(one, path.stat().st_size) for one, path in self.files(name).items()]
        return hashlib.sha1(repr(listing).encode(), usedforsecurity=False).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is no fault; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _start(
    handler: Callable[..., BaseHTTPRequestHandler], host: str = "127.0.0.1"
) -> ThreadingHTTPServer:
    server = _Server((host, 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    origin = ""

    def __init__(self, hub: FakeHub, *args: object) -> None:
        self.hub = hub
        hub.connections.append(self.origin)
        super().__init__(*args)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Record the request and answer it."""
        bearer = self.headers.get("Authorization")
        token = bearer.removeprefix("Bearer ") if bearer else None
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(
            Request(self.origin, self.command, path, token, self.headers.get("Range"))
        )
        if self.hub.status is not None:
            self.fail(self.hub.status, None, **{"Retry-After": "7"})
        else:
            self.answer(path, token)

    def answer(self, path: str, token: str | None) -> None:
        """Answer one request."""
        raise NotImplementedError

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """One whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status: int, code: str | None, **headers: str) -> None:
        """An error as the Hub tells it."""
        named = {"X_Error_Code": code} if code else {}
        self.send(status, b'{"error":"no"}', **named, **headers)

    def send_file(self, path: Path, **headers: str) -> None:
        """A file, or the range of it that was asked for."""
        with self.hub.lock:
            if self.hub.refusals:
                status, told = self.hub.refusals.pop(0)
                self.fail(status, None, **told)
                return
        size = path.stat().st_size
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if found is None or self.hub.ignores_ranges:
            self._send_part(path, 0, size, 200, **headers)
            return
        start, end = int(found[1]), min(int(found[2]), size - 1)
        if start >= size:
            self.fail(416, None)
            return
        told = {"Content_Range": f"bytes {start}-{end}/{size}", **headers}
        self._send_part(path, start, end - start + 1, 206, **told)

    def _send_part(self, path: Path, start: int, count: int, status: int, **headers: str) -> None:
        with self.hub.lock:
            self.hub.pieces.append(count)
            end = next(self.hub.breaks, count)
            is_spoilt = next(self.hub.spoilt, False)
        self.send_response(status)
        self.send_header("Content-Length", str(count))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with path.open("rb") as file:
            file.seek(start)
            left = min(count, end)
            while left > 0 and (piece := file.read(min(left, CHUNK_BYTES))):
                left -= len(piece)
                # First: whoever has the last byte may ask at once how many went out.
                self._note(path, len(piece))
                self.wfile.write(bytes((piece[0] ^ 1,)) + piece[1:] if is_spoilt else piece)
                is_spoilt = False
                if self.hub.bytes_per_second is not None:
                    time.sleep(len(piece) / self.hub.bytes_per_second)
        if end < count:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _note(self, path: Path, count: int) -> None:
        name = path.relative_to(self.hub.root).as_posix()
        with self.hub.lock:
            self.hub.sent[name] = self.hub.sent.get(name, 0) + count


class _HubHandler(_Handler):
    origin = "hub"

    def answer(self, path: str, token: str | None) -> None:
        """Route a request: information, the tree, or a file."""
        about = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?(/.*)?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        found = about or file
        if found is None:
            self.fail(404, None)
            return
        name = found[1]
        revision = (about[3] if about else found[2]) or "main"
        if not self._may_read(name, token, is_file=file is not None):
            return
        commit = self.hub.commit(name)
        if revision not in {"main", commit}:
            self.fail(404, "RevisionNotFound")
        elif file is not None:
            self._send_file(name, commit, file[3])
        elif found[2] == "tree":
            self._send_tree(name)
        else:
            self._send_info(name, commit)

    def _may_read(self, name: str, token: str | None, *, is_file: bool) -> bool:
        known = token == self.hub.token
        missing = not (self.hub.root / name).is_dir()
        if missing or (name in self.hub.private and not known):
            self.fail(404 if known else 401, "RepoNotFound")
            return False
        # The Hub tells everybody what a gated repository has, and gives no file of it.
        if is_file and name in self.hub.gated:
            self.fail(403 if known else 401, "GatedRepo")
            return False
        if token is not None and not known:
            self.fail(401, None, X_Error_Message="Invalid credentials in Authorization header")
            return False
        return True

    def _send_info(self, name: str, commit: str) -> None:
        siblings = []
        for one, path in self.hub.files(name).items():
            size = path.stat().st_size
            large = {"sha256": _sha256(path), "size": size, "pointerSize": 134}
            blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
            if not one.endswith(LARGE):
                blob.update(path.read_bytes())
            sibling: dict[str, object] = {
                "rfilename": one,
                "size": size,
                "blobId": blob.hexdigest(),
            }
            siblings.append(sibling | ({"lfs": large} if one.endswith(LARGE) else {}))
        info = {
            "id": name,
            "sha": commit,
            "private": name in self.hub.private,
            "gated": "manual" if name in self.hub.gated else False,
            "siblings": siblings,
        }
        self.send(200, json.dumps(info).encode(), Content_Type="application/json")

    def _send_tree(self, name: str) -> None:
        tree = [
            {"type": "file", "path": one, "size": path.stat().st_size, "oid": _sha256(path)[:40]}
            for one, path in self.hub.files(name).items()
        ]
        self.send(200, json.dumps(tree).encode(), Content_Type="application/json")

    def _send_file(self, name: str, commit: str, file: str) -> None:
        path = self.hub.files(name).get(file)
        if path is None:
            self.fail(404, "EntryNotFound")
            return
        if not file.endswith(LARGE):
            content = path.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
            self.send_file(path, ETag=f'"{blob.hexdigest()}"', X_Repo_Commit=commit)
            return
        etag = f'"{_sha256(path)}"'
        with self.hub.lock:
            number = len(self.hub.signatures)
            self.hub.signatures.append(self.hub.signature_uses or 0)
        self.send(
            302,
            b"",
            Location=f"{self.hub.cdn_url}/{name}/{file}?signature={number}",
            X_Linked_Etag=etag,
            X_Linked_Size=str(path.stat().st_size),
            X_Repo_Commit=commit,
        )


class _CdnHandler(_Handler):
    origin = "cdn"

    def answer(self, path: str, token: str | None) -> None:
        """Serve a file to whoever has its address, and has not used it too often."""
        if self.hub.signature_uses is not None:
            number = int(self.path.rpartition("=")[2])
            with self.hub.lock:
                self.hub.signatures[number] -= 1
                is_good = self.hub.signatures[number] >= 0
            if not is_good:
                self.fail(403, None)
                return
        organisation, name, file = path.lstrip("/").split("/", 2)
        self.send_file(self.hub.files(f"{organisation}/{name}")[file])


def _sha256(path: Path) -> str:
    status = path.stat()
    return _sha256_of(path, status.st_size, status.st_mtime_ns)


@lru_cache
def _sha256_of(path: Path, size: int, changed_at: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
