"""The memory estimate: numbers that are known, and what must hold for every model."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_box.errors import InvalidRequest
from hydra_box.models.shapes import shape_facts
from hydra_box.plan.llama_cpp_memory import CPU, layer_devices
from hydra_box.plan.memory import estimate, kv_bytes_per_token, kv_cache_bytes
from hydra_box.types import (
    Accelerator,
    CacheKind,
    DeviceMemory,
    EngineName,
    EngineOptions,
    LayerCache,
    Modality,
    ModelFacts,
    WeightFormat,
)
from tests.models.real_shapes import (
    DEEPSEEK_R1,
    GEMMA3_27B,
    GPT_OSS_20B,
    LLAMA_3_8B,
    QWEN3_8B,
    QWEN35_4B,
)
from tests.plan.making import GIB, MIB, facts

LLAMA_CPP, VLLM = EngineName.LLAMA_CPP, EngineName.VLLM
CPU_ONLY, CUDA = Accelerator.CPU, Accelerator.CUDA
GPUS = ("GPU-0", "GPU-1", "GPU-2", "GPU-3")


def options(context: int = 8192, slots: int = 1, **changes: object) -> EngineOptions:
    wanted = {"context_length": context, "slots": slots, "batch_tokens": 512}
    return msgspec.convert(wanted | changes, EngineOptions)


def of_shape(shape: object, quantization: str = "Q8_0") -> ModelFacts:
    is_gguf = quantization != "BF16"
    return shape_facts(
        shape,  # type: ignore[arg-type]
        WeightFormat.GGUF if is_gguf else WeightFormat.SAFETENSORS,
        quantization,
        modality=Modality.TEXT,
        context_length=131_072,
    )


LLAMA, QWEN, GEMMA = of_shape(LLAMA_3_8B), of_shape(QWEN3_8B), of_shape(GEMMA3_27B)
GPT_OSS, DEEPSEEK, QWEN35 = of_shape(GPT_OSS_20B), of_shape(DEEPSEEK_R1), of_shape(QWEN35_4B)


@pytest.mark.parametrize(
    ("model", "kind", "bytes_per_token"),
    [
        (LLAMA, "f16", 32 * 2 * 8 * 128 * 2),
        (LLAMA, "q8_0", 32 * 2 * 8 * 128 * 34 / 32),
        (LLAMA, "q4_0", 32 * 2 * 8 * 128 * 18 / 32),
        (DEEPSEEK, "f16", 61 * 576 * 2),
        (GEMMA, "f16", 10 * 2 * 16 * 128 * 2),
        (GPT_OSS, "f16", 12 * 2 * 8 * 64 * 2),
        (QWEN35, "f16", 8 * 2 * 4 * 256 * 2),
    ],
)
def test_bytes_of_a_token_in_llama_cpp(
    model: ModelFacts, kind: str, bytes_per_token: float
) -> None:
    assert kv_bytes_per_token(model, LLAMA_CPP, options(kv_cache_type=kind)) == bytes_per_token


def test_bytes_of_a_token_in_vllm_grow_where_heads_or_latents_are_copied() -> None:
    full = of_shape(LLAMA_3_8B, "BF16")
    token = 32 * 2 * 8 * 128 * 2
    assert kv_bytes_per_token(full, VLLM, options(kv_cache_type="auto")) == token
    assert kv_bytes_per_token(full, VLLM, options(kv_cache_type="fp8")) == token / 2
    split = options(kv_cache_type="auto", tensor_parallel=8)
    assert kv_bytes_per_token(full, VLLM, split) == token
    wider = options(kv_cache_type="auto", tensor_parallel=16)
    assert kv_bytes_per_token(full, VLLM, wider) == 2 * token
    latent = of_shape(DEEPSEEK_R1, "BF16")
    assert kv_bytes_per_token(latent, VLLM, split) == 8 * 61 * 576 * 2


@pytest.mark.parametrize(
    ("context", "slots", "cells"),
    [(100, 1, 256), (256, 4, 1024), (8192, 2, 16_384), (1000, 3, 3072)],
)
def test_every_slot_is_padded_to_256_cells(context: int, slots: int, cells: int) -> None:
    assert kv_cache_bytes(LLAMA, LLAMA_CPP, options(context, slots)) == cells * 131_072


def test_sliding_layers_keep_their_window_and_one_batch() -> None:
    """gpt-oss: 128 tokens of window and 512 of a batch are 640, padded to 768."""
    layer = 2 * 8 * 64 * 2
    wanted = options(131_072, 2)
    assert kv_cache_bytes(GPT_OSS, LLAMA_CPP, wanted) == 2 * 12 * layer * (131_072 + 768)
    assert kv_cache_bytes(GPT_OSS, LLAMA_CPP, options(512)) == 24 * layer * 512


def test_recurrent_layers_keep_one_state_a_slot_whatever_the_context() -> None:
    states = [one.state_bytes for one in QWEN35.layers if one.kind is CacheKind.RECURRENT]
    short, long = (kv_cache_bytes(QWEN35, LLAMA_CPP, options(context, 4)) for context in (256, 512))
    assert long - short == 4 * 256 * kv_bytes_per_token(QWEN35, LLAMA_CPP, options())
    assert short - 4 * 256 * 8 * 2 * 4 * 256 * 2 == 4 * sum(states)


def test_unknown_cache_type_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest, match="no KV cache type 'q9_9'") as refusal:
        kv_cache_bytes(LLAMA, LLAMA_CPP, options(kv_cache_type="q9_9"))
    assert "q8_0" in str(refusal.value.hint)


@pytest.mark.parametrize(
    ("gpu_layers", "split", "where"),
    [
        (0, (), (CPU,) * 5),
        (1, (), (CPU, CPU, CPU, CPU, 0)),
        (3, (), (CPU, CPU, 0, 0, 0)),
        (5, (), (0,) * 5),
        (99, (), (0,) * 5),
        (5, (1.0, 1.0), (0, 0, 0, 1, 1)),
        (5, (3.0, 1.0), (0, 0, 0, 0, 1)),
        (4, (1.0, 1.0), (CPU, 0, 0, 1, 1)),
        (5, (0.0, 1.0), (1,) * 5),
    ],
)
def test_the_last_layers_and_the_output_go_to_the_gpus(
    gpu_layers: int, split: tuple[float, ...], where: tuple[int, ...]
) -> None:
    wanted = options(gpu_layers=gpu_layers, split=split)
    assert layer_devices(4, max(len(split), 1), wanted) == where


def test_all_weights_are_somewhere_and_the_embedding_stays_in_ram() -> None:
    for gpu_layers in (0, 1, 10, 33):
        wanted = options(gpu_layers=gpu_layers)
        gpu, cpu = estimate(LLAMA, LLAMA_CPP, CUDA, GPUS[:1], wanted)
        assert gpu.weights_bytes + cpu.weights_bytes == LLAMA.weight_bytes
        assert cpu.weights_bytes >= LLAMA.input_weight_bytes


def test_tied_embedding_is_on_the_gpu_too() -> None:
    tied = msgspec.structs.replace(LLAMA, tied_embeddings=True, output_weight_bytes=16_384)
    gpu, cpu = estimate(tied, LLAMA_CPP, CUDA, GPUS[:1], options(gpu_layers=99))
    assert gpu.weights_bytes + cpu.weights_bytes == tied.weight_bytes + tied.input_weight_bytes


def test_a_gpu_without_a_share_still_has_a_context() -> None:
    idle, busy, _ = estimate(
        LLAMA, LLAMA_CPP, CUDA, GPUS[:2], options(gpu_layers=99, split=(0.0, 1.0))
    )
    assert idle.weights_bytes == idle.kv_cache_bytes == 0
    assert 500 * MIB < idle.overhead_bytes <= busy.overhead_bytes


def test_partial_offload_has_room_for_what_visits_the_gpu() -> None:
    """A block's cache in RAM is copied for a step on many tokens: 131,072 of them are 512 MiB."""
    wanted = options(131_072, gpu_layers=10)
    gpu, _ = estimate(LLAMA, LLAMA_CPP, CUDA, GPUS[:1], wanted)
    whole, _ = estimate(LLAMA, LLAMA_CPP, CUDA, GPUS[:1], options(131_072, gpu_layers=99))
    assert gpu.compute_bytes - whole.compute_bytes > 512 * MIB


