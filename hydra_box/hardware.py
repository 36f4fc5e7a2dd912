"""What this machine has: GPUs through NVML, the rest through psutil and the control groups."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pynvml

from hydra_box.cgroup_memory import memory_room
from hydra_box.types import Frozen, Gpu, GpuCondition, Machine

NVIDIA_VENDOR = "0x10de"
_CLASSES_OF_GPUS = ("0x03",)

_CONDITIONS: dict[int, tuple[GpuCondition, str]] = {
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: (
        GpuCondition.NO_DRIVER,
        "the NVIDIA driver is installed, but not loaded; hint: modprobe nvidia, or restart",
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        GpuCondition.DRIVER_MISMATCH,
        "the NVIDIA driver was updated and the old one is still loaded; hint: restart the machine",
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: (
        GpuCondition.NO_PERMISSION,
        "this user may not use the GPUs; hint: check who may read and write /dev/nvidia*",
    ),
    pynvml.NVML_ERROR_GPU_IS_LOST: (
        GpuCondition.GPU_LOST,
        "a GPU has fallen off the bus; hint: dmesg | grep -i xid tells why; restart the machine",
    ),
    pynvml.NVML_ERROR_RESET_REQUIRED: (
        GpuCondition.GPU_LOST,
        "a GPU needs a reset; hint: nvidia-smi --gpu-reset, or restart the machine",
    ),
    pynvml.NVML_ERROR_NOT_FOUND: (
        GpuCondition.NO_DEVICE,
        "the NVIDIA driver is loaded, but finds no GPU; hint: nvidia-smi tells what it sees",
    ),
}


class _Gpus(Frozen, frozen=True, kw_only=True):
    condition: GpuCondition
    message: str
    gpus: tuple[Gpu, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None


def snapshot(disk_path: Path) -> Machine:
    """What there is now, and what of it is free; blocking, some milliseconds.

    Args:
        disk_path: a path on the disk to measure; the nearest existing parent counts.

    """
    memory = psutil.virtual_memory()
    room = memory_room(_read("/proc/self/cgroup"))
    disk = shutil.disk_usage(
        next(one for one in (disk_path, *disk_path.absolute().parents) if one.exists())
    )
    logical = len(os.sched_getaffinity(0))
    found = _find_gpus()
    return Machine(
        cpu_model=_cpu_model(),
        physical_cores=min(psutil.cpu_count(logical=False) or logical, logical),
        logical_cores=logical,
        ram_total_bytes=min(memory.total, room.limit_bytes) if room else memory.total,
        ram_available_bytes=(
            min(memory.available, room.available_bytes) if room else memory.available
        ),
        disk_total_bytes=disk.total,
        disk_free_bytes=disk.free,
        gpu_condition=found.condition,
        gpu_message=found.message,
        gpus=found.gpus,
        driver_version=found.driver_version,
        cuda_version=found.cuda_version,
    )


def _find_gpus() -> _Gpus:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return _without_library()
    except pynvml.NVMLError as error:
        return _failed(error)
    try:
        return _ask_nvml()
    except pynvml.NVMLError as error:
        return _failed(error)
    finally:
        pynvml.nvmlShutdown()


def _ask_nvml() -> _Gpus:
    count = pynvml.nvmlDeviceGetCount()
    gpus: list[Gpu] = []
    failures: list[pynvml.NVMLError] = []
    for index in range(count):
        try:
            gpus.append(_read_gpu(index))
        except pynvml.NVMLError as error:
            failures.append(error)
    driver = pynvml.nvmlSystemGetDriverVersion()
    if failures:
        found = _failed(failures[0])
        message = f"{len(failures)} of {count} GPUs cannot be used: {found.message}"
        found = msgspec.structs.replace(found, message=message)
    elif count == 0:
        found = _failed(pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND))
    else:
        names = ", ".join(sorted({gpu.name for gpu in gpus}))
        found = _Gpus(
            condition=GpuCondition.PRESENT,
            message=f"{count} GPU{'s' * (count > 1)} ({names}), driver {driver}",
        )
    cuda = _optional(pynvml.nvmlSystemGetCudaDriverVersion)
    return msgspec.structs.replace(
        found,
        gpus=tuple(gpus),
        driver_version=driver,
        cuda_version=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
    )


def _read_gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    load = _optional(pynvml.nvmlDeviceGetUtilizationRates, handle)
    milliwatts = _optional(pynvml.nvmlDeviceGetPowerUsage, handle)
    capability = _optional(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
    return Gpu(
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        index=index,
        name=pynvml.nvmlDeviceGetName(handle),
        total_bytes=memory.total,
        free_bytes=memory.free,
        utilization_percent=None if load is None else load.gpu,
        temperature_celsius=_optional(
            pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU
        ),
        power_watts=None if milliwatts is None else milliwatts / 1000,
        compute_capability=None if capability is None else tuple(capability),
    )


def _optional(ask: Callable[..., Any], *arguments: Any) -> Any:
    """What NVML answers, or None where this GPU or driver does not have it."""
    try:
        return ask(*arguments)
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
        return None


def _failed(error: pynvml.NVMLError) -> _Gpus:
    unknown = (GpuCondition.ERROR, f"NVML failed: {error}; hint: nvidia-smi may tell more")
    condition, message = _CONDITIONS.get(error.value, unknown)
    return _Gpus(condition=condition, message=message)


def _without_library() -> _Gpus:
    message = "no NVIDIA driver: libnvidia-ml.so.1 was not found"
    if _has_nvidia_device():
        message += ", although there is an NVIDIA device; hint: install the NVIDIA driver"
    return _Gpus(condition=GpuCondition.NO_DRIVER, message=message)


def _has_nvidia_device(devices: Path = Path("/sys/bus/pci/devices")) -> bool:
    return any(
        _read(device / "vendor").strip() == NVIDIA_VENDOR
        and _read(device / "class").startswith(_CLASSES_OF_GPUS)
        for device in devices.glob("*")
    )


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
