"""Which engine serves a model: every numbered case of the decision tree, with its reason."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.errors import InvalidRequest
from hydra_box.plan.engine_choice import Attempt, choose_engines, expects_gpu
from hydra_box.plan.names import engine_named
from hydra_box.types import (
    Accelerator,
    Ask,
    EngineName,
    GpuCondition,
    GpuLoss,
    Machine,
    Modality,
    Offer,
    Rejection,
)
from tests import machines
from tests.plan.making import gguf, safetensors

LLAMA, VLLM = EngineName.LLAMA_CPP, EngineName.VLLM
CPU, CUDA = Accelerator.CPU, Accelerator.CUDA
ON_CPU = Ask(device="cpu")
BY_LLAMA, BY_VLLM = Ask(engine=LLAMA), Ask(engine=VLLM)

BOTH = (safetensors(), gguf())
GGUF_ONLY = (gguf("Q8_0"), gguf("Q4_K_M"))
SAFETENSORS_ONLY = (safetensors(), safetensors("AWQ"))


def one_gpu(capability: tuple[int, int], total_mib: int = 24_576, name: str = "GPU X") -> Machine:
    return machines.machine(machines.gpu(name, total_mib, capability), ram_gib=64, free_ram_gib=57)


def chosen(ask: Ask, offers: tuple[Offer, ...], machine: Machine) -> tuple[Attempt, ...]:
    found = choose_engines(ask, offers, machine)
    assert not isinstance(found, Rejection), found.message
    return found


def refused(ask: Ask, offers: tuple[Offer, ...], machine: Machine) -> Rejection:
    found = choose_engines(ask, offers, machine)
    assert isinstance(found, Rejection)
    assert found.missing == ()
    return found


AT_BEST = "and vLLM is at its best from 8.0 on"

CHOSEN = [
    ("3a", Ask(device="cpu", engine=VLLM), BOTH, machines.one_rtx_4090(), [(VLLM, CPU)],
     "vLLM, as asked, and the CPU was asked for: its CPU variant is for testing"),
    ("3a", BY_VLLM, BOTH, machines.cpu_only(), [(VLLM, CPU)],
     "vLLM, as asked, and there is no GPU: its CPU variant is for testing"),
    ("3c", Ask(), BOTH, machines.cpu_only(), [(LLAMA, CPU)],
     "llama.cpp, because there is no GPU and it is the engine for CPUs"),
    ("3c", ON_CPU, BOTH, machines.one_rtx_4090(), [(LLAMA, CPU)],
     "llama.cpp, because the CPU was asked for and it is the engine for CPUs"),
    ("4a", BY_LLAMA, BOTH, machines.one_h200(), [(LLAMA, CUDA)], "llama.cpp, as asked"),
    ("5a", BY_VLLM, BOTH, machines.one_gtx_1660(), [(VLLM, CUDA)], "vLLM, as asked"),
    ("6a", Ask(), GGUF_ONLY, machines.eight_h200(), [(LLAMA, CUDA)],
     "llama.cpp, the engine that reads GGUF"),
    ("7a", Ask(), SAFETENSORS_ONLY, machines.one_gtx_1660(), [(VLLM, CUDA)],
     "vLLM, the engine that reads safetensors BF16 and safetensors AWQ"),
    ("8a", Ask(), BOTH, machines.one_gtx_1660(), [(LLAMA, CUDA), (VLLM, CUDA)],
     f"llama.cpp, because GTX 1660 has compute capability 7.5, {AT_BEST}"),
    ("8a", Ask(), BOTH, one_gpu((6, 1), name="Tesla P40"), [(LLAMA, CUDA)],
     f"llama.cpp, because Tesla P40 has compute capability 6.1, {AT_BEST}"),
    ("8b", Ask(), BOTH, machines.one_rtx_3060(), [(LLAMA, CUDA), (VLLM, CUDA)],
     "llama.cpp, because RTX 3060 has 12.0 GiB, too little to spend some on vLLM itself"),
    ("8c", Ask(), (safetensors("F16", 5 << 20), gguf("Q8_0", 3 << 20)), machines.one_rtx_4090(),
     [(LLAMA, CUDA), (VLLM, CUDA)],
     "llama.cpp, because so small a model needs a hundredth of what vLLM takes for itself"),
    ("9a", Ask(), BOTH, machines.one_rtx_4090(), [(VLLM, CUDA), (LLAMA, CUDA)],
     "vLLM, because safetensors fit wholly on the GPU with a useful KV cache"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "offers", "machine", "engines", "reason"),
    [case[1:] for case in CHOSEN],
    ids=[case[0] for case in CHOSEN],
)
def test_the_cases_in_which_an_engine_is_chosen(
    ask: Ask,
    offers: tuple[Offer, ...],
    machine: Machine,
    engines: list[tuple[EngineName, Accelerator]],
    reason: str,
) -> None:
    found = chosen(ask, offers, machine)
    assert list(dict.fromkeys((one.engine, one.accelerator) for one in found)) == engines
    assert found[0].reason == reason
    assert found[0].useful


def test_9_with_both_on_offer_llama_cpp_comes_before_a_small_kv_cache() -> None:
    found = chosen(Ask(), BOTH, machines.one_rtx_4090())
    assert [(one.engine, one.useful) for one in found] == [
        (VLLM, True),
        (LLAMA, True),
        (LLAMA, False),
        (VLLM, False),
    ]
    assert found[1].reason == (
        "llama.cpp, because no safetensors fit wholly on the GPU with a useful KV cache"
    )
    assert found[3].reason == "vLLM with a small KV cache, because no GGUF on offer fits"


def test_9_vllm_gets_only_the_gpus_that_are_new_and_large() -> None:
    small = machines.gpu("NVIDIA GeForce GTX 1660", 6144, (7, 5), index=1)
    large = machines.gpu("NVIDIA GeForce RTX 4090", 24_564, (8, 9))
    found = chosen(Ask(), BOTH, machines.machine(large, small, ram_gib=64, free_ram_gib=50))
    assert [(one.engine, one.gpus) for one in found[:2]] == [
        (VLLM, (large,)),
        (LLAMA, (large, small)),
    ]


MLLAMA = "MllamaForConditionalGeneration"
FOR_CPUS = "llama.cpp, the engine for CPUs, reads GGUF: on offer are only"
BY_NAME = "vLLM on the CPU has to be asked for by name"
NO_KERNELS = "vLLM has no kernels for some of what it reads, and on offer are only"

REFUSED = [
    ("1a", Ask(), (gguf(modality=Modality.IMAGE),), machines.one_h200(), None,
     "the model makes images, and this version has no engine for images"),
    ("1b", Ask(), (safetensors("BF16", architecture=MLLAMA),),
     machines.one_h200(), None,
     f"vLLM served {MLLAMA} up to version 0.10.2 and not since, and no GGUF is on offer"),
    ("3b", Ask(device="cpu", engine=VLLM), GGUF_ONLY, machines.cpu_only(), VLLM,
     "vLLM reads safetensors here, and on offer are only GGUF Q8_0 and GGUF Q4_K_M"),
    ("3b", BY_LLAMA, SAFETENSORS_ONLY, machines.cpu_only(), LLAMA,
     "llama.cpp reads GGUF here, and on offer are only safetensors BF16 and safetensors AWQ"),
    ("3d", Ask(), SAFETENSORS_ONLY, machines.cpu_only(), None,
     f"there is no GPU, and {FOR_CPUS} safetensors BF16 and safetensors AWQ; {BY_NAME}"),
    ("4b", BY_LLAMA, (safetensors("GPTQ"),), machines.one_h200(), LLAMA,
     "llama.cpp reads GGUF here, and on offer are only safetensors GPTQ"),
    ("5b", BY_VLLM, (gguf("Q6_K"),), machines.one_h200(), VLLM,
     "vLLM reads safetensors here, and on offer are only GGUF Q6_K"),
    ("5c", BY_VLLM, BOTH, one_gpu((7, 0), name="NVIDIA Tesla V100"), VLLM,
     "vLLM needs compute capability 7.5 for this model, and GPU 0 (Tesla V100) has 7.0"),
    ("5c", BY_VLLM, (safetensors("MXFP4"),), machines.one_gtx_1660(), VLLM,
     "vLLM needs compute capability 8.0 for this model, and GPU 0 (GTX 1660) has 7.5"),
    ("5c", BY_VLLM, (safetensors(architecture="Gemma3ForCausalLM"),), machines.one_gtx_1660(),
     VLLM, "vLLM needs compute capability 8.0 for this model, and GPU 0 (GTX 1660) has 7.5"),
    ("6b", Ask(), GGUF_ONLY, one_gpu((3, 5), name="Tesla K40"), LLAMA,
     "llama.cpp needs compute capability 5.0 for this model, and GPU 0 (Tesla K40) has 3.5"),
    ("7b", Ask(), (safetensors("FP8"),), one_gpu((6, 1), name="GTX 1080"), VLLM,
     "vLLM needs compute capability 7.5 for this model, and GPU 0 (GTX 1080) has 6.1"),
    ("6c", Ask(), (safetensors("BITSANDBYTES"),), machines.one_h200(), None,
     "no engine here computes safetensors BITSANDBYTES"),
    ("5b", BY_VLLM, (safetensors("BITSANDBYTES"),), machines.one_h200(), VLLM,
     f"{NO_KERNELS} safetensors BITSANDBYTES"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "offers", "machine", "engine", "reason"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
def test_the_cases_that_are_refused(
    ask: Ask, offers: tuple[Offer, ...], machine: Machine, engine: EngineName | None, reason: str
) -> None:
    found = refused(ask, offers, machine)
    assert found.message == reason
    assert found.engine is engine


TROUBLE = [
    GpuCondition.DRIVER_MISMATCH,
    GpuCondition.NO_PERMISSION,
    GpuCondition.GPU_LOST,
    GpuCondition.ERROR,
]


def _broken(condition: GpuCondition, *losses: GpuLoss) -> Machine:
    return msgspec.structs.replace(
        machines.cpu_only(), gpu_condition=condition, gpu_message="trouble", lost_gpus=losses
    )


@pytest.mark.parametrize("condition", TROUBLE)
def test_2_the_cpu_never_takes_the_place_of_a_gpu_that_should_be_here(
    condition: GpuCondition,
) -> None:
    found = refused(Ask(), BOTH, _broken(condition))
    assert found.message == (
        "a GPU should be here and cannot be used: trouble; the CPU does not take its place "
        "unless it is asked for"
    )
    assert chosen(ON_CPU, BOTH, _broken(condition))[0].engine is LLAMA


def test_2_a_lost_gpu_is_named() -> None:
    loss = GpuLoss(index=0, condition=GpuCondition.GPU_LOST, message="GPU 0 fell off the bus")
    machine = _broken(GpuCondition.NO_DEVICE, loss)
    assert "GPU 0 fell off the bus" in refused(Ask(), BOTH, machine).message
    assert expects_gpu(machine)


@pytest.mark.parametrize("condition", [GpuCondition.NO_DRIVER, GpuCondition.NO_DEVICE])
def test_3_a_machine_without_a_gpu_uses_its_cpu(condition: GpuCondition) -> None:
    machine = _broken(condition)
    assert chosen(Ask(), BOTH, machine)[0].accelerator is CPU
    assert not expects_gpu(machine)


def test_2_one_gpu_that_is_left_is_used() -> None:
    loss = GpuLoss(index=1, condition=GpuCondition.GPU_LOST, message="lost")
    machine = msgspec.structs.replace(machines.one_rtx_4090(), lost_gpus=(loss,))
    assert chosen(Ask(), BOTH, machine)[0].accelerator is CUDA


def test_10_weights_that_are_here_come_before_a_download() -> None:
    offers = (safetensors(here=False), gguf("Q8_0", here=False), gguf("Q4_K_M"))
    found = chosen(Ask(), offers, machines.one_rtx_4090())
    assert found[0].offers == (offers[2],)
    assert found[0].reason == "llama.cpp, because it reads GGUF Q4_K_M, which is here"
    assert [one.engine for one in found[1:]] == [VLLM, LLAMA, LLAMA, VLLM]


def test_10_one_engine_keeps_its_reason() -> None:
    offers = (gguf("Q8_0", here=False), gguf("Q4_K_M"))
    found = chosen(Ask(), offers, machines.cpu_only())
    assert found[0].offers == (offers[1],)
    assert found[0].reason == ("llama.cpp, because there is no GPU and it is the engine for CPUs")


@pytest.mark.parametrize("modality", [Modality.EMBEDDING, Modality.RERANK, Modality.VISION])
def test_other_modalities_go_the_same_way(modality: Modality) -> None:
    offers = (safetensors(modality=modality), gguf(modality=modality))
    assert chosen(Ask(), offers, machines.one_rtx_4090())[0].engine is VLLM
    assert chosen(Ask(), offers, machines.one_rtx_3060())[0].engine is LLAMA
    assert chosen(Ask(), offers, machines.cpu_only())[0].engine is LLAMA


def test_engines_by_name() -> None:
    assert engine_named("llama.cpp") is LLAMA
    assert engine_named("vLLM") is VLLM


@pytest.mark.parametrize("name", ["", "vllm2", "llama.cpp "])
def test_an_unknown_engine_names_those_there_are(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine_named(name)
    assert caught.value.message == f"there is no engine {name!r}"
    assert caught.value.hint == "engines: llama.cpp, vllm"
    assert caught.value.param == "engine"
