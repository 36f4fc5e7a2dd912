"""From an offer to the files that are fetched for it: every part, the projector, one commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hydra_box.errors import NotFound
from hydra_box.models.hub import Hub
from hydra_box.types import FactsSource, Offer, WeightFormat
from tests.fakes.hub import FakeHub
from tests.models.headers import write_values
from tests.models.test_hub import LLAMA, REPOSITORY, TENSORS, write_quantization


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub(tmp_path / "hub") as fake:
        yield fake


def wanted(hub: FakeHub, offer: Offer) -> list[str]:
    box = Hub(hub.environ())
    found = box.wanted("m", box.exact(offer), branch="main", allows_code=False)
    assert found.revision == hub.commit(REPOSITORY)
    for file in found.files:
        path = hub.repository(REPOSITORY) / file.name
        assert file.size_bytes == path.stat().st_size
        assert len(file.digest or "") == 64
    return [one.name for one in found.files]


def from_the_catalog(offer: Offer) -> Offer:
    """The same as the catalog has it: computed, without a commit and the names of files."""
    facts = msgspec.structs.replace(offer.facts, source=FactsSource.CATALOG, files=())
    return msgspec.structs.replace(offer, facts=facts, revision=None)


def test_every_part_of_one_quantization(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    names = [f"Big-Q4_K_M-{number:05}-of-00002.gguf" for number in (1, 2)]
    split = {"split.count": 2}
    write_values(directory / names[0], "llama", LLAMA, general=split)
    write_values(directory / names[1], "llama", {}, tensors=TENSORS, general=split)
    write_quantization(directory, "Q8_0")
    offers = {one.facts.quantization: one for one in Hub(hub.environ()).offers(REPOSITORY)}
    assert wanted(hub, offers["Q4_K_M"]) == names
    assert wanted(hub, from_the_catalog(offers["Q4_K_M"])) == names
    assert wanted(hub, from_the_catalog(offers["Q8_0"])) == ["Model-Q8_0.gguf"]


def test_the_projector_comes_along(hub: FakeHub) -> None:
    directory = hub.repository(REPOSITORY)
    write_quantization(directory, "Q8_0")
    for kind in ("BF16", "F16"):
        values = {"vision.projection_dim": 32}
        path = directory / f"mmproj-{kind}.gguf"
        write_values(path, "clip", values, tensors={"v.w": (8, 8)})
    (offer,) = Hub(hub.environ()).offers(REPOSITORY)
    assert wanted(hub, offer) == ["Model-Q8_0.gguf", "mmproj-F16.gguf"]


def test_a_catalog_that_promises_what_the_hub_has_not(hub: FakeHub) -> None:
    write_quantization(hub.repository(REPOSITORY), "Q8_0")
    (offer,) = Hub(hub.environ()).offers(REPOSITORY)
    facts = msgspec.structs.replace(offer.facts, format=WeightFormat.SAFETENSORS)
    promised = from_the_catalog(msgspec.structs.replace(offer, facts=facts))
    with pytest.raises(NotFound, match="no weights in safetensors") as caught:
        Hub(hub.environ()).exact(promised)
    assert "models.toml" in str(caught.value.hint)
