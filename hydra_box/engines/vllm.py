"""vLLM: the adapter for its GPU and its CPU builds, which take the same flags.

One vLLM process serves either text or embeddings (and scores), never both: what it serves is
decided when it starts, by what the model is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from hydra_box.engines import (
    asking,
    vllm_counts,
    vllm_errors,
    vllm_exits,
    vllm_memory_log,
    vllm_metrics,
    vllm_progress,
    vllm_sleep,
)
from hydra_box.engines.base import Command, MemoryReport
from hydra_box.engines.counts import RunningCounts
from hydra_box.engines.environment import engine_environment
from hydra_box.engines.metrics import EngineMetrics
from hydra_box.engines.vllm_parsers import ChatFiles, choose_parsers
from hydra_box.errors import EngineError, HydraError
from hydra_box.models.facts import read_facts
from hydra_box.types import (
    Accelerator,
    EngineName,
    EngineOptions,
    ExitExplanation,
    Launch,
    Modality,
    ModelFacts,
    ProcessExit,
    Runtime,
    WeightFormat,
)

LONGEST_SOCKET_PATH = 107
"""Characters of a UNIX socket's path, on Linux."""
INNER_SOCKET_NAME = 36
"""vLLM's processes talk over sockets named by a UUID."""

NO_DOMAIN = "nowhere.invalid"
"""No name ends so (RFC 2606): a request can bring an image along, but not have one fetched."""

KEEP_ALIVE_SECONDS = 3600
"""Longer than the gateway keeps a connection, or a request could meet one that is closing."""
SHUTDOWN_SECONDS = 3
"""For its processes to end by themselves and to remove their shared memory."""

_MODALITIES_THAT_POOL = frozenset({Modality.EMBEDDING, Modality.RERANK})


