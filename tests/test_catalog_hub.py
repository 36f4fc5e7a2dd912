"""Models whose facts are on the hub alone: entries without a shape, and ``hf:org/repo``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_box.catalog import Catalog
from hydra_box.config import Paths
from hydra_box.errors import Forbidden, NotFound, Unavailable
from hydra_box.models.hub import Hub
from hydra_box.types import FactsSource, ModelSpec
from tests.fakes.hub import FakeHub
from tests.models.tiny_gguf import write_tiny_gguf

SMALL = '[[models.small.gguf]]\nrepo = "someone/small-GGUF"\n'


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub(tmp_path / "hub") as fake:
        repository = fake.repository("someone/small-GGUF")
        write_tiny_gguf(repository / "small-F32.gguf", name="Small")
        write_tiny_gguf(repository / "other-F32.gguf", name="Other", width=64)
        yield fake


def catalog(tmp_path: Path, hub: FakeHub, text: str = "") -> Catalog:
    (tmp_path / "models.toml").write_text(text)
    paths = Paths(home=tmp_path, run=tmp_path / "run")
    return Catalog.load(paths, hub=Hub(hub.environ()))


def listed(catalog: Catalog) -> dict[str, ModelSpec]:
    return {spec.id: spec for spec in catalog.list()}


def test_a_repository_is_a_model(tmp_path: Path, hub: FakeHub) -> None:
    spec = catalog(tmp_path, hub).resolve("hf:someone/small-GGUF")
    assert spec.id == "hf:someone/small-GGUF"
    assert len(spec.offers) == 2
    for offer in spec.offers:
        assert offer.facts.source is FactsSource.HUB
        assert (offer.repository, offer.path) == ("someone/small-GGUF", None)


def test_one_file_of_a_repository_is_a_model(tmp_path: Path, hub: FakeHub) -> None:
    spec = catalog(tmp_path, hub).resolve("hf:someone/small-GGUF:small-F32.gguf")
    (offer,) = spec.offers
    assert (spec.name, offer.facts.quantization) == ("Small", "F32")
    with pytest.raises(NotFound, match=r"no GGUF model 'none.gguf'"):
        catalog(tmp_path, hub).resolve("hf:someone/small-GGUF:none.gguf")


def test_an_entry_may_be_as_small_as_its_repository(tmp_path: Path, hub: FakeHub) -> None:
    owners = catalog(tmp_path, hub, SMALL + "[models.small.price]\ninput = 1\noutput = 2\n")
    assert owners.unread() == ("small",)
    assert "small" not in listed(owners)
    assert hub.requests == []
    spec = owners.resolve("small")
    assert (spec.id, spec.context_length) == ("small", 512)
    assert spec.price_per_million_output_tokens == 2.0
    assert owners.unread() == ()
    asked = len(hub.requests)
    assert listed(owners)["small"] == spec
    assert len(hub.requests) == asked


def test_what_the_entry_says_is_stronger_than_the_hub(tmp_path: Path, hub: FakeHub) -> None:
    text = '[models.small]\nname = "Mine"\ncontext_length = 256\nlicense = "MIT"\n' + SMALL
    spec = catalog(tmp_path, hub, text).resolve("small")
    assert (spec.name, spec.context_length, spec.license) == ("Mine", 256, "MIT")


def test_quantisations_of_the_entry_choose_among_those_of_the_hub(
    tmp_path: Path, hub: FakeHub
) -> None:
    owners = catalog(tmp_path, hub, SMALL + 'quantizations = ["F32"]\n')
    assert {offer.facts.quantization for offer in owners.resolve("small").offers} == {"F32"}
    wrong = catalog(tmp_path, hub, SMALL + 'quantizations = ["Q4_K_M"]\n')
    with pytest.raises(NotFound, match="have none of the weights that its entry names"):
        wrong.resolve("small")


def test_safetensors_are_not_taken_for_gguf(tmp_path: Path, hub: FakeHub) -> None:
    text = '[[models.small.safetensors]]\nrepo = "someone/small-GGUF"\n'
    with pytest.raises(NotFound, match="have none of the weights"):
        catalog(tmp_path, hub, text).resolve("small")


def test_what_the_hub_refuses_is_told(tmp_path: Path, hub: FakeHub) -> None:
    owners = catalog(tmp_path, hub, SMALL)
    hub.gated.add("someone/small-GGUF")
    with pytest.raises(Forbidden):
        owners.resolve("small")
    with pytest.raises(NotFound):
        owners.resolve("hf:nobody/nothing")
    hub.status = 503
    with pytest.raises(Unavailable):
        owners.resolve("small")
    assert owners.unread() == ("small",)


def test_a_repository_that_is_nearly_right(tmp_path: Path, hub: FakeHub) -> None:
    with pytest.raises(NotFound, match="has no repository someone/smal-GGUF") as caught:
        catalog(tmp_path, hub, SMALL).resolve("hf:someone/smal-GGUF")
    assert str(caught.value.hint).startswith("did you mean hf:someone/small-GGUF? check the name")
    with pytest.raises(NotFound) as caught:
        catalog(tmp_path, hub, SMALL).resolve("hf:x/entirely-different")
    assert "did you mean" not in str(caught.value.hint)
