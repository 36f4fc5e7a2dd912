"""A program that looks like ``llama-server`` and goes wrong on demand.

It takes ``llama-server``'s flags and serves a little of its API on the UNIX socket. How it
behaves is told by more flags: from its command line, then from the text file
``<model>.behaviour`` beside the model, which wins and is read at every start. So one fake runtime
can pass its verification and then fail at a certain model, or fail only until a test changes the
file.

    install_as_built(paths.engines)                   a runtime that is preferred to the bundled
    install_on_path(directory, "--exit-at-once", "1") a llama-server for a PATH
    behave(model, "--load-delay", "2")                what the next start with that model does

Only the standard library is imported, so that it starts in a tenth of a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

VERSION = "9999"
LOADING = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}


def behave(model: Path, *behaviour: str) -> None:
    """What a fake engine does the next time it is started on ``model``."""
    model.with_name(f"{model.name}.behaviour").write_text(shlex.join(behaviour))


def install_on_path(directory: Path, *behaviour: str) -> Path:
    """Put a fake ``llama-server`` into ``directory``, which a test then puts on a PATH."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "llama-server"
    command = shlex.join((sys.executable, "-P", __file__, *behaviour))
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    return program


def install_as_built(engines: Path, *behaviour: str, accelerator: str = "cpu") -> Path:
    """Put a fake among the runtimes that were built here; returns its directory."""
    directory = engines / "llama.cpp" / f"{VERSION}-{accelerator}"
    install_on_path(directory, *behaviour)
    manifest = {
        "version": VERSION,
        "accelerator": accelerator,
        "program": "llama-server",
        "built_at": 0,
    }
    (directory / "hydra-box-runtime.json").write_text(json.dumps(manifest))
    return directory


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llama-server")
    parser.add_argument("--model", default="")
    parser.add_argument("--alias", default="fake")
    parser.add_argument("--host", default="")
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--say", help="printed at the start")
    parser.add_argument("--load-delay", type=float, default=0.0, help="seconds until it is ready")
    parser.add_argument("--load-until", type=Path, metavar="FILE", help="ready once it is there")
    parser.add_argument("--hang-while-loading", action="store_true", help="it is never ready")
    parser.add_argument("--exit-at-once", type=int, metavar="STATUS")
    parser.add_argument("--signal-at-once", type=int, metavar="NUMBER", help="end by a signal")
    parser.add_argument("--crash-after", type=int, metavar="N", help="SIGKILL at the Nth chat")
    parser.add_argument("--crash-after-chunks", type=int, metavar="N", help="in every stream")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--error", type=int, metavar="STATUS", help="what every chat is answered")
    parser.add_argument("--enable-sleep-mode", action="store_true", help="as vLLM's on a GPU")
    parser.add_argument("--sleep-error", type=int, metavar="STATUS", help="told to sleep")
    parser.add_argument("--sleep-delay", type=float, default=0.0, help="seconds to fall asleep")
    parser.add_argument("--wake-error", type=int, metavar="STATUS", help="told to wake")
    parser.add_argument("--leak", type=int, metavar="BYTES", help="held more at each SIGUSR1")
    parser.add_argument("--chunks", type=int, default=3, help="of a stream")
    parser.add_argument("--chunk-delay", type=float, default=0.0, help="seconds before each")
    return parser


