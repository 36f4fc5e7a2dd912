"""What is read from an engine's answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hydra_box.engines import ENGINES
from hydra_box.engines.asking import check_first_answer
from hydra_box.errors import EngineError
from hydra_box.types import EngineName


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<html>", "is not understood"),
        (b'{"model": "public/x"}', "is empty"),
        (b'{"model": "public/y", "choices": [{}]}', "serves 'public/y', not 'public/x'"),
    ],
)
def test_wrong_first_answers_are_errors(answer: bytes, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        check_first_answer(answer, "public/x")


def test_text_embedding_and_score_are_answers() -> None:
    for part in ({"choices": [{"text": "x"}]}, {"data": [{"embedding": [0.1]}]}):
        check_first_answer(json.dumps({"model": "public/x", **part}).encode(), "public/x")


@contextmanager
def broken_engine(socket_path: Path, *answers: bytes) -> Iterator[None]:
    """A process that gives each connection one of these answers, and ends in the middle."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(socket_path))
        listener.listen()

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize("name", [EngineName.LLAMA_CPP, EngineName.VLLM])
async def test_one_that_dies_in_the_middle_of_its_answer_is_not_ready(
    name: EngineName, short_directory: Path
) -> None:
    path = short_directory / f"dies-{name.value.replace('.', '')}.sock"
    healthy = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    torn = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"model"'
    with broken_engine(path, healthy, torn):
        assert await ENGINES[name].probe(path, "public/x") is False


@pytest.mark.parametrize("name", [EngineName.LLAMA_CPP, EngineName.VLLM])
async def test_one_that_speaks_no_http_is_wrong(name: EngineName, short_directory: Path) -> None:
    path = short_directory / f"babbles-{name.value.replace('.', '')}.sock"
    with (
        broken_engine(path, b"hello? hello?\r\n\r\n"),
        pytest.raises(EngineError, match="what the engine answers is no HTTP"),
    ):
        await ENGINES[name].probe(path, "public/x")
