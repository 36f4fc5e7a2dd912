"""llama.cpp: the adapter for every runtime of it; all take ``llama-server``'s flags."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import msgspec

from hydra_box.engines import llama_cpp_errors, llama_cpp_exits
from hydra_box.engines.base import Command
from hydra_box.errors import EngineError, HydraError
from hydra_box.models.gguf import has_pooling
from hydra_box.types import EngineName, ExitExplanation, Launch, ProcessExit, Runtime

PASSED_ON = ("HOME", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
"""What an engine gets of the daemon's environment, where it is set: libraries and caches."""

IDLE_PROMPT_CACHE_MIB = 512
"""What an instance may keep of the prompts of finished requests; llama.cpp's own limit is 8 GiB."""

SMALLEST_BATCH_TOKENS, LARGEST_BATCH_TOKENS = 512, 2048
"""An embedding's input has to fit one batch, so that the batch follows the context length."""

ALL_LAYERS = 999

HEALTH_TIMEOUT_SECONDS = 5.0
FIRST_TOKEN_TIMEOUT_SECONDS = 120.0
"""Long, because the first token of a model that is larger than the memory reads it from disk."""


class LlamaCpp:
    """How llama.cpp is started, asked and understood."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    @property
    def name(self) -> EngineName:
        """Its name, as users write it."""
        return EngineName.LLAMA_CPP

    def command(self, runtime: Runtime, launch: Launch) -> Command:
        """The program that serves ``launch`` on its UNIX socket, chat and embeddings both.

        Raises:
            InvalidModel: the model's file cannot be read.

        """
        batch = min(max(launch.context_length, SMALLEST_BATCH_TOKENS), LARGEST_BATCH_TOKENS)
        layers = 0 if launch.device == "cpu" else ALL_LAYERS
        options = {
            "--model": launch.model_path,
            "--alias": launch.access_name,
            "--host": launch.socket_path,
            "--ctx-size": str(launch.context_length * launch.slots),
            "--parallel": str(launch.slots),
            "--batch-size": str(batch),
            "--ubatch-size": str(batch),
            "--n-gpu-layers": str(layers),
            "--cache-ram": str(IDLE_PROMPT_CACHE_MIB),
        }
        if not has_pooling(Path(launch.model_path)):
            # A chat model does not say how to make one vector of many; the mean serves.
            options["--pooling"] = "mean"
        flags = (
            "--embeddings",
            "--jinja",
            "--metrics",
            "--slots",
            "--no-webui",
            "--no-context-shift",
        )
        pairs = (word for pair in options.items() for word in pair)
        return Command(argv=(*runtime.argv, *pairs, *flags), env=self._env(launch.device))

    def _env(self, device: str) -> dict[str, str]:
        env = {name: self._environ[name] for name in PASSED_ON if name in self._environ}
        env["LANG"] = "C.UTF-8"
        # Threads that spin while they wait for each other take the cores from those they wait
        # for: two engines on two busy cores were measured 100 times slower than with this.
        env["OMP_WAIT_POLICY"] = "PASSIVE"
        env["CUDA_VISIBLE_DEVICES"] = "" if device == "cpu" else device
        return env

    async def probe(self, socket_path: Path, access_name: str) -> bool:
        """True once a real one-token request was answered; False while it is still loading.

        A model that makes no text is asked for an embedding instead.

        Raises:
            EngineError: it answered, and wrongly: it will never be ready.

        """
        connector = aiohttp.UnixConnector(path=str(socket_path))
        async with aiohttp.ClientSession("http://engine", connector=connector) as session:
            try:
                return await _healthy(session) and await _answers(session, access_name)
            except (TimeoutError, aiohttp.ClientConnectionError):
                return False  # Not listening yet, busy, or ended: then its exit tells.

    def explain_exit(self, exit: ProcessExit, log_tail: str) -> ExitExplanation:
        """Why the process ended, from the last lines of its log."""
        return llama_cpp_exits.explain(exit, log_tail)

    def progress(self, log_tail: str) -> str | None:
        """What a loading engine is doing, in a few words for people."""
        return llama_cpp_exits.progress(log_tail)

    def translate_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> HydraError:
        """An error answer of llama.cpp (status 400 and up) as one of ours."""
        del headers  # All it says is in the body.
        return llama_cpp_errors.translate(status, body)


async def _healthy(session: aiohttp.ClientSession) -> bool:
    timeout = aiohttp.ClientTimeout(total=HEALTH_TIMEOUT_SECONDS)
    async with session.get("/health", timeout=timeout) as response:
        if response.status not in (200, 503):
            raise EngineError(f"the engine answered {response.status} when asked for its health")
        return response.status == 200


class _FirstAnswer(msgspec.Struct):
    """A completion has choices, an embedding has data."""

    model: str
    choices: list[msgspec.Raw] = []
    data: list[msgspec.Raw] = []


async def _answers(session: aiohttp.ClientSession, access_name: str) -> bool:
    status, body = await _post(session, "/v1/completions", prompt="Hello", max_tokens=1)
    if llama_cpp_errors.makes_no_text(body):
        status, body = await _post(session, "/v1/embeddings", input="Hello")
    if status == 503:
        return False
    if status != 200:
        raise EngineError(
            f"the engine answered {status} to its first request: {llama_cpp_errors.own_words(body)}"
        )
    try:
        answer = msgspec.json.decode(body, type=_FirstAnswer)
    except msgspec.DecodeError as error:
        raise EngineError(f"the engine's first answer is not understood: {error}") from error
    if not answer.choices and not answer.data:
        raise EngineError("the engine's first answer is empty")
    if answer.model != access_name:
        raise EngineError(f"the engine serves {answer.model!r}, not {access_name!r}")
    return True


async def _post(
    session: aiohttp.ClientSession, path: str, **request: str | int
) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=FIRST_TOKEN_TIMEOUT_SECONDS)
    async with session.post(path, json=request, timeout=timeout) as response:
        return response.status, await response.read()
