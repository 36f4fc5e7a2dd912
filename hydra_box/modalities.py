"""What the models of services take and make: remembered, so that nobody has to read files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from hydra_box.errors import HydraError
from hydra_box.models.facts import read_facts
from hydra_box.types import Modality, ModelFacts, Service, WeightFormat


class Modalities:
    """By the path of the model, as its facts told when they were last read."""

    def __init__(self) -> None:
        self._known: dict[str, Modality] = {}

    def of(self, service: Service) -> Modality:
        """What a service's model takes; TEXT, while its files are not here to tell."""
        return self._known.get(service.model_path, Modality.TEXT)

    def learn(self, model_path: str, facts: ModelFacts) -> None:
        """Remember what facts tell of the model that is, or will be, at a path."""
        blind = facts.format is WeightFormat.GGUF and not facts.projector_bytes
        if facts.modality is Modality.VISION and blind:
            # llama.cpp sees through the projector alone.
            self._known[model_path] = Modality.TEXT
        else:
            self._known[model_path] = facts.modality

    def read(self, services: Iterable[Service]) -> None:
        """Learn of the models of services that are on this machine; blocking."""
        for path in {one.model_path for one in services if one.model_path}:
            with contextlib.suppress(HydraError):
                self.learn(path, read_facts(Path(path)))
