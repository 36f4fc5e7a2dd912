"""A hub of one large file on the loopback, served by the kernel: never the limit of a download."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REPOSITORY, FILE, COMMIT = "bench/model", "model.gguf", "0" * 40


def serve(path: Path) -> None:
    """Print the address, then serve until the process ends."""
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    sibling = {"rfilename": FILE, "size": size, "lfs": {"sha256": digest, "size": size}}
    info = json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": [sibling]}).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path.startswith("/api/"):
                self._head(200, len(info))
                self.wfile.write(info)
                return
            start, end = 0, size - 1
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked is not None:
                start, end = int(asked[1]), min(int(asked[2] or end), end)
            self._head(206 if asked else 200, end - start + 1, f"bytes {start}-{end}/{size}")
            if self.command == "GET":
                with path.open("rb") as file:
                    self.connection.sendfile(file, start, end - start + 1)

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def _head(self, status: int, length: int, part: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.send_header("ETag", f'"{digest}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Accept-Ranges", "bytes")
            if status == 206:
                self.send_header("Content-Range", part)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
