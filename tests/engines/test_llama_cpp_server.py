"""The adapter against the real bundled server: what it is asked, and what it answers."""

from __future__ import annotations

import asyncio
import json
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_box.engines.llama_cpp import LlamaCpp
from hydra_box.engines.llama_cpp_runtimes import find_bundled
from hydra_box.errors import (
    ContextLengthExceeded,
    EngineError,
    HydraError,
    InvalidRequest,
    NotFound,
)
from tests.engines.servers import ACCESS_NAME, Answer, Server, launch, serving, started
from tests.models.tiny_gguf import write_tiny_embedder, write_tiny_gguf
from tests.waiting import eventually

LONG_CONTEXT = 16_384
CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}


@pytest.fixture(scope="module")
def directory(short_directory: Path) -> Path:
    path = short_directory / "engine"
    path.mkdir()
    return path


@pytest.fixture
def place(short_directory: Path) -> Path:
    """Where one test starts an engine of its own."""
    return Path(tempfile.mkdtemp(dir=short_directory))


@pytest.fixture(scope="module")
def tiny(directory: Path) -> Path:
    return write_tiny_gguf(directory / "tiny.gguf", context_length=LONG_CONTEXT, width=128)


@pytest.fixture(scope="module")
def server(directory: Path, tiny: Path) -> Iterator[Server]:
    with serving(launch(tiny, directory, slots=2)) as server:
        yield server


def said(server: Server, words: str) -> bool:
    return words in server.log_path.read_text(errors="replace")


def translated(answer: Answer) -> HydraError:
    return LlamaCpp().translate_error(answer.status, answer.body, {})


async def test_probe_is_true_once_a_token_was_answered(server: Server) -> None:
    assert await LlamaCpp().probe(server.socket_path, ACCESS_NAME)


async def test_probe_refuses_an_engine_that_serves_something_else(server: Server) -> None:
    with pytest.raises(EngineError, match="serves 'u-1100a15812cc/tiny', not 'public/other'"):
        await LlamaCpp().probe(server.socket_path, "public/other")


async def test_probe_is_false_while_nothing_listens(directory: Path) -> None:
    assert not await LlamaCpp().probe(directory / "nothing.sock", ACCESS_NAME)
    (directory / "plain.sock").touch()
    assert not await LlamaCpp().probe(directory / "plain.sock", ACCESS_NAME)


def test_socket_is_for_this_user_alone(server: Server) -> None:
    assert stat.S_IMODE(server.socket_path.stat().st_mode) == 0o600


def test_one_instance_serves_chat_and_embeddings(server: Server) -> None:
    chat = server.ask("/v1/chat/completions", CHAT)
    assert (chat.status, chat.json["model"]) == (200, ACCESS_NAME)
    assert chat.json["usage"]["completion_tokens"] == 2
    embedding = server.ask("/v1/embeddings", {"input": ["one", "two"]})
    assert [len(one["embedding"]) for one in embedding.json["data"]] == [128, 128]


def test_slots_and_metrics_can_be_read(server: Server) -> None:
    assert [slot["n_ctx"] for slot in server.ask("/slots").json] == [256, 256]
    assert b"llamacpp:tokens_predicted_total" in server.ask("/metrics").body


async def test_metrics_of_an_engine_that_is_gone_are_an_error(place: Path) -> None:
    with pytest.raises(EngineError, match="does not answer when asked for /metrics"):
        await LlamaCpp().metrics(place / "engine.sock")


def test_load_is_seen_while_it_works(place: Path, tiny: Path) -> None:
    endless = {**CHAT, "max_tokens": 1_000_000, "ignore_eos": True, "stream": True}
    with serving(launch(tiny, place, context_length=LONG_CONTEXT)) as server:
        connection = server.connection()
        connection.request("POST", "/v1/chat/completions", json.dumps(endless))
        connection.getresponse().readline()
        load = asyncio.run(LlamaCpp().metrics(server.socket_path))
        connection.close()
    assert load.running == 1
    assert load.kv_cache_used_ratio is not None
    assert 0.0 < load.kv_cache_used_ratio < 1.0