class FakeEngine:
    """One server, with as many slots as it was told."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.ready_at = time.monotonic() + options.load_delay
        self.loaded = False
        self.chats = 0
        self.busy = 0
        self.asleep = False
        self.can_sleep = options.enable_sleep_mode and os.environ.get("VLLM_SERVER_DEV_MODE") == "1"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it is closed."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                method, path, body = await _read_request(reader)
                await self._answer(method, path, body, writer)
        writer.close()

    async def _answer(
        self, method: str, path: str, body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        if self._loads():
            await _send(writer, 503, LOADING)
        elif self.can_sleep and path in ("/sleep", "/wake_up", "/is_sleeping"):
            await self._nap(path, writer)
        elif self.asleep:
            # The real one would take it, and fail in words of CUDA.
            os.kill(os.getpid(), signal.SIGKILL)
        elif path == "/health":
            await _send(writer, 200, {"status": "ok"})
        elif path == "/slots":
            slots = [
                {"id": n, "is_processing": n < self.busy} for n in range(self.options.parallel)
            ]
            await _send(writer, 200, slots)
        elif path == "/v1/completions":
            choices = [{"index": 0, "text": "x", "finish_reason": "length"}]
            await _send(writer, 200, self._result("text_completion", choices))
        elif path == "/v1/chat/completions" and method == "POST":
            self.busy += 1
            try:
                await self._chat(json.loads(body), writer)
            finally:
                self.busy -= 1
        else:
            message = {"message": "File Not Found", "type": "not_found_error", "code": 404}
            await _send(writer, 404, {"error": message})

    def _loads(self) -> bool:
        """Whether it still loads; what was loaded once stays, whatever becomes of the file."""
        if self.options.hang_while_loading or time.monotonic() < self.ready_at:
            return True
        file = self.options.load_until
        self.loaded = self.loaded or file is None or file.exists()
        return not self.loaded

    async def _nap(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path == "/sleep":
            await asyncio.sleep(self.options.sleep_delay)
        errors = {"/sleep": self.options.sleep_error, "/wake_up": self.options.wake_error}
        if errors.get(path) is not None:
            await _send(writer, errors[path], {"error": {"message": "CUDA error"}})
            return
        if path != "/is_sleeping":
            self.asleep = path == "/sleep"
            print(f"It took 0.000001 seconds to {'fall asleep' if self.asleep else 'wake up'}.")
        await _send(writer, 200, {"is_sleeping": self.asleep})

    async def _chat(self, request: dict[str, object], writer: asyncio.StreamWriter) -> None:
        self.chats += 1
        if self.options.crash_after is not None and self.chats >= self.options.crash_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.options.error is not None:
            error = {"message": "broken on demand", "type": "server_error"}
            await _send(writer, self.options.error, {"error": error})
        elif request.get("stream"):
            await _send_stream(writer, self._chunks(request))
        else:
            await asyncio.sleep(self.options.chunks * self.options.chunk_delay)
            text = "".join(self._words())
            message = {"role": "assistant", "content": text}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            await _send(writer, 200, self._result("chat.completion", choices))

    async def _chunks(self, request: dict[str, object]) -> AsyncIterator[str]:
        for number, word in enumerate(self._words()):
            await asyncio.sleep(self.options.chunk_delay)
            if number == self.options.crash_after_chunks:
                os.kill(os.getpid(), signal.SIGKILL)
            choices = [{"index": 0, "delta": {"content": word}, "finish_reason": None}]
            yield json.dumps(self._result("chat.completion.chunk", choices, usage=False))
        end = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        yield json.dumps(self._result("chat.completion.chunk", end, usage=False))
        wanted = request.get("stream_options")
        if isinstance(wanted, dict) and wanted.get("include_usage"):
            yield json.dumps(self._result("chat.completion.chunk", []))
        yield "[DONE]"

    def _words(self) -> list[str]:
        return [f"word{number} " for number in range(self.options.chunks)]

    def _result(
        self, kind: str, choices: Sequence[object], *, usage: bool = True
    ) -> dict[str, object]:
        result: dict[str, object] = {
            "id": f"fake-{self.chats}",
            "object": kind,
            "created": int(time.time()),
            "model": self.options.alias,
            "choices": choices,
        }
        if usage:
            tokens = self.options.chunks
            result["usage"] = {
                "prompt_tokens": 1,
                "completion_tokens": tokens,
                "total_tokens": tokens + 1,
            }
        return result


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.split("\r\n")
    method, path, _ = start.split(" ", 2)
    headers = {
        key.lower(): value.strip() for key, _, value in (one.partition(":") for one in lines)
    }
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return method, path.partition("?")[0], body


async def _send(writer: asyncio.StreamWriter, status: int, answer: object) -> None:
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    await writer.drain()


async def _send_stream(writer: asyncio.StreamWriter, events: AsyncIterator[str]) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
    writer.write(head + b"\r\n\r\n")
    async for event in events:
        data = f"data: {event}\n\n".encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _serve(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    if options.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    if options.leak is not None:
        held: list[bytearray] = []
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGUSR1, lambda: held.append(bytearray(b"x") * options.leak)
        )
    os.umask(0o177)
    print(f"srv load_model: loading model '{options.model}'", flush=True)
    server = await asyncio.start_unix_server(FakeEngine(options).handle, options.host)
    await ended.wait()
    server.close()


def main(arguments: Iterable[str]) -> int:
    """Behave as the flags say."""
    given = list(arguments)
    if "--version" in given:
        print(f"version: {VERSION} (fake)")
        return 0
    options, _ = _parser().parse_known_args(given)
    behaviour = Path(f"{options.model}.behaviour")
    if behaviour.exists():
        options, _ = _parser().parse_known_args([*given, *shlex.split(behaviour.read_text())])
    if options.say:
        print(options.say, file=sys.stderr, flush=True)
    if options.exit_at_once is not None:
        return int(options.exit_at_once)
    if options.signal_at_once is not None:
        os.kill(os.getpid(), options.signal_at_once)
    asyncio.run(_serve(options))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
