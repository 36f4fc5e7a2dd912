"""The GPUs, through NVML, which stays open from look to look as long as all is well."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pynvml

from hydra_box.hardware import conditions
from hydra_box.hardware.conditions import Trouble, trouble_of
from hydra_box.hardware.readings import (
    Card,
    Handle,
    Links,
    is_in_mig_mode,
    mig_handles,
    optional,
    read_card,
    read_gpu,
    read_links,
    read_mig_instance,
    read_temperature,
)
from hydra_box.hardware.xids import XidWatch
from hydra_box.types import Frozen, Gpu, GpuCondition, GpuFault, GpuLoss


class GpuReport(Frozen, frozen=True, kw_only=True):
    """What a look at the GPUs found."""

    condition: GpuCondition
    message: str
    gpus: tuple[Gpu, ...] = ()
    lost: tuple[GpuLoss, ...] = ()
    faults: tuple[GpuFault, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None


class Nvml:
    """NVML, opened when it is first asked.

    Opening costs far more than asking, so it stays open. When something is wrong it is closed
    after every look: only a new opening sees a GPU come back, and a GPU cannot be reset while a
    process holds it open. Not to be used from two threads at the same time.
    """

    def __init__(self) -> None:
        self._is_open = False
        self._xids = XidWatch()
        self._cards: dict[str, Card] = {}
        self._links: dict[str, Links] = {}
        self._seen: dict[str, tuple[int, str]] = {}
        """Number and name of every GPU that was ever there, by UUID."""

    def look(self, shared_memory: tuple[int, int]) -> GpuReport:
        """The GPUs now; never raises for what is wrong with them.

        Args:
            shared_memory: total and free bytes of the machine's memory.

        """
        try:
            # Whoever looks once has nothing to listen for.
            listens = self._is_open
            if not self._is_open:
                pynvml.nvmlInit()
                self._is_open = True
            report = self._ask(shared_memory, listens=listens)
            report = msgspec.structs.replace(report, faults=self._xids.take())
        except pynvml.NVMLError_LibraryNotFound:
            report = _failed(conditions.no_library())
        except pynvml.NVMLError as error:
            report = _failed(trouble_of(error))
        if report.condition is not GpuCondition.PRESENT:
            self.close()
        return report

    def close(self) -> None:
        """Let the GPUs go."""
        self._cards.clear()
        self._links.clear()
        if self._is_open:
            self._is_open = False
            self._xids.close()
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()

    def _ask(self, shared_memory: tuple[int, int], *, listens: bool) -> GpuReport:
        count = pynvml.nvmlDeviceGetCount()
        gpus: list[Gpu] = []
        lost: list[GpuLoss] = []
        whole: list[tuple[str, Handle]] = []
        for index in range(count):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                card = self._card(handle, index)
                if listens:
                    self._xids.listen(handle, card.uuid, f"GPU {index} ({card.name})")
                if is_in_mig_mode(handle):
                    instances = _read_mig(handle, card, index)
                    gpus += instances
                    if not instances:
                        lost.append(_loss(index, card.uuid, _empty(card, index)))
                else:
                    gpus.append(read_gpu(handle, card, index, shared_memory))
                    whole.append((card.uuid, handle))
            except pynvml.NVMLError as error:
                uuid, gpu = self._name_of(index)
                lost.append(_loss(index, uuid, trouble_of(error, gpu)))
        lost += self._gone(gpus, lost)
        return _report(tuple(self._with_links(gpus, whole)), tuple(lost))

    def _card(self, handle: Handle, index: int) -> Card:
        uuid = pynvml.nvmlDeviceGetUUID(handle)
        if uuid not in self._cards:
            self._cards[uuid] = card = read_card(handle)
            self._seen[uuid] = index, card.name
        return self._cards[uuid]

    def _with_links(self, gpus: list[Gpu], whole: list[tuple[str, Handle]]) -> list[Gpu]:
        if self._links.keys() != {uuid for uuid, _ in whole}:
            self._links = read_links(whole)
        found = ((gpu, self._links.get(gpu.uuid, Links())) for gpu in gpus)
        return [
            msgspec.structs.replace(gpu, nvlink_peers=links.nvlink, pcie_peers=links.pcie)
            for gpu, links in found
        ]

    def _name_of(self, index: int) -> tuple[str | None, str]:
        """The UUID, if it was seen earlier, and what to call a GPU that does not answer."""
        for uuid, (number, name) in self._seen.items():
            if number == index:
                return uuid, f"GPU {index} ({name})"
        return None, f"GPU {index}"

    def _gone(self, gpus: list[Gpu], lost: list[GpuLoss]) -> list[GpuLoss]:
        there = {gpu.parent_uuid or gpu.uuid for gpu in gpus} | {one.uuid for one in lost}
        return [
            _loss(index, uuid, conditions.gone(f"GPU {index} ({name})"))
            for uuid, (index, name) in self._seen.items()
            if uuid not in there
        ]


def _read_mig(handle: Handle, card: Card, index: int) -> list[Gpu]:
    temperature = read_temperature(handle)
    return [read_mig_instance(one, card, index, temperature) for one in mig_handles(handle)]


def _empty(card: Card, index: int) -> Trouble:
    return conditions.mig_without_instances(f"GPU {index} ({card.name})", index)


def _loss(index: int, uuid: str | None, trouble: Trouble) -> GpuLoss:
    return GpuLoss(index=index, uuid=uuid, condition=trouble.condition, message=trouble.message)


def _report(gpus: tuple[Gpu, ...], lost: tuple[GpuLoss, ...]) -> GpuReport:
    driver = optional(pynvml.nvmlSystemGetDriverVersion)
    if lost:
        physical = len({gpu.parent_uuid or gpu.uuid for gpu in gpus}) + len(lost)
        number = f"{len(lost)} of {physical} GPUs cannot be used"
        found = GpuReport(condition=lost[0].condition, message=f"{number}: {lost[0].message}")
    elif not gpus:
        found = _failed(trouble_of(pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)))
    else:
        message = f"{_counted(gpus)}, driver {driver or 'unknown'}"
        found = GpuReport(condition=GpuCondition.PRESENT, message=message)
    return msgspec.structs.replace(
        found,
        gpus=gpus,
        lost=lost,
        driver_version=driver,
        cuda_version=_version(optional(pynvml.nvmlSystemGetCudaDriverVersion)),
    )


def _counted(gpus: tuple[Gpu, ...]) -> str:
    names = ", ".join(sorted({gpu.name for gpu in gpus}))
    physical = len({gpu.parent_uuid or gpu.uuid for gpu in gpus})
    text = f"{physical} GPU{'s' * (physical > 1)} ({names})"
    if slices := sum(gpu.parent_uuid is not None for gpu in gpus):
        text += f", {slices} MIG instance{'s' * (slices > 1)}"
    return text


def _version(number: Any) -> str | None:
    """CUDA's 12040 as ``12.4``."""
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"


def _failed(trouble: Trouble) -> GpuReport:
    return GpuReport(condition=trouble.condition, message=trouble.message)
