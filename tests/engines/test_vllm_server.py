"""The adapter against real vLLM on the CPU: three starts of half a minute each.

The installation makes the first (its verification), ``server`` the second, and the model that
embeds the third. The tests run in the order of this file: the last one on ``server`` kills it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from hydra_box.engines.metrics import EngineMetrics
from hydra_box.engines.verify import DEMO_SAFETENSORS
from hydra_box.engines.vllm import Vllm
from hydra_box.engines.vllm_runtimes import LAUNCHER
from hydra_box.errors import ContextLengthExceeded, HydraError, InvalidRequest, NotFound
from hydra_box.process import find_leftovers, identity, read_last_process, spawn
from hydra_box.types import Launch, ProcessExit, Runtime
from tests.engines.servers import ACCESS_NAME, Answer, Server, ask, launch
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

START_SECONDS = 400.0
CHAT: dict[str, Any] = {
    "messages": [{"role": "user", "content": "What is your name?"}],
    "temperature": 0,
    "max_tokens": 32,
}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 8}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def wanted(model: Path, directory: Path, **changes: Any) -> Launch:
    options = {"kv_cache_bytes": 64 << 20, "kv_cache_type": "auto", "slots": 2, **changes}
    return launch(model, directory, **options)


@pytest.fixture
def place(short_directory: Path) -> Path:
    """Where one test starts an engine of its own."""
    return Path(tempfile.mkdtemp(dir=short_directory))


@pytest.fixture(scope="module")
def directory(short_directory: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=short_directory))


@pytest.fixture(scope="module")
def server(vllm_runtime: Runtime, directory: Path) -> Iterator[Server]:
    """The demo model on vLLM, ready; its process leads a session, as the supervisor starts it."""
    asked = wanted(DEMO_SAFETENSORS, directory)
    command = Vllm().command(vllm_runtime, asked)
    log_path = directory / "engine.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command.argv, env=command.env, stdout=log, stderr=log, start_new_session=True
        )
    server = Server(process, Path(asked.socket_path), log_path)
    try:
        ignored = (ConnectionError,)
        eventually(server.ready, START_SECONDS, what="vLLM is ready", ignoring=ignored)
        yield server
    finally:
        for one in session_of(process.pid):
            one.kill()
        process.wait()


def session_of(leader: int) -> list[psutil.Process]:
    """The processes of a session that live."""
    found = []
    for process in psutil.process_iter():
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        state, session = fields[0], int(fields[3])
        if session == leader and state not in "ZX":
            found.append(process)
    return found


def translated(answer: Answer) -> HydraError:
    return Vllm().translate_error(answer.status, answer.body, {})


def chat(server: Server, **changes: Any) -> Any:
    answer = server.ask("/v1/chat/completions", {"model": ACCESS_NAME, **CHAT, **changes})
    assert answer.status == 200, answer.body
    return answer.json


def metrics(server: Server) -> EngineMetrics:
    return asyncio.run(Vllm().metrics(server.socket_path))


def refused(server: Server, **changes: Any) -> HydraError:
    request = {"model": ACCESS_NAME, **CHAT, **changes}
    return translated(server.ask("/v1/chat/completions", request))


def test_verification_left_no_process(vllm_runtime: Runtime) -> None:
    home = Path(vllm_runtime.location).parents[2]
    assert list(find_leftovers(home)) == []


async def test_ready_once_a_token_was_made(server: Server) -> None:
    assert await Vllm().probe(server.socket_path, ACCESS_NAME)


def test_socket_is_for_this_user_alone(server: Server) -> None:
    mode = server.socket_path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) & 0o077 == 0


def test_its_processes_listen_on_this_machine_alone(server: Server) -> None:
    addresses = {
        one.laddr.ip
        for process in session_of(server.process.pid)
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::1"}


def test_chat(server: Server) -> None:
    answer = chat(server)
    assert answer["model"] == ACCESS_NAME
    assert "Hydra Box Demo" in answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] > 3


def test_stream_ends_with_the_usage(server: Server) -> None:
    request = {**CHAT, "model": ACCESS_NAME, "stream": True}
    request["stream_options"] = {"include_usage": True}
    lines = server.ask("/v1/chat/completions", request).body.decode().split("\n\n")
    *chunks, done = [line.removeprefix("data: ") for line in lines if line]
    assert done == "[DONE]"
    decoded = [json.loads(chunk) for chunk in chunks]
    text = "".join(one["choices"][0]["delta"].get("content") or "" for one in decoded[:-1])
    assert "Hydra Box Demo" in text
    assert decoded[-1]["choices"] == []
    assert decoded[-1]["usage"]["total_tokens"] > decoded[-1]["usage"]["prompt_tokens"] > 0


def test_answer_in_the_form_of_a_json_schema(server: Server) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    content = chat(server, response_format=form)["choices"][0]["message"]["content"]
    assert isinstance(json.loads(content)["answer"], int)


def test_tool_that_is_offered_and_tool_that_is_required(server: Server) -> None:
    assert "Hydra Box" in chat(server, tools=[TOOL])["choices"][0]["message"]["content"]
    choice = {"type": "function", "function": {"name": "get_weather"}}
    for required in (choice, "required"):
        # Unpunished, so small a model puts spaces into its JSON without an end.
        answer = chat(
            server, tools=[TOOL], tool_choice=required, max_tokens=128, frequency_penalty=2
        )
        called = answer["choices"][0]["message"]["tool_calls"][0]["function"]
        assert called["name"] == "get_weather"
        assert set(json.loads(called["arguments"])) == {"city"}


def test_counters_grow_by_what_was_used(server: Server) -> None:
    before = metrics(server)
    # Longer than a block of its cache, so that the second finds the first one's.
    long = [{"role": "user", "content": "What is your name? " * 30}]
    used = [chat(server, messages=long)["usage"] for _ in range(2)]

    def grown(name: str) -> float:
        difference: float = getattr(metrics(server), name) - getattr(before, name)
        return difference

    def count(name: str) -> int:
        difference: int = getattr(metrics(server), name).count - getattr(before, name).count
        return difference

    def all_counted() -> bool:
        return count("duration_seconds") == 2

    eventually(all_counted, what="vLLM has counted both requests")
    assert grown("prompt_tokens") == sum(one["prompt_tokens"] for one in used)
    cached = [one["prompt_tokens_details"]["cached_tokens"] for one in used]
    assert grown("cached_tokens") == sum(cached) > 0
    assert grown("completion_tokens") == sum(one["completion_tokens"] for one in used)
    assert count("ttft_seconds") == count("tpot_seconds") == 2
    for name in ("prefill_seconds", "decode_seconds", "steps"):
        assert grown(name) > 0, name


def test_load_and_what_vllm_does_not_say(server: Server) -> None:
    told = metrics(server)
    assert (told.running, told.waiting, told.preemptions) == (0, 0, 0)
    assert told.kv_cache_used_ratio is not None
    assert 0.0 <= told.kv_cache_used_ratio <= 1.0
    assert (told.sequences_per_step, told.drafts) == (None, None)


@pytest.mark.parametrize("stream", [False, True])
def test_prompt_longer_than_the_context(server: Server, stream: bool) -> None:
    messages = [{"role": "user", "content": "hello " * 300}]
    error = refused(server, messages=messages, stream=stream)
    assert type(error) is ContextLengthExceeded
    assert "maximum context length is 256 tokens; the prompt has at least 257" in error.message


@pytest.mark.parametrize(
    ("changes", "message", "param"),
    [
        ({"messages": "x"}, "'messages': Input should be a valid list", "messages"),
        ({"temperature": "hot"}, "'temperature': Input should be a valid number", "temperature"),
        ({"n": 3}, "n must be at most 2, got 3.", None),
        ({"tools": 5}, "'tools': Input should be a valid list", "tools"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "nonsense"}},
                }
            },
            "the JSON schema or grammar for the answer cannot be used: ",
            "response_format",
        ),
        ({"structured_outputs": {"grammar": "root ::= (((("}}, "grammar", "response_format"),
    ],
)
def test_wrong_requests_are_the_callers_fault(
    server: Server, changes: dict[str, Any], message: str, param: str | None
) -> None:
    error = refused(server, **changes)
    assert type(error) is InvalidRequest
    assert message in error.message
    assert error.param == param
    assert "VLLM_" not in error.message


def test_body_that_is_not_json(server: Server) -> None:
    error = translated(server.ask("/v1/chat/completions", b"{bad"))
    assert error.message.startswith("the body is not JSON: ")


def test_image_for_a_model_without_eyes(server: Server) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    error = refused(server, messages=[{"role": "user", "content": [image]}])
    assert error.message == "this model takes no image, audio or video input"


def test_calls_that_the_service_does_not_have(server: Server) -> None:
    error = translated(server.ask("/v1/embeddings", {"model": ACCESS_NAME, "input": "x"}))
    assert type(error) is NotFound
    assert "either text or embeddings" in (error.hint or "")
    assert server.ask("/docs").status == 404


def test_prompts_are_not_in_the_log(server: Server) -> None:
    chat(server, messages=[{"role": "user", "content": "xyzzy plugh"}])
    assert "xyzzy" not in server.log_path.read_text()


def test_leaving_client_frees_the_slot(server: Server) -> None:
    connection = server.connection()
    endless = {**CHAT, "model": ACCESS_NAME, "max_tokens": 200, "ignore_eos": True, "stream": True}
    connection.request("POST", "/v1/chat/completions", json.dumps(endless))
    connection.getresponse().readline()
    connection.close()

    def idle() -> bool:
        return metrics(server).running == 0

    eventually(idle, what="vLLM has dropped the request")


def test_nothing_is_left_when_its_first_process_is_killed(server: Server) -> None:
    """Also when nobody ends its process group: its workers end with their parents."""
    assert len(session_of(server.process.pid)) >= 4
    server.process.kill()
    server.process.wait()
    eventually(lambda: not session_of(server.process.pid), what="all its processes have ended")


@pytest.fixture
def embedder(place: Path) -> Path:
    """The demo model, which now says that it embeds."""
    model = place / "embedder"
    shutil.copytree(DEMO_SAFETENSORS, model)
    (model / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.Pooling"}]))
    return model


async def test_model_that_embeds_is_stopped_with_all_its_processes(
    vllm_runtime: Runtime, place: Path, embedder: Path
) -> None:
    asked = wanted(embedder, place)
    command = Vllm().command(vllm_runtime, asked)
    assert "pooling" in command.argv
    log = place / "engine.log"
    env = {**command.env, **identity(place, "embedder")}
    process = spawn(command.argv, env=env, cwd=place, log_path=log)
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await Vllm().probe(Path(asked.socket_path), ACCESS_NAME):
                assert not process.ended, read_last_process(log)
                await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=0.2)
        await asyncio.to_thread(_embeds, asked)
        assert len(session_of(process.pid)) >= 4
    finally:
        exit = await process.stop(90)
    assert exit == ProcessExit(code=0)
    # What cleans up behind the others ends a moment after them.
    await asyncio.to_thread(eventually, lambda: not session_of(process.pid))
    assert list(find_leftovers(place)) == []


def _embeds(asked: Launch) -> None:
    answer = ask(
        Path(asked.socket_path), "/v1/embeddings", {"model": ACCESS_NAME, "input": ["hello", "cat"]}
    )
    assert [len(one["embedding"]) for one in answer.json["data"]] == [256, 256]
    refusal = ask(Path(asked.socket_path), "/v1/chat/completions", {"model": ACCESS_NAME, **CHAT})
    assert type(translated(refusal)) is NotFound


def ended(runtime: Runtime, asked: Launch, argv: tuple[str, ...] | None = None) -> tuple[int, str]:
    """How a process that cannot start ends, and the fact that its log tells."""
    command = Vllm().command(runtime, asked)
    log_path = Path(asked.socket_path).with_suffix(".log")
    with log_path.open("wb") as log:
        code = subprocess.run(
            argv or command.argv,
            env=command.env,
            stdout=log,
            stderr=log,
            timeout=START_SECONDS,
            check=False,
        ).returncode
    return code, Vllm().explain_exit(ProcessExit(code=code), log_path.read_text()).fact


def test_architecture_that_vllm_does_not_know_is_explained(
    vllm_runtime: Runtime, place: Path
) -> None:
    model = place / "unknown"
    shutil.copytree(DEMO_SAFETENSORS, model)
    config = json.loads((model / "config.json").read_text())
    asked = wanted(model, place)
    good = Vllm().command(vllm_runtime, asked)
    assert str(LAUNCHER) in good.argv
    (model / "config.json").write_text(
        json.dumps({**config, "architectures": ["FrobnicateForCausalLM"]})
    )
    code, fact = ended(vllm_runtime, wanted(DEMO_SAFETENSORS, place), _with(good.argv, model))
    assert code == 1
    assert fact == "this vLLM does not know the model's architecture 'FrobnicateForCausalLM'"


def _with(argv: tuple[str, ...], model: Path) -> tuple[str, ...]:
    return tuple(str(model) if word == str(DEMO_SAFETENSORS) else word for word in argv)


def test_context_longer_than_the_model_was_trained_for_is_explained(
    vllm_runtime: Runtime, place: Path
) -> None:
    code, fact = ended(vllm_runtime, wanted(DEMO_SAFETENSORS, place, context_length=999_999))
    assert code == 1
    assert "999999 tokens is longer than the model was trained for: 2048" in fact
