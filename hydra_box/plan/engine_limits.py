"""What each engine can read and compute on: facts about the engines, not decisions."""

from __future__ import annotations

from collections.abc import Sequence

from hydra_box.types import EngineName, Gpu, ModelFacts, Offer, WeightFormat

Capability = tuple[int, int]

NAMES = {EngineName.LLAMA_CPP: "llama.cpp", EngineName.VLLM: "vLLM"}
READS = {EngineName.LLAMA_CPP: WeightFormat.GGUF, EngineName.VLLM: WeightFormat.SAFETENSORS}
FORMAT_NAMES = {WeightFormat.GGUF: "GGUF", WeightFormat.SAFETENSORS: "safetensors"}

LLAMA_CPP_FLOOR: Capability = (5, 0)
"""What CUDA 12, the last that knows Maxwell, compiles llama.cpp for."""
VLLM_FLOOR: Capability = (7, 5)
"""vLLM's builds are for CUDA 13, which has no Volta and older (vllm-project/vllm#39878)."""
VLLM_FLOORS: dict[str, Capability] = {"MXFP4": (8, 0)}
"""``get_min_capability`` of the quantisations that need more (vLLM 0.32); FP8, AWQ and GPTQ run
from 7.5 on, where need be by the Marlin kernels."""
VLLM_GOOD: Capability = (8, 0)
"""bfloat16 and FlashAttention; below it vLLM runs in float16 on slower kernels."""
VLLM_NOT_IN_FLOAT16 = frozenset(
    {
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "Gemma3ForConditionalGeneration",
        "Glm4ForCausalLM",
    }
)
"""``_FLOAT16_NOT_SUPPORTED_MODELS`` of vLLM 0.32: they overflow."""
VLLM_CANNOT = ("AQLM", "BITSANDBYTES", "BNB", "EXL", "HQQ", "MLX", "NF4")
"""Quantisations of safetensors that vLLM 0.32 has no kernels for."""

VLLM_DROPPED = {
    "BaiChuanForCausalLM": "0.23.0",
    "BaichuanForCausalLM": "0.23.0",
    "MllamaForConditionalGeneration": "0.10.2",
}
"""Architectures that vLLM does not serve any more, and the last version that did."""


def capability(gpu: Gpu) -> Capability:
    """Its compute capability; 0.0 if the driver does not tell."""
    return gpu.compute_capability or (0, 0)


def dotted(value: Capability) -> str:
    """``8.6``."""
    return f"{value[0]}.{value[1]}"


def readable(engine: EngineName, offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """The offers in the format that an engine reads, and that it has kernels for."""
    mine = [one for one in offers if one.facts.format is READS[engine]]
    if engine is EngineName.VLLM:
        mine = [
            one
            for one in mine
            if not _name(one.facts).startswith(VLLM_CANNOT)
            and one.facts.architecture not in VLLM_DROPPED
        ]
    return tuple(mine)


def dropped(offers: Sequence[Offer]) -> tuple[str, str] | None:
    """Architecture and last version, where all that is on offer is what vLLM has dropped."""
    found = {one.facts.architecture for one in offers}
    architecture = min(found)
    if len(found) == 1 and architecture in VLLM_DROPPED:
        return architecture, VLLM_DROPPED[architecture]
    return None


def floor(engine: EngineName, facts: ModelFacts) -> Capability:
    """The least compute capability on which an engine serves these weights."""
    if engine is EngineName.LLAMA_CPP:
        return LLAMA_CPP_FLOOR
    if facts.architecture in VLLM_NOT_IN_FLOAT16:
        return VLLM_GOOD
    return VLLM_FLOORS.get(_name(facts), VLLM_FLOOR)


def able(engine: EngineName, facts: ModelFacts, gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """The GPUs on which an engine can serve these weights."""
    least = floor(engine, facts)
    return tuple(one for one in gpus if capability(one) >= least)


def _name(facts: ModelFacts) -> str:
    return (facts.quantization or "").upper()
