"""llama.cpp: the adapter for every runtime of it; all take ``llama-server``'s flags."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from hydra_box.engines import (
    asking,
    llama_cpp_counts,
    llama_cpp_errors,
    llama_cpp_exits,
    llama_cpp_memory_log,
    llama_cpp_metrics,
)
from hydra_box.engines.base import Command, MemoryReport
from hydra_box.engines.counts import RunningCounts
from hydra_box.engines.environment import engine_environment
from hydra_box.engines.metrics import EngineMetrics
from hydra_box.errors import EngineError, HydraError
from hydra_box.models.facts import read_facts
from hydra_box.models.gguf import projector_beside
from hydra_box.types import (
    Accelerator,
    EngineName,
    EngineOptions,
    ExitExplanation,
    Launch,
    ModelFacts,
    ProcessExit,
    Runtime,
    WeightFormat,
)

IDLE_PROMPT_CACHE_MIB = 512
"""What an instance may keep of the prompts of finished requests; llama.cpp's own limit is 8 GiB."""

ALL_LAYERS = 999
LOG_VERBOSITY = 4
"""The first at which it tells the sizes of its buffers; prompts stay out of the log until 5."""


class LlamaCpp:
    """How llama.cpp is started, asked and understood."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    @property
    def name(self) -> EngineName:
        """Its name, as users write it."""
        return EngineName.LLAMA_CPP

    @property
    def format(self) -> WeightFormat:
        """The weights that it reads."""
        return WeightFormat.GGUF

    @property
    def counts(self) -> RunningCounts:
        """How it is made to count while it generates."""
        return llama_cpp_counts.COUNTS

    def trial_options(self, accelerator: Accelerator) -> EngineOptions:
        """The small options that a runtime is verified with."""
        layers = 0 if accelerator is Accelerator.CPU else ALL_LAYERS
        return EngineOptions(context_length=256, slots=1, batch_tokens=256, gpu_layers=layers)

    def flags(
        self, options: EngineOptions, accelerator: Accelerator, facts: ModelFacts
    ) -> tuple[str, ...]:
        """The command line without program, model, names and socket."""
        layers = 0 if accelerator is Accelerator.CPU else options.gpu_layers
        # To make one vector of many, llama.cpp needs a batch that the slots divide.
        batch = options.batch_tokens - options.batch_tokens % options.slots
        values = {
            "--ctx-size": options.context_length * options.slots,
            "--parallel": options.slots,
            "--batch-size": batch,
            "--ubatch-size": batch,
            "--threads": options.threads,
            "--threads-batch": options.threads,
            "--n-gpu-layers": layers,
            "--cache-type-k": options.kv_cache_type,
            "--cache-type-v": options.kv_cache_type,
            # What the plan leaves out must not be filled in by another plan.
            "--fit": "off",
            "--cache-ram": IDLE_PROMPT_CACHE_MIB,
            "--log-verbosity": LOG_VERBOSITY,
        }
        if layers and len(options.split) > 1:
            values["--tensor-split"] = ",".join(f"{share:g}" for share in options.split)
        if not facts.has_pooling:
            # A chat model does not say how to make one vector of many; the mean serves.
            values["--pooling"] = "mean"
        switches = (
            "--embeddings",
            "--jinja",
            "--metrics",
            "--slots",
            "--no-webui",
            "--no-context-shift",
        )
        return (*(str(word) for pair in values.items() for word in pair), *switches)

    def command(self, runtime: Runtime, launch: Launch) -> Command:
        """The program that serves ``launch`` on its UNIX socket, chat and embeddings both.

        Raises:
            InvalidModel: the model's file cannot be read.
            NotFound: it is not there.

        """
        facts = read_facts(Path(launch.model_path))
        accelerator = Accelerator.CPU if launch.device == "cpu" else Accelerator.CUDA
        names = {
            "--model": launch.model_path,
            "--alias": launch.access_name,
            "--host": launch.socket_path,
        }
        if (projector := projector_beside(Path(launch.model_path))) is not None:
            names["--mmproj"] = str(projector)
        return Command(
            argv=(
                *runtime.argv,
                *(word for pair in names.items() for word in pair),
                *self.flags(launch.options, accelerator, facts),
            ),
            env=engine_environment(self._environ, launch.device),
        )

    async def probe(self, socket_path: Path, access_name: str) -> bool:
        """True once a real one-token request was answered; False while it is still loading.

        A model that makes no text is asked for an embedding instead.

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
        return llama_cpp_exits.explain(exit, log_tail)

    def progress(self, log_tail: str) -> str | None:
        """What a loading engine is doing, in a few words for people."""
        return llama_cpp_exits.progress(log_tail)

    def report(self, log: str) -> MemoryReport | None:
        """The buffers that its log names, all together."""
        return llama_cpp_memory_log.report(log)

    async def metrics(self, socket_path: Path) -> EngineMetrics:
        """What it has under way now, and what it has counted since its process was started.

        Raises:
            EngineError: it does not answer, or not in words that are understood.

        """
        page = await asking.read(socket_path, "/metrics")
        slots = await asking.read(socket_path, "/slots")
        return llama_cpp_metrics.understand(page, slots)

    def translate_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> HydraError:
        """An error answer of llama.cpp (status 400 and up) as one of ours."""
        del headers  # All it says is in the body.
        return llama_cpp_errors.translate(status, body)


async def _answers(session: aiohttp.ClientSession, access_name: str) -> bool:
    answer = await asking.post(session, "/v1/completions", {"prompt": "Hello", "max_tokens": 1})
    if llama_cpp_errors.makes_no_text(answer.body):
        answer = await asking.post(session, "/v1/embeddings", {"input": "Hello"})
    if answer.status == 503:
        return False
    if answer.status != 200:
        words = llama_cpp_errors.own_words(answer.body)
        raise EngineError(f"the engine answered {answer.status} to its first request: {words}")
    asking.check_first_answer(answer.body, access_name)
    return True
