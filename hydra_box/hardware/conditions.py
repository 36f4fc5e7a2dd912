"""What can be wrong with the GPUs: every condition by name, as a fact and a hint."""

from __future__ import annotations

from pathlib import Path

import pynvml

from hydra_box.types import Frozen, GpuCondition

NVIDIA_VENDOR = "0x10de"
_CLASSES_OF_GPUS = ("0x03",)


class Trouble(Frozen, frozen=True, kw_only=True):
    """A condition in words."""

    condition: GpuCondition
    fact: str
    hint: str | None = None

    @property
    def message(self) -> str:
        """The fact, then the hint."""
        return f"{self.fact}; hint: {self.hint}" if self.hint else self.fact


LOST = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED)
"""NVML's errors that say that a GPU is gone, whatever was asked of it."""

_RESET = "nvidia-smi --gpu-reset, or restart the machine"

_BY_ERROR: dict[int, tuple[GpuCondition, str, str]] = {
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: (
        GpuCondition.NO_DRIVER,
        "the NVIDIA driver is installed, but not loaded",
        "modprobe nvidia, or restart; a container needs its GPUs given to it (--gpus all)",
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        GpuCondition.DRIVER_MISMATCH,
        "the NVIDIA driver was updated and the old one is still loaded",
        "restart the machine",
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: (
        GpuCondition.NO_PERMISSION,
        "this user may not use {gpu}",
        "check who may read and write /dev/nvidia*, and what the container or unit allows",
    ),
    pynvml.NVML_ERROR_GPU_IS_LOST: (
        GpuCondition.GPU_LOST,
        "{gpu} has fallen off the bus",
        "dmesg | grep -i xid tells why; restart the machine",
    ),
    pynvml.NVML_ERROR_RESET_REQUIRED: (GpuCondition.GPU_LOST, "{gpu} needs a reset", _RESET),
    pynvml.NVML_ERROR_INSUFFICIENT_POWER: (
        GpuCondition.ERROR,
        "{gpu} has too little power",
        "connect every one of its power cables, then restart the machine",
    ),
    pynvml.NVML_ERROR_IRQ_ISSUE: (
        GpuCondition.ERROR,
        "the kernel gets no interrupts of {gpu}",
        "dmesg | grep -i nvrm tells why; a BIOS update often helps",
    ),
    pynvml.NVML_ERROR_CORRUPTED_INFOROM: (
        GpuCondition.ERROR,
        "{gpu} has a damaged infoROM",
        "nvidia-smi -q tells more; its vendor can repair it",
    ),
    pynvml.NVML_ERROR_NOT_FOUND: (
        GpuCondition.NO_DEVICE,
        "the NVIDIA driver is loaded, but finds no GPU",
        "nvidia-smi tells what it sees, dmesg | grep -i nvrm why",
    ),
}


def trouble_of(error: pynvml.NVMLError, gpu: str = "the GPUs") -> Trouble:
    """What an error of NVML means; ``gpu`` names whom it was about."""
    condition, fact, hint = _BY_ERROR.get(
        error.value, (GpuCondition.ERROR, f"NVML failed at {{gpu}}: {error}", "try nvidia-smi")
    )
    return Trouble(condition=condition, fact=fact.format(gpu=gpu), hint=hint)


def no_library() -> Trouble:
    """There is no NVML to ask; a machine without an NVIDIA device needs none."""
    fact = "no NVIDIA driver: libnvidia-ml.so.1 was not found"
    if not has_nvidia_device():
        return Trouble(condition=GpuCondition.NO_DRIVER, fact=fact)
    return Trouble(
        condition=GpuCondition.NO_DRIVER,
        fact=f"{fact}, although there is an NVIDIA device",
        hint="install the NVIDIA driver; a container needs its GPUs given to it (--gpus all)",
    )


def gone(gpu: str) -> Trouble:
    """A GPU that was there earlier and that the driver does not list any more."""
    return Trouble(
        condition=GpuCondition.GPU_LOST,
        fact=f"{gpu} is not there any more",
        hint="dmesg | grep -i -E 'xid|nvrm' tells why; restart the machine",
    )


def mig_without_instances(gpu: str, index: int) -> Trouble:
    """A GPU in MIG mode that nobody has cut into instances: nothing can run on it."""
    return Trouble(
        condition=GpuCondition.MIG_WITHOUT_INSTANCE,
        fact=f"{gpu} is in MIG mode and has no MIG instance",
        hint=f"nvidia-smi mig -i {index} -cgi PROFILE -C makes one; "
        f"nvidia-smi -i {index} -mig 0 ends MIG mode",
    )


def silent(seconds: float) -> Trouble:
    """NVML was asked and does not answer; a GPU that dies may hang its driver."""
    return Trouble(
        condition=GpuCondition.ERROR,
        fact=f"the NVIDIA driver has not answered for {seconds:.0f} s",
        hint="dmesg | grep -i xid tells why; restart the machine",
    )


def has_nvidia_device(devices: Path = Path("/sys/bus/pci/devices")) -> bool:
    """Whether a GPU of NVIDIA is on the bus, with a driver or without."""
    return any(
        _read(device / "vendor").strip() == NVIDIA_VENDOR
        and _read(device / "class").startswith(_CLASSES_OF_GPUS)
        for device in devices.glob("*")
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""  # A device that was taken off the bus meanwhile.