def test_quantised_cache_is_widened_on_a_gpu() -> None:
    wanted = options(131_072, gpu_layers=99, kv_cache_type="q8_0")
    plain = options(131_072, gpu_layers=99)
    quantised, full = (
        estimate(LLAMA, LLAMA_CPP, CUDA, GPUS[:1], one)[0] for one in (wanted, plain)
    )
    assert quantised.kv_cache_bytes < full.kv_cache_bytes
    assert quantised.compute_bytes - full.compute_bytes > 256 * MIB


def test_heads_that_flash_attention_does_not_know_need_every_score() -> None:
    odd = msgspec.structs.replace(
        LLAMA,
        head_length=100,
        layers=(LayerCache(kind=CacheKind.FULL, kv_heads=8, key_length=100, value_length=100),)
        * 32,
    )
    gpu, _ = estimate(odd, LLAMA_CPP, CUDA, GPUS[:1], options(32_768, gpu_layers=99))
    assert gpu.compute_bytes > 4 * 512 * 32_768 * 32


def test_vllm_ranks_share_the_weights_and_get_the_same_cache() -> None:
    model = of_shape(LLAMA_3_8B, "BF16")
    wanted = options(kv_cache_bytes=3 * GIB, tensor_parallel=2, kv_cache_type="auto")
    first, second, cpu = estimate(model, VLLM, CUDA, GPUS[:2], wanted)
    assert msgspec.structs.replace(second, device=first.device) == first
    assert first.kv_cache_bytes == 3 * GIB
    assert model.weight_bytes / 2 < first.weights_bytes < model.weight_bytes / 2 + 64 * MIB
    assert (cpu.device, cpu.weights_bytes, cpu.kv_cache_bytes) == ("cpu", 0, 0)