class Vllm:
    """How vLLM is started, asked and understood."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    @property
    def name(self) -> EngineName:
        """Its name, as users write it."""
        return EngineName.VLLM

    @property
    def format(self) -> WeightFormat:
        """The weights that it reads."""
        return WeightFormat.SAFETENSORS

    @property
    def counts(self) -> RunningCounts:
        """How it is made to count while it generates."""
        return vllm_counts.COUNTS

    def trial_options(self, accelerator: Accelerator) -> EngineOptions:
        """The small options that a runtime is verified with."""
        del accelerator  # The same on both.
        return EngineOptions(
            context_length=256,
            slots=1,
            batch_tokens=256,
            kv_cache_bytes=64 << 20,
            kv_cache_type="auto",
        )

    def flags(
        self, options: EngineOptions, accelerator: Accelerator, facts: ModelFacts
    ) -> tuple[str, ...]:
        """The command line without program, model, names and socket."""
        pools = facts.modality in _MODALITIES_THAT_POOL
        # An encoder takes its whole input in one step.
        batch = max(options.batch_tokens, options.context_length if pools else 0)
        values = {
            "--max-model-len": options.context_length,
            "--max-num-seqs": options.slots,
            "--max-num-batched-tokens": batch,
            "--kv-cache-memory-bytes": options.kv_cache_bytes,
            "--kv-cache-dtype": options.kv_cache_type,
            "--tensor-parallel-size": options.tensor_parallel,
            # The cache has its exact size, so that this is only what must be free at the start:
            # the default would refuse a GPU that something else has a part of.
            "--gpu-memory-utilization": 0.01,
        }
        words = [str(word) for pair in values.items() for word in pair]
        if accelerator is Accelerator.CPU:
            # Compiling takes 40 seconds at every start and gains little without a GPU.
            words.append("--enforce-eager")
        if pools:
            words += ["--runner", "pooling"]
        return tuple(words)

    def command(self, runtime: Runtime, launch: Launch) -> Command:
        """The program that serves ``launch`` on its UNIX socket.

        Raises:
            InvalidModel: the model's files cannot be read.
            NotFound: they are not there.

        """
        model = Path(launch.model_path)
        facts = read_facts(model)
        accelerator = Accelerator.CPU if launch.device == "cpu" else Accelerator.CUDA
        parsers = choose_parsers(facts.architecture, ChatFiles(model))
        return Command(
            argv=(
                *runtime.argv,
                launch.model_path,
                *("--served-model-name", launch.access_name),
                *("--uds", launch.socket_path),
                *self.flags(launch.options, accelerator, facts),
                *parsers.flags,
                *(("--trust-remote-code",) if launch.allows_code else ()),
                *(vllm_sleep.FLAGS if _can_sleep(launch) else ()),
                *("--allowed-media-domains", NO_DOMAIN),
                *("--shutdown-timeout", str(SHUTDOWN_SECONDS)),
                "--enable-prompt-tokens-details",
                "--disable-uvicorn-access-log",
                "--disable-fastapi-docs",
            ),
            env=self._env(runtime, launch),
        )

    def _env(self, runtime: Runtime, launch: Launch) -> dict[str, str]:
        location = Path(runtime.location)
        env = engine_environment(self._environ, launch.device) | {
            # Its caches of compiled code stay with the build that made them.
            "HOME": str(location / "home"),
            "PATH": os.pathsep.join((str(location / "bin"), self._environ.get("PATH", ""))),
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "VLLM_MAX_N_SEQUENCES": str(launch.options.slots),
            "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
            "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": str(KEEP_ALIVE_SECONDS),
            "VLLM_DISABLE_LOG_LOGO": "1",
            "VLLM_LOGGING_COLOR": "0",
            # Its processes meet on this machine; none of them is for the network.
            "VLLM_HOST_IP": "127.0.0.1",
            "GLOO_SOCKET_IFNAME": "lo",
            "NCCL_SOCKET_IFNAME": "lo",
        }
        if launch.device == "cpu":
            env["OMP_NUM_THREADS"] = str(launch.options.threads)
            # Bound to cores, two instances would share the first and leave the others idle.
            env["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
        if _can_sleep(launch):
            env |= vllm_sleep.ENVIRONMENT
        private = str(Path(launch.socket_path).parent)
        if len(private) + 1 + INNER_SOCKET_NAME <= LONGEST_SOCKET_PATH:
            env["TMPDIR"] = env["VLLM_RPC_BASE_PATH"] = private
        return env

    async def probe(self, socket_path: Path, access_name: str) -> bool:
        """True once a real one-token request was answered; False while it is still loading.

        A model that makes no text is asked for an embedding, or else for a score.

        Raises:
            EngineError: it answered, and wrongly: it will never be ready.

        """
        async with asking.engine_at(socket_path) as session:
            try:
                return await asking.is_healthy(session) and await _answers(session, access_name)
            except asking.NO_ANSWER:
                return False  # Not listening yet, busy, or ended: then its exit tells.

    def explain_exit(self, exit: ProcessExit, log_tail: str) -> ExitExplanation:
        """Why the process ended, from the last lines of its log."""
        return vllm_exits.explain(exit, log_tail)

    def progress(self, log_tail: str) -> str | None:
        """What a loading engine is doing, in a few words for people."""
        return vllm_progress.progress(log_tail)

    def report(self, log: str) -> MemoryReport | None:
        """Weights, KV cache and CUDA graphs, as its GPU workers name them."""
        return vllm_memory_log.report(log)

    async def metrics(self, socket_path: Path) -> EngineMetrics:
        """What it has under way now, and what it has counted since its process was started.

        Raises:
            EngineError: it does not answer, or not in words that are understood.

        """
        return vllm_metrics.understand(await asking.read(socket_path, "/metrics"))

    def translate_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> HydraError:
        """An error answer of vLLM (status 400 and up) as one of ours."""
        del headers  # All it says is in the body.
        return vllm_errors.translate(status, body)


def _can_sleep(launch: Launch) -> bool:
    """Its CPU build has no sleep mode, and refuses to start when asked for one."""
    return launch.may_sleep and launch.device != "cpu"


async def _answers(session: aiohttp.ClientSession, access_name: str) -> bool:
    """Ask for a token; where there is no such call, for an embedding; else for a score."""
    questions: tuple[tuple[str, dict[str, str | int]], ...] = (
        ("/v1/completions", {"prompt": "Hello", "max_tokens": 1}),
        ("/v1/embeddings", {"input": "Hello"}),
        ("/score", {"text_1": "Hello", "text_2": "Hello"}),
    )
    for path, question in questions:
        answer = await asking.post(session, path, {"model": access_name, **question})
        if answer.status == 404 and vllm_errors.has_no_such_call(answer.body):
            continue
        if answer.status == 503:
            return False
        if answer.status != 200:
            words = vllm_errors.own_words(answer.body)
            raise EngineError(f"the engine answered {answer.status} to its first request: {words}")
        asking.check_first_answer(answer.body, access_name)
        return True
    raise EngineError("the engine makes neither text, nor embeddings, nor scores")
