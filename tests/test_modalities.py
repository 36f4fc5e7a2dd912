"""Whether a service sees images: told by its model's files, and remembered."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hydra_box.messages import DeployRequest
from hydra_box.modalities import Modalities
from hydra_box.models.facts import read_facts
from hydra_box.types import Modality, WeightFormat
from tests.api.live import live_box
from tests.models.headers import write_projector
from tests.models.tiny_gguf import write_tiny_embedder, write_tiny_gguf
from tests.samples import a_service


def test_files_tell(tmp_path: Path) -> None:
    (tmp_path / "seeing").mkdir()
    text = write_tiny_gguf(tmp_path / "text.gguf")
    vision = write_tiny_gguf(tmp_path / "seeing" / "tiny.gguf")
    write_projector(vision.with_name("mmproj-F16.gguf"), width=32)
    embedder = write_tiny_embedder(tmp_path / "embedder.gguf")
    gone = tmp_path / "gone.gguf"
    paths = (text, vision, embedder, gone)
    services = [a_service(path.stem, model_path=str(path)) for path in paths]
    modalities = Modalities()
    assert {modalities.of(one) for one in services} == {Modality.TEXT}
    modalities.read(services)
    told = [modalities.of(one) for one in services]
    assert told == [Modality.TEXT, Modality.VISION, Modality.EMBEDDING, Modality.TEXT]


def test_a_vision_model_without_its_projector_is_blind_in_llama_cpp(tmp_path: Path) -> None:
    facts = read_facts(write_tiny_gguf(tmp_path / "tiny.gguf"))
    seeing = msgspec.structs.replace(facts, modality=Modality.VISION)
    service, modalities = a_service(model_path="/models/it"), Modalities()
    modalities.learn("/models/it", seeing)
    assert modalities.of(service) is Modality.TEXT
    modalities.learn("/models/it", msgspec.structs.replace(seeing, projector_bytes=1))
    assert modalities.of(service) is Modality.VISION
    modalities.learn("/models/it", msgspec.structs.replace(seeing, format=WeightFormat.SAFETENSORS))
    assert modalities.of(service) is Modality.VISION


def test_a_service_is_shown_as_seeing_also_by_the_next_daemon(home: Path, tmp_path: Path) -> None:
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    write_projector(model.with_name("mmproj-F16.gguf"), width=32)
    with live_box(home) as own, own.client() as client:
        assert client.deploy(DeployRequest(model=str(model), name="eyes")).modality == "vision"
        client.stop("eyes")
    with live_box(home) as own, own.client() as client:
        assert client.service("eyes").modality is Modality.VISION