def test_vllm_keeps_latent_projections_and_routers_whole_on_every_rank() -> None:
    model = of_shape(DEEPSEEK_R1, "BF16")
    wanted = options(tensor_parallel=4, kv_cache_type="auto")
    rank = estimate(model, VLLM, CUDA, GPUS, wanted)[0]
    assert rank.weights_bytes > model.weight_bytes / 4 + GIB


def test_vllm_without_a_grant_gets_room_for_every_slot() -> None:
    model = of_shape(LLAMA_3_8B, "BF16")
    rank = estimate(model, VLLM, CUDA, GPUS[:1], options(8192, 4, kv_cache_type="auto"))[0]
    assert 0 <= rank.kv_cache_bytes - 4 * GIB <= 32 * MIB


def test_vllm_on_the_cpu_takes_gigabytes_before_any_model() -> None:
    model = of_shape(QWEN35_4B, "BF16")
    (cpu,) = estimate(model, VLLM, CPU_ONLY, ("cpu",), options(kv_cache_type="auto"))
    assert cpu.overhead_bytes >= 2 * GIB
    assert cpu.weights_bytes >= model.weight_bytes


def test_correction_scales_all_but_the_weights() -> None:
    plain, corrected = (
        estimate(QWEN, LLAMA_CPP, CPU_ONLY, ("cpu",), options(), correction=factor)[0]
        for factor in (1.0, 1.5)
    )
    assert corrected.weights_bytes == plain.weights_bytes
    for part in ("kv_cache_bytes", "compute_bytes", "overhead_bytes"):
        assert getattr(corrected, part) == round(1.5 * getattr(plain, part))


