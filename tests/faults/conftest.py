"""Boxes to be hurt, and how often: ``FAULT_ROUNDS=50`` instead of a few times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.boxes import PROGRAM
from tests.faults.census import left_by_the_dead
from tests.faults.patient import Patient

Admit = Callable[..., Patient]
"""``admit(**settings)``: a box, each setting by its name in ``config.toml``."""

Rounds = Callable[[int], int]
"""``rounds(few)``: how often to inject a fault, a few times unless it was asked for more."""


@pytest.fixture(scope="session")
def rounds() -> Rounds:
    """How often each fault is injected."""
    wanted = os.environ.get("FAULT_ROUNDS")
    return lambda few: few if wanted is None else int(wanted)


@pytest.fixture
def admit(home: Path) -> Iterator[Admit]:
    """Starts boxes on this test's state directory; at the end nothing of them may be left."""
    patients: list[Patient] = []

    def start(
        *,
        program: tuple[str | Path, ...] = (PROGRAM,),
        environ: Mapping[str, str] = {},
        **settings: object,
    ) -> Patient:
        set_so = {f"HYDRA_BOX_{name.upper()}": str(value) for name, value in settings.items()}
        patients.append(Patient(home, {**environ, **set_so}, program))
        return patients[-1]

    yield start
    for patient in patients:
        try:
            patient.stop()
            assert left_by_the_dead(patient.box) == []
        finally:
            patient.box.end_orphans()
