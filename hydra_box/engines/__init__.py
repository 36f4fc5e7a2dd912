"""The engines: how each is started, asked, understood and installed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hydra_box.engines.base import Engine
from hydra_box.engines.llama_cpp import LlamaCpp
from hydra_box.types import EngineName

ENGINES: Mapping[EngineName, Engine] = MappingProxyType({EngineName.LLAMA_CPP: LlamaCpp()})
"""Every engine that this version can run."""