SHAPES = (LLAMA, QWEN, GEMMA, GPT_OSS, DEEPSEEK, QWEN35)
MODELS = st.sampled_from((*SHAPES, *(of_shape(one, "BF16") for one in (LLAMA_3_8B, DEEPSEEK_R1))))
CONTEXTS = st.integers(64, 131_072)
SLOTS = st.integers(1, 64)
BATCHES = st.sampled_from((256, 512, 2048, 8192))
PLACES = st.sampled_from(
    (
        (LLAMA_CPP, CPU_ONLY, ("cpu",), {}),
        (LLAMA_CPP, CUDA, GPUS[:1], {"gpu_layers": 999}),
        (LLAMA_CPP, CUDA, GPUS[:1], {"gpu_layers": 9, "kv_cache_type": "q8_0"}),
        (LLAMA_CPP, CUDA, GPUS[:2], {"gpu_layers": 999, "split": (2.0, 1.0)}),
        (LLAMA_CPP, CUDA, GPUS[:3], {"gpu_layers": 12, "split": (1.0, 1.0, 1.0)}),
        (VLLM, CPU_ONLY, ("cpu",), {"kv_cache_type": "auto"}),
        (VLLM, CUDA, GPUS[:1], {"kv_cache_type": "fp8"}),
        (VLLM, CUDA, GPUS, {"kv_cache_type": "auto", "tensor_parallel": 4}),
    )
)


def never_less(small: tuple[DeviceMemory, ...], large: tuple[DeviceMemory, ...]) -> None:
    for one, other in zip(small, large, strict=True):
        assert one.device == other.device
        assert one.total_bytes <= other.total_bytes, (one, other)


@settings(max_examples=300)
@given(MODELS, PLACES, CONTEXTS, CONTEXTS, SLOTS, SLOTS, BATCHES)
def test_more_context_or_slots_never_need_less(
    model: ModelFacts,
    place: tuple[EngineName, Accelerator, tuple[str, ...], dict[str, object]],
    context: int,
    longer: int,
    slots: int,
    more: int,
    batch: int,
) -> None:
    engine, accelerator, devices, changes = place
    changes = changes | {"batch_tokens": batch}
    small, large = (
        options(one(context, longer), one(slots, more), **changes) for one in (min, max)
    )
    never_less(
        estimate(model, engine, accelerator, devices, small),
        estimate(model, engine, accelerator, devices, large),
    )


@settings(max_examples=200)
@given(MODELS, CONTEXTS, SLOTS, st.data())
def test_more_layers_on_a_gpu_never_need_less_of_it(
    model: ModelFacts, context: int, slots: int, data: st.DataObject
) -> None:
    """As long as one stays in RAM; the last one frees the room that those had for a visit."""
    blocks = len(model.layers)
    fewer = data.draw(st.integers(0, blocks))
    more = data.draw(st.integers(fewer, blocks))
    small, large = (
        estimate(model, LLAMA_CPP, CUDA, GPUS[:1], options(context, slots, gpu_layers=one))
        for one in (fewer, more)
    )
    never_less(small[:1], large[:1])
    assert small[1].weights_bytes >= large[1].weights_bytes
    assert small[1].kv_cache_bytes >= large[1].kv_cache_bytes


@settings(max_examples=200)
@given(PLACES, CONTEXTS, SLOTS, st.integers(1, 80), st.integers(1, 64), st.integers(0, 64))
def test_a_smaller_model_never_needs_more(
    place: tuple[EngineName, Accelerator, tuple[str, ...], dict[str, object]],
    context: int,
    slots: int,
    layers: int,
    weights_gib: int,
    more_gib: int,
) -> None:
    engine, accelerator, devices, changes = place
    small = facts(weights_gib * GIB, layers=layers, embedding_length=2048, heads=16, kv_heads=4)
    large = facts((weights_gib + more_gib) * GIB, layers=layers, feed_forward_length=16_384)
    wanted = options(context, slots, **changes)
    never_less(
        estimate(small, engine, accelerator, devices, wanted),
        estimate(large, engine, accelerator, devices, wanted),
    )


@settings(max_examples=100)
@given(CONTEXTS, SLOTS, st.integers(1, 80), st.integers(0, 20))
def test_fewer_blocks_never_need_more(context: int, slots: int, layers: int, more: int) -> None:
    block = 128 * MIB
    for accelerator, devices in ((CPU_ONLY, ("cpu",)), (CUDA, GPUS[:1])):
        small, large = (
            estimate(
                facts(block * one, layers=one),
                LLAMA_CPP,
                accelerator,
                devices,
                options(context, slots, gpu_layers=999),
            )
            for one in (layers, layers + more)
        )
        never_less(small, large)
