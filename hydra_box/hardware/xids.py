"""Xids: errors that a GPU's driver reports with a number, told as they happen."""

from __future__ import annotations

import contextlib
import ctypes

import pynvml

from hydra_box.hardware.readings import Handle
from hydra_box.types import GpuFault

MOST_AT_ONCE = 32
"""A GPU that reports without end must not hold up the look; the rest is told at the next one."""

_APPLICATION = "the engine on it asked for what it may not have; its log tells more"
_RESTART = "restart the machine"
_MEMORY = "nvidia-smi -q -d ECC,ROW_REMAPPER counts them; a GPU that has many is to be replaced"

_MEANINGS: dict[int, tuple[str, str]] = {
    13: ("a program on it failed (graphics engine exception)", _APPLICATION),
    31: ("a program on it used an address that is not its own", _APPLICATION),
    32: ("it was given commands that are damaged", "see to its seat in the slot and its driver"),
    38: ("its driver's firmware failed", _RESTART),
    43: ("a program on it was ended by the driver", _APPLICATION),
    45: ("what a program did on it was cleared away after an error or its end", _APPLICATION),
    48: ("its memory has an error that ECC cannot correct", _MEMORY),
    61: ("its own controller failed", _RESTART),
    62: ("its own controller stopped", _RESTART),
    63: ("a damaged part of its memory is set aside", _MEMORY),
    64: ("a damaged part of its memory cannot be set aside", _MEMORY),
    74: ("NVLink to another GPU failed", "nvidia-smi nvlink -e counts that; see to the bridge"),
    79: ("it has fallen off the bus", f"{_RESTART}, and see to its power and its seat in the slot"),
    92: ("ECC corrects many errors of its memory", _MEMORY),
    94: ("its memory had an error that took down one program only", _MEMORY),
    95: ("its memory had an error that may have reached every program on it", _RESTART),
    109: ("it did not change to another program in time", _RESTART),
    119: ("its system processor (GSP) does not answer", _RESTART),
    120: ("its system processor (GSP) failed", _RESTART),
    140: ("its memory has an error that ECC cannot correct", _MEMORY),
}
"""The well-known ones, from NVIDIA's catalogue of Xid errors: what it is, and what to do."""

OF_PROGRAMS = (13, 31, 43, 45)
"""Those that mostly are a program's doing: the GPU itself goes on."""


class XidWatch:
    """Listens for Xids of GPUs while NVML is open; where a driver cannot tell them it is silent."""

    def __init__(self) -> None:
        self._events: pynvml.c_nvmlEventSet_t | None = None
        self._heard: dict[int | None, tuple[str, str]] = {}
        """UUID and name of each GPU that is listened to, by the address of its handle."""

    def listen(self, handle: Handle, uuid: str, gpu: str) -> None:
        """Hear a GPU's Xids from now on; to repeat it changes nothing."""
        if (address := _address(handle)) in self._heard:
            return
        self._heard[address] = uuid, gpu
        # A driver that has no events, or not for this GPU or this user: then there are none.
        with contextlib.suppress(pynvml.NVMLError):
            if self._events is None:
                self._events = pynvml.nvmlEventSetCreate()
            pynvml.nvmlDeviceRegisterEvents(
                handle, pynvml.nvmlEventTypeXidCriticalError, self._events
            )

    def take(self) -> tuple[GpuFault, ...]:
        """What came since the last time; never waits."""
        faults: list[GpuFault] = []
        # It says that there is no more, or that the GPU is gone: the readings tell that.
        with contextlib.suppress(pynvml.NVMLError):
            while self._events is not None and len(faults) < MOST_AT_ONCE:
                event = pynvml.nvmlEventSetWait_v2(self._events, 0)
                uuid, gpu = self._heard.get(_address(event.device), ("", "a GPU"))
                faults.append(_fault(uuid, gpu, int(event.eventData)))
        return tuple(faults)

    def close(self) -> None:
        """Listen no more; NVML is about to be closed."""
        self._heard.clear()
        if self._events is not None:
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlEventSetFree(self._events)
            self._events = None


def _address(handle: Handle) -> int | None:
    return ctypes.cast(handle, ctypes.c_void_p).value


def _fault(uuid: str, gpu: str, xid: int) -> GpuFault:
    meaning, hint = _MEANINGS.get(
        xid, ("NVIDIA's catalogue of Xid errors has it", "dmesg | grep -i xid tells more")
    )
    return GpuFault(
        uuid=uuid,
        xid=xid,
        message=f"{gpu} reports Xid {xid}: {meaning}; hint: {hint}",
        of_a_program=xid in OF_PROGRAMS,
    )
