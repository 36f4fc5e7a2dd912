"""The fake engine misbehaves as it is told, so that tests of faults may rely on it."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path

import pytest

from hydra_box.engines.llama_cpp import LlamaCpp
from hydra_box.types import Accelerator, EngineName, Runtime, RuntimeSource
from hydra_box.watch.signs_of_life import listens
from tests.engines.servers import ACCESS_NAME, Server, launch, started
from tests.fakes.engine import behave, install_on_path
from tests.models.tiny_gguf import write_tiny_gguf
from tests.waiting import eventually

CHAT = {"messages": [{"role": "user", "content": "hello"}]}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
def place(short_directory: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=short_directory))


@contextmanager
def fake(place: Path, *behaviour: str) -> Iterator[Server]:
    """A fake engine that was started by a shell, as from a PATH, and behaves as told."""
    model = write_tiny_gguf(place / "tiny.gguf")
    behave(model, *behaviour)
    program = str(install_on_path(place / "bin"))
    runtime = Runtime(
        id="llama.cpp/path-9999-cpu",
        engine=EngineName.LLAMA_CPP,
        version="9999",
        accelerator=Accelerator.CPU,
        source=RuntimeSource.PATH,
        location=program,
        argv=(program,),
    )
    wanted = launch(model, place, slots=2)
    with started(wanted, LlamaCpp().command(runtime, wanted).argv) as server:
        eventually(lambda: listens(server.socket_path) or server.process.poll() is not None)
        yield server


def events(server: Server) -> list[str]:
    lines = server.ask("/v1/chat/completions", STREAM).body.decode().splitlines()
    return [line.removeprefix("data: ") for line in lines if line]


async def test_well_behaved(place: Path) -> None:
    with fake(place, "--chunks", "2") as server:
        assert await LlamaCpp().probe(server.socket_path, ACCESS_NAME)
        answer = server.ask("/v1/chat/completions", CHAT).json
        assert answer["choices"][0]["message"]["content"] == "word0 word1 "
        *chunks, usage, end = events(server)
        words = [json.loads(one)["choices"][0]["delta"].get("content") for one in chunks]
        assert words == ["word0 ", "word1 ", None]
        assert json.loads(usage)["usage"]["completion_tokens"] == 2
        assert end == "[DONE]"
        server.process.terminate()
        assert server.wait().code == 0


@pytest.mark.parametrize("behaviour", [("--load-delay", "60"), ("--hang-while-loading",)])
async def test_not_ready_yet(place: Path, behaviour: tuple[str, ...]) -> None:
    with fake(place, *behaviour) as server:
        assert not await LlamaCpp().probe(server.socket_path, ACCESS_NAME)
        assert server.ask("/health").status == 503


def test_exit_at_once_with_words(place: Path) -> None:
    with fake(place, "--exit-at-once", "3", "--say", "CUDA error: out of memory") as server:
        exit = server.wait()
        explanation = LlamaCpp().explain_exit(exit, server.log_path.read_text())
    assert (exit.code, explanation.fact) == (3, "not enough GPU memory")


def test_sigterm_is_ignored_on_demand(place: Path) -> None:
    with fake(place, "--ignore-sigterm") as server:
        server.process.terminate()
        assert server.ask("/health").status == 200
        assert server.process.poll() is None


def test_crash_at_a_chat(place: Path) -> None:
    with fake(place, "--crash-after", "2") as server:
        assert server.ask("/v1/chat/completions", CHAT).status == 200
        with pytest.raises((RemoteDisconnected, ConnectionResetError)):
            server.ask("/v1/chat/completions", CHAT)
        assert server.wait().signal == signal.SIGKILL


def test_crash_in_a_stream(place: Path) -> None:
    with fake(place, "--crash-after-chunks", "1") as server:
        with pytest.raises((IncompleteRead, ConnectionResetError)):
            events(server)
        assert server.wait().signal == signal.SIGKILL


def test_error_on_demand(place: Path) -> None:
    with fake(place, "--error", "500") as server:
        assert server.ask("/v1/chat/completions", CHAT).status == 500
