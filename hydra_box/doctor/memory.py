"""What ``doctor`` says of the machine's memory."""

from __future__ import annotations

from typing import Final

from hydra_box.doctor.findings import INFO, WARNING, finding
from hydra_box.plan.words import gib
from hydra_box.types import Finding, Machine

LOW_RAM_BYTES: Final = 1024**3


def check_ram(machine: Machine) -> Finding:
    """Whether the machine has some to give."""
    text = f"{gib(machine.ram_available_bytes)} available of {gib(machine.ram_total_bytes)}"
    if machine.ram_available_bytes < LOW_RAM_BYTES:
        return finding("memory", WARNING, text, "stop what is not needed; models need more")
    return finding("memory", INFO, text)
