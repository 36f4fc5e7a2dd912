"""Well-known models by the numbers of their ``config.json``, with what is on offer of them."""

from __future__ import annotations

from functools import cache

from hydra_box.models.shape import Shape
from hydra_box.models.shapes import shape_facts
from hydra_box.types import Modality, Offer, WeightFormat

GGUF = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")
FULL = ("BF16", "FP8", "AWQ")


def _qwen3(layers: int, width: int, heads: int, wide: int, *, tied: bool = False) -> Shape:
    return Shape(
        architecture="Qwen3ForCausalLM",
        gguf_architecture="qwen3",
        layers=layers,
        embedding_length=width,
        heads=heads,
        kv_heads=8,
        head_length=128,
        feed_forward_length=wide,
        vocabulary_size=151_936,
        tied_embeddings=tied,
    )


QWEN3_30B_A3B = Shape(
    architecture="Qwen3MoeForCausalLM",
    gguf_architecture="qwen3moe",
    layers=48,
    embedding_length=2048,
    heads=32,
    kv_heads=4,
    head_length=128,
    vocabulary_size=151_936,
    experts=128,
    experts_used=8,
    expert_feed_forward_length=768,
)
LLAMA_70B = Shape(
    architecture="LlamaForCausalLM",
    gguf_architecture="llama",
    layers=80,
    embedding_length=8192,
    heads=64,
    kv_heads=8,
    head_length=128,
    feed_forward_length=28_672,
    vocabulary_size=128_256,
)
GEMMA3_27B = Shape(
    architecture="Gemma3ForConditionalGeneration",
    gguf_architecture="gemma3",
    layers=62,
    embedding_length=5376,
    heads=32,
    kv_heads=16,
    head_length=128,
    feed_forward_length=21_504,
    vocabulary_size=262_208,
    tied_embeddings=True,
    window_tokens=1024,
    full_attention_every=6,
    vision_parameters=420_000_000,
)
DEEPSEEK_R1 = Shape(
    architecture="DeepseekV3ForCausalLM",
    gguf_architecture="deepseek2",
    layers=61,
    embedding_length=7168,
    heads=128,
    kv_heads=128,
    head_length=128,
    value_length=128,
    feed_forward_length=18_432,
    vocabulary_size=129_280,
    experts=256,
    experts_used=8,
    expert_feed_forward_length=2048,
    shared_expert_feed_forward_length=2048,
    dense_layers=3,
    kv_lora_rank=512,
    q_lora_rank=1536,
    rope_head_length=64,
)
BGE_M3 = Shape(
    architecture="XLMRobertaModel",
    gguf_architecture="bert",
    layers=24,
    embedding_length=1024,
    heads=16,
    kv_heads=16,
    head_length=64,
    feed_forward_length=4096,
    feed_forward_matrices=2,
    vocabulary_size=250_002,
    tied_embeddings=True,
    causal=False,
)


def _gpt_oss(layers: int, experts: int) -> Shape:
    return Shape(
        architecture="GptOssForCausalLM",
        gguf_architecture="gpt-oss",
        layers=layers,
        embedding_length=2880,
        heads=64,
        kv_heads=8,
        head_length=64,
        vocabulary_size=201_088,
        experts=experts,
        experts_used=4,
        expert_feed_forward_length=2880,
        window_tokens=128,
        full_attention_every=2,
    )


@cache
def offers(
    shape: Shape,
    *,
    safetensors: tuple[str, ...] = FULL,
    gguf: tuple[str, ...] = GGUF,
    modality: Modality = Modality.TEXT,
    context_length: int = 40_960,
    here: str | None = None,
) -> tuple[Offer, ...]:
    """Offers of a shape; the quantisation ``here`` is on this machine."""
    kinds = [(WeightFormat.SAFETENSORS, one) for one in safetensors]
    kinds += [(WeightFormat.GGUF, one) for one in gguf]
    return tuple(
        Offer(
            facts=shape_facts(
                shape, format, name, modality=modality, context_length=context_length
            ),
            path=f"/models/{name}" if name == here else None,
            repository=f"org/{format}-{name}",
        )
        for format, name in kinds
    )


def qwen3_06b() -> tuple[Offer, ...]:
    return offers(_qwen3(28, 1024, 16, 3072, tied=True), safetensors=("BF16",))


def qwen3_8b(here: str | None = None) -> tuple[Offer, ...]:
    return offers(_qwen3(36, 4096, 32, 12_288), here=here)


def qwen3_14b() -> tuple[Offer, ...]:
    return offers(_qwen3(40, 5120, 40, 17_408))


def qwen3_32b() -> tuple[Offer, ...]:
    return offers(_qwen3(64, 5120, 64, 25_600))


def qwen3_30b_a3b() -> tuple[Offer, ...]:
    return offers(QWEN3_30B_A3B, safetensors=("BF16", "FP8"))


def llama_70b() -> tuple[Offer, ...]:
    return offers(LLAMA_70B, context_length=131_072)


def gemma3_27b() -> tuple[Offer, ...]:
    return offers(
        GEMMA3_27B, safetensors=("BF16",), modality=Modality.VISION, context_length=131_072
    )


def gpt_oss_20b() -> tuple[Offer, ...]:
    return offers(_gpt_oss(24, 32), safetensors=("MXFP4",), gguf=("MXFP4",), context_length=131_072)


def gpt_oss_120b() -> tuple[Offer, ...]:
    return offers(
        _gpt_oss(36, 128), safetensors=("MXFP4",), gguf=("MXFP4",), context_length=131_072
    )


def deepseek_r1() -> tuple[Offer, ...]:
    return offers(
        DEEPSEEK_R1, safetensors=("FP8",), gguf=("Q4_K_M", "Q2_K"), context_length=163_840
    )


def bge_m3() -> tuple[Offer, ...]:
    return offers(
        BGE_M3,
        safetensors=("F32",),
        gguf=("F16", "Q8_0"),
        modality=Modality.EMBEDDING,
        context_length=8192,
    )


KNOWN = {
    "Qwen3-0.6B": qwen3_06b,
    "Qwen3-8B": qwen3_8b,
    "Qwen3-14B": qwen3_14b,
    "Qwen3-32B": qwen3_32b,
    "Qwen3-30B-A3B": qwen3_30b_a3b,
    "Llama-3.3-70B": llama_70b,
    "Gemma-3-27B": gemma3_27b,
    "gpt-oss-20b": gpt_oss_20b,
    "gpt-oss-120b": gpt_oss_120b,
    "DeepSeek-R1": deepseek_r1,
    "bge-m3": bge_m3,
}