def test_log_tells_what_was_allocated_and_no_prompt(server: Server, tiny: Path) -> None:
    message = {"role": "user", "content": "xyzzy plugh"}
    assert server.ask("/v1/chat/completions", {**CHAT, "messages": [message]}).status == 200
    report = eventually(lambda: LlamaCpp().report(server.log_path.read_text()))
    assert report is not None
    assert report.total_bytes > tiny.stat().st_size // 2
    assert not said(server, "xyzzy")


def test_cache_type_and_threads_are_taken(place: Path, tiny: Path) -> None:
    wanted = launch(tiny, place, context_length=1024, kv_cache_type="q8_0", threads=1)
    with serving(wanted) as server:
        # A thread of its own writes the log.
        eventually(lambda: said(server, "K (q8_0)"))
        eventually(lambda: said(server, "n_threads = 1 (n_threads_batch = 1)"))


def test_there_is_no_web_page(server: Server) -> None:
    assert server.ask("/").status == 404


@pytest.mark.parametrize("stream", [False, True])
def test_prompt_longer_than_the_context(server: Server, stream: bool) -> None:
    message = {"role": "user", "content": "x" * 400}
    answer = server.ask("/v1/chat/completions", {"messages": [message], "stream": stream})
    error = translated(answer)
    assert type(error) is ContextLengthExceeded
    assert "maximum context length is 256 tokens; the prompt has 4" in error.message


def test_embedding_input_longer_than_the_context(server: Server) -> None:
    error = translated(server.ask("/v1/embeddings", {"input": "x" * 400}))
    assert type(error) is ContextLengthExceeded
    assert "256 tokens" in error.message
    assert "404 tokens" in error.message


@pytest.mark.parametrize(
    ("request_body", "message", "param"),
    [
        (b"{bad", "parse error at line 1, column 2", None),
        ({}, "'messages' is required", "messages"),
        ({"messages": "x"}, "Expected 'messages' to be an array", "messages"),
        ({**CHAT, "temperature": "hot"}, "type must be number, but is string", "temperature"),
        ({**CHAT, "n": 9}, "Value must be between 1 <= value <= 2, but got 9", "n"),
        ({**CHAT, "tools": 5}, "Expected 'tools' to be an array", "tools"),
        ({**CHAT, "grammar": "root ::= (((("}, "failed to parse grammar", "response_format"),
        (
            {
                **CHAT,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "nonsense"}},
                },
            },
            "the JSON schema or grammar for the answer cannot be used: ",
            "response_format",
        ),
    ],
)
def test_wrong_requests_are_the_callers_fault(
    server: Server, request_body: object, message: str, param: str | None
) -> None:
    error = translated(server.ask("/v1/chat/completions", request_body))
    assert type(error) is InvalidRequest
    assert message in error.message
    assert "json.exception" not in error.message
    assert error.param == param


def test_image_for_a_model_without_eyes(server: Server) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    answer = server.ask(
        "/v1/chat/completions", {"messages": [{"role": "user", "content": [image]}]}
    )
    assert translated(answer).message == "this model takes no image input"


def test_calls_that_the_service_does_not_have(server: Server) -> None:
    rerank = server.ask("/v1/rerank", {"query": "a", "documents": ["b"]})
    assert translated(rerank).message == "this service does not support reranking"
    assert type(translated(server.ask("/v1/nothing", {}))) is NotFound


async def test_model_that_makes_no_text_is_ready_once_it_embeds(place: Path) -> None:
    model = write_tiny_embedder(place / "embedder.gguf")
    with serving(launch(model, place)) as server:
        assert await LlamaCpp().probe(server.socket_path, ACCESS_NAME)
        error = translated(server.ask("/v1/chat/completions", CHAT))
        embedding = server.ask("/v1/embeddings", {"input": "ab"})
    assert type(error) is InvalidRequest
    assert error.message == "this model makes embeddings, not text"
    assert len(embedding.json["data"][0]["embedding"]) == 32


