"""Engines, their runtimes, and what one engine process is asked to serve."""

from __future__ import annotations

from enum import StrEnum

from hydra_box.types.base import Frozen


class EngineName(StrEnum):
    """What answers a service's requests."""

    LLAMA_CPP = "llama.cpp"
    VLLM = "vllm"
    UPSTREAM = "upstream"
    """A remote OpenAI-compatible endpoint: nothing is installed, placed or started."""


LOCAL_ENGINES = (EngineName.LLAMA_CPP, EngineName.VLLM)
"""Those whose processes Hydra Box starts."""


class Accelerator(StrEnum):
    """What a runtime was built to compute on."""

    CPU = "cpu"
    CUDA = "cuda"


class RuntimeSource(StrEnum):
    """Where a runtime comes from."""

    BUNDLED = "bundled"
    BUILT = "built"
    PATH = "path"


class Runtime(Frozen, frozen=True, kw_only=True):
    """One installed build of an engine."""

    id: str
    """``<engine>/<source>-<version>-<accelerator>``, stable across restarts."""
    engine: EngineName
    version: str
    accelerator: Accelerator
    source: RuntimeSource
    location: str
    """The package, environment or program it runs from."""
    argv: tuple[str, ...]
    """The program and leading arguments that start its server."""
    verified_at: float | None = None
    """When it last answered on the demo model; None: never, it is not used."""
    problem: str | None = None
    """Why it cannot be used, if it cannot."""
    pinned: bool = False
    """Its owner wants this one of its engine and no other."""
    replaces: str | None = None
    """The id of the one that instances ran on before it was pinned: kept until they serve on this
    one, and pinned in its place if they never do."""


class EngineOptions(Frozen, frozen=True, kw_only=True):
    """How one instance is set up, decided before it starts; each becomes an exact flag.

    ``model_path`` is not among them: the same options serve any copy of the same weights.
    """

    context_length: int
    """Tokens each slot can hold."""
    slots: int
    """Concurrent sequences."""
    batch_tokens: int
    """Tokens of one prefill step: llama.cpp's batch and micro-batch, vLLM's
    ``--max-num-batched-tokens``."""
    gpu_layers: int = 0
    """llama.cpp: blocks on the GPUs, counted from the last, the output layer as one more."""
    split: tuple[float, ...] = ()
    """llama.cpp: share of the layers on each device; empty for one device."""
    tensor_parallel: int = 1
    """vLLM: GPUs that share every layer."""
    kv_cache_bytes: int = 0
    """vLLM: ``--kv-cache-memory-bytes``, on each device; 0 for llama.cpp, which needs none."""
    kv_cache_type: str = "f16"
    """``f16``, ``q8_0``, ``q4_0`` for llama.cpp; ``auto``, ``fp8`` for vLLM."""
    threads: int = 1
    """CPU threads for computing."""


class Launch(Frozen, frozen=True, kw_only=True):
    """Everything an engine adapter needs to start one instance."""

    instance_id: str
    access_name: str
    model_path: str
    socket_path: str
    device: str
    """``cpu``, or the UUIDs of GPUs joined by commas."""
    options: EngineOptions
    allows_code: bool = False
    """Its owner lets the model bring Python code."""
    may_sleep: bool = False
    """It may be told to give the GPUs back and to stay; see ``engines/sleeping.py``."""

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices, one by one."""
        return tuple(self.device.split(","))


class ProcessExit(Frozen, frozen=True, kw_only=True):
    """How an engine process ended. Both None: it was not our child, so nobody can know."""

    code: int | None = None
    signal: int | None = None


class ExitExplanation(Frozen, frozen=True, kw_only=True):
    """Why an engine process ended, read from its log."""

    fact: str
    hint: str | None = None

    def __str__(self) -> str:
        return self.fact if self.hint is None else f"{self.fact}; hint: {self.hint}"
