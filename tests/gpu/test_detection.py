"""What the box knows of a real GPU, beside what NVIDIA's own tool says."""

from __future__ import annotations

import subprocess

import pytest

from hydra_box.types import Gpu
from tests.boxes import PROGRAM

MIB = 1 << 20


def test_its_facts_are_those_of_nvidia_smi(card: Gpu, nvidia_smi: dict[str, str]) -> None:
    assert (card.uuid, card.name) == (nvidia_smi["uuid"], nvidia_smi["name"])
    assert card.total_bytes // MIB == int(nvidia_smi["memory.total"])
    assert card.pci_bus_id is not None
    assert card.pci_bus_id.lower().endswith(nvidia_smi["pci.bus_id"].lower())
    assert card.compute_capability is not None
    assert ".".join(map(str, card.compute_capability)) == nvidia_smi["compute_cap"]
    assert card.power_limit_watts == pytest.approx(float(nvidia_smi["power.limit"]), abs=0.01)


def test_its_readings_are_there(card: Gpu, nvidia_smi: dict[str, str]) -> None:
    assert 0 < card.free_bytes <= card.total_bytes
    assert card.utilization_percent is not None
    assert card.power_watts is not None
    assert card.power_watts > 0
    assert card.temperature_celsius is not None
    assert card.temperature_celsius == pytest.approx(int(nvidia_smi["temperature.gpu"]), abs=15)
    assert card.slowdown_celsius is not None
    assert card.temperature_celsius < card.slowdown_celsius
    assert not card.power_brake


def test_the_command_shows_it(card: Gpu, nvidia_smi: dict[str, str]) -> None:
    done = subprocess.run((PROGRAM, "gpus"), capture_output=True, text=True, check=True)
    assert card.name.removeprefix("NVIDIA ") in done.stdout
    assert nvidia_smi["driver_version"] in done.stdout