@pytest.mark.parametrize("stream", [True, False])
def test_leaving_client_frees_the_slot(place: Path, tiny: Path, stream: bool) -> None:
    """A million tokens would take minutes; the slot is free long before."""
    wanted = launch(tiny, place, context_length=LONG_CONTEXT)
    endless = {**CHAT, "max_tokens": 1_000_000, "ignore_eos": True, "stream": stream}
    with serving(wanted) as server:
        connection = server.connection()
        connection.request("POST", "/v1/chat/completions", json.dumps(endless))
        eventually(lambda: said(server, "processing task"), what="the engine works on it")
        if stream:
            assert connection.getresponse().readline().startswith(b"data: ")
        connection.close()
        # Read from the log: a request to the server while it waits would keep it from looking.
        eventually(lambda: said(server, "cancel task"), what="the engine drops the request")
        assert server.ask("/v1/chat/completions", CHAT).status == 200
        assert [slot["is_processing"] for slot in server.ask("/slots").json] == [False]


def test_sigterm_ends_it_at_once_also_in_the_middle_of_an_answer(place: Path, tiny: Path) -> None:
    with serving(launch(tiny, place, context_length=LONG_CONTEXT)) as server:
        connection = server.connection()
        endless = {**CHAT, "max_tokens": 1_000_000, "ignore_eos": True, "stream": True}
        connection.request("POST", "/v1/chat/completions", json.dumps(endless))
        connection.getresponse().readline()
        server.process.terminate()
        assert server.wait().code == 0
        connection.close()
        assert not server.socket_path.exists()


def model_file(place: Path, fault: str) -> Path:
    path = place / f"{fault}.gguf"
    whole = write_tiny_gguf(path, architecture="frobnicate" if fault == "unknown" else "llama")
    content = whole.read_bytes()
    if fault == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif fault == "corrupt":
        path.write_bytes(b"XXXX" + content[4:])
    elif fault == "short":
        path.write_bytes(content[:100])
    elif fault == "missing":
        path.unlink()
    return path


@pytest.mark.parametrize(
    ("fault", "fact"),
    [
        ("truncated", "truncated or corrupt: it ends before its tensors do"),
        ("corrupt", "is not a GGUF file"),
        ("short", "corrupt: failed to read key-value pairs"),
        ("unknown", "does not know the model's architecture 'frobnicate'"),
        ("missing", "does not exist"),
    ],
)
def test_models_that_cannot_be_loaded_are_explained(
    place: Path, tiny: Path, fault: str, fact: str
) -> None:
    good = LlamaCpp().command(find_bundled()[0], launch(tiny, place))
    argv = tuple(str(model_file(place, fault)) if word == str(tiny) else word for word in good.argv)
    with started(launch(tiny, place), argv) as server:
        exit = server.wait()
        explanation = LlamaCpp().explain_exit(exit, server.log_path.read_text())
    assert exit.code == 1
    assert fact in explanation.fact
    assert explanation.hint


def test_socket_that_cannot_be_made_is_explained(place: Path, tiny: Path) -> None:
    wanted = launch(tiny, place)
    nowhere = str(place / "nowhere" / "engine.sock")
    command = LlamaCpp().command(find_bundled()[0], wanted)
    argv = tuple(nowhere if word == wanted.socket_path else word for word in command.argv)
    with started(wanted, argv) as server:
        explanation = LlamaCpp().explain_exit(server.wait(), server.log_path.read_text())
    assert f"could not listen on {nowhere}" in explanation.fact


def test_option_that_the_runtime_does_not_know_is_explained(place: Path, tiny: Path) -> None:
    wanted = launch(tiny, place)
    command = LlamaCpp().command(find_bundled()[0], wanted)
    with started(wanted, (*command.argv, "--frobnicate")) as server:
        exit = server.wait()
        explanation = LlamaCpp().explain_exit(exit, server.log_path.read_text())
    assert exit.code == 2
    assert "does not know the option --frobnicate" in explanation.fact
