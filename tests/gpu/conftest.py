"""What the tests of a real GPU stand on: NVIDIA's own tool, and a box whose engine uses the GPU."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_box.config import resolve_paths
from hydra_box.engines.cuda_toolkit import NO_NVCC, find_nvcc
from hydra_box.hardware.probe import snapshot
from hydra_box.messages import DeployRequest
from hydra_box.types import Accelerator, Gpu, Runtime
from tests.boxes import RunningBox
from tests.engines.real_runtimes import lend


@pytest.fixture(scope="session")
def card() -> Gpu:
    """The first GPU of this machine."""
    machine = snapshot(Path("/tmp"))
    if not machine.gpus:
        pytest.skip(f"there is no GPU to ask: {machine.gpu_message}")
    return machine.gpus[0]


@pytest.fixture(scope="session")
def nvidia_smi(card: Gpu) -> dict[str, str]:
    """What NVIDIA's own tool says of it, by the names of its queries."""
    program = shutil.which("nvidia-smi")
    if program is None:
        pytest.skip("nvidia-smi is not installed, so that there is nothing to compare with")
    queries = (
        *("uuid", "name", "memory.total", "pci.bus_id", "power.limit"),
        *("compute_cap", "driver_version", "temperature.gpu"),
    )
    command = (program, f"--id={card.uuid}", f"--query-gpu={','.join(queries)}")
    found = subprocess.run(
        (*command, "--format=csv,noheader,nounits"), capture_output=True, text=True, check=True
    )
    return dict(zip(queries, found.stdout.strip().split(", "), strict=True))


@pytest.fixture(scope="session")
def nvcc() -> str:
    """CUDA's compiler."""
    found = find_nvcc(os.environ)
    if found is None:
        pytest.skip(NO_NVCC)
    return found


@pytest.fixture(scope="session")
def cuda_llama_cpp(card: Gpu, nvcc: str, built_llama_cpp: Runtime) -> Runtime:
    """llama.cpp, built for this GPU as Hydra Box builds it."""
    assert built_llama_cpp.accelerator is Accelerator.CUDA
    return built_llama_cpp


@pytest.fixture(scope="session")
def gpu_home(cuda_llama_cpp: Runtime, short_directory: Path) -> Path:
    """A state directory whose engine uses the GPU."""
    home = short_directory / "gpu"
    home.mkdir(mode=0o700)
    paths = resolve_paths({"HYDRA_BOX_HOME": str(home)})
    paths.create()
    lend(cuda_llama_cpp, paths)
    return home


@pytest.fixture
def gpu_box(gpu_home: Path) -> Iterator[RunningBox]:
    """A box with the service ``demo`` on the GPU, the same for one test after the other."""
    box = RunningBox(gpu_home, {})
    try:
        box.wait_verified()
        if not box.client.services():
            box.client.deploy(DeployRequest(model="demo", name="demo"))
        box.wait_running("demo")
        yield box
    finally:
        box.stop()
        box.end_orphans()
