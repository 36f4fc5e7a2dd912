"""The engines: how each is started, asked, understood and installed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hydra_box.engines.base import Dialect, Engine
from hydra_box.engines.distribution import Distribution
from hydra_box.engines.llama_cpp import LlamaCpp
from hydra_box.engines.llama_cpp_distribution import LlamaCppDistribution
from hydra_box.engines.upstream import UpstreamDialect
from hydra_box.engines.vllm import Vllm
from hydra_box.engines.vllm_distribution import VllmDistribution
from hydra_box.types import EngineName

ENGINES: Mapping[EngineName, Engine] = MappingProxyType(
    {EngineName.LLAMA_CPP: LlamaCpp(), EngineName.VLLM: Vllm()}
)
"""Every engine that this version can run."""

DIALECTS: Mapping[EngineName, Dialect] = MappingProxyType(
    {**ENGINES, EngineName.UPSTREAM: UpstreamDialect()}
)
"""Everyone who may answer a request."""

DISTRIBUTIONS: Mapping[EngineName, Distribution] = MappingProxyType(
    {EngineName.LLAMA_CPP: LlamaCppDistribution(), EngineName.VLLM: VllmDistribution()}
)
"""Where the runtimes of each come from."""
