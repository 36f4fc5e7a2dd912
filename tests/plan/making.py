"""Models and machines made to measure, for tables and properties."""

from __future__ import annotations

from hydra_box.plan.placement import place
from hydra_box.types import (
    LOCAL_ENGINES,
    Accelerator,
    Ask,
    CacheKind,
    Claim,
    EngineAvailability,
    EngineName,
    FactsSource,
    LayerCache,
    Machine,
    Modality,
    ModelFacts,
    Offer,
    Plan,
    Rejection,
    WeightFile,
    WeightFormat,
)

GIB = 1 << 30
MIB = 1 << 20

EVERYTHING = tuple(
    EngineAvailability(engine=one, accelerators=(Accelerator.CPU, Accelerator.CUDA))
    for one in LOCAL_ENGINES
)


def installed(*pairs: tuple[EngineName, Accelerator]) -> tuple[EngineAvailability, ...]:
    """Only these runtimes are usable."""
    return tuple(
        EngineAvailability(
            engine=engine, accelerators=tuple(kind for one, kind in pairs if one is engine)
        )
        for engine in LOCAL_ENGINES
    )


def facts(
    weights_bytes: int = 4 * GIB,
    *,
    layers: int = 32,
    quantization: str | None = "Q4_K_M",
    format: WeightFormat = WeightFormat.GGUF,
    architecture: str = "llama",
    modality: Modality = Modality.TEXT,
    context_length: int = 32_768,
    heads: int = 32,
    kv_heads: int = 8,
    embedding_length: int = 4096,
    feed_forward_length: int = 14_336,
    projector_bytes: int = 0,
) -> ModelFacts:
    """A plain transformer whose blocks weigh nine tenths of ``weights_bytes``."""
    block = weights_bytes * 9 // 10 // layers
    rest = weights_bytes - block * layers
    cache = LayerCache(kind=CacheKind.FULL, kv_heads=kv_heads, key_length=128, value_length=128)
    return ModelFacts(
        source=FactsSource.FILE,
        format=format,
        architecture=architecture,
        modality=modality,
        quantization=quantization,
        parameters=8_000_000_000,
        context_length=context_length,
        embedding_length=embedding_length,
        feed_forward_length=feed_forward_length,
        heads=heads,
        head_length=128,
        vocabulary_size=32_000,
        layers=(cache,) * layers,
        layer_weight_bytes=(block,) * layers,
        input_weight_bytes=rest // 2,
        output_weight_bytes=rest - rest // 2,
        projector_bytes=projector_bytes,
        files=(WeightFile(name="weights", size_bytes=weights_bytes),),
        has_tokenizer=True,
        has_chat_template=True,
        has_pooling=modality in {Modality.EMBEDDING, Modality.RERANK},
    )


def gguf(
    quantization: str = "Q4_K_M",
    weights_bytes: int = 4 * GIB,
    *,
    here: bool = True,
    modality: Modality = Modality.TEXT,
) -> Offer:
    """GGUF weights."""
    return Offer(
        facts=facts(weights_bytes, quantization=quantization, modality=modality),
        path=f"/models/{quantization}.gguf" if here else None,
        repository="org/model-GGUF",
    )


def safetensors(
    quantization: str = "BF16",
    weights_bytes: int = 15 * GIB,
    *,
    here: bool = True,
    architecture: str = "LlamaForCausalLM",
    modality: Modality = Modality.TEXT,
) -> Offer:
    """Safetensors weights."""
    return Offer(
        facts=facts(
            weights_bytes,
            quantization=quantization,
            format=WeightFormat.SAFETENSORS,
            architecture=architecture,
            modality=modality,
        ),
        path=f"/models/{quantization}" if here else None,
        repository="org/model",
    )


def plan_of(
    offers: tuple[Offer, ...],
    machine: Machine,
    ask: Ask | None = None,
    claims: tuple[Claim, ...] = (),
) -> Plan:
    """The plan, with everything installed; there has to be one."""
    found = place(ask or Ask(), offers, machine, EVERYTHING, claims=claims)
    assert isinstance(found, Plan), found.message
    return found


def rejection_of(offers: tuple[Offer, ...], machine: Machine, ask: Ask | None = None) -> Rejection:
    """The rejection, with everything installed; there has to be one."""
    found = place(ask or Ask(), offers, machine, EVERYTHING)
    assert isinstance(found, Rejection)
    return found
