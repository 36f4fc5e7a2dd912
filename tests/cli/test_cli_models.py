"""``models``: the catalog as a table of 100 columns, its filters, and one entry in full."""

from __future__ import annotations

from typing import Any

import click
import msgspec
import pytest

from hydra_box.cli.models import catalog_table, tokens
from hydra_box.messages import ModelView
from hydra_box.types import EngineName, Hosting, Modality
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox

BOTH = (Hosting.MAAS_BY_TOKEN, Hosting.MODEL_SERVICE)


def a_model(id: str, **changes: Any) -> ModelView:
    """A model that fits on the GPU."""
    values: dict[str, Any] = {
        "id": id,
        "name": id.title(),
        "modality": Modality.TEXT,
        "parameters": 8_190_735_360,
        "active_parameters": None,
        "context_length": 40960,
        "publisher": "Qwen",
        "gated": False,
        "price_per_million_input_tokens": None,
        "price_per_million_output_tokens": None,
        "minimum_versions": {"vllm": "0.8.5"},
        "repositories": ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B-GGUF"),
        "license": "Apache-2.0",
        "description": "A model for everything.",
        "tags": ("chat", "tools"),
        "hosting": (Hosting.MODEL_SERVICE,),
        "quantizations": ("BF16", "Q8_0", "Q4_K_M"),
        "on_disk": False,
        "fits": True,
        "engine": EngineName.VLLM,
        "quantization": "BF16",
        "device": "NVIDIA GeForce RTX 4090",
        "planned_context_length": 32768,
        "reason": "Safetensors that fit wholly with a useful KV cache: vLLM.",
        "services": (),
    }
    return ModelView(**values | changes)


NOTHING: dict[str, Any] = {
    "fits": False,
    "engine": None,
    "quantization": None,
    "device": None,
    "planned_context_length": None,
}
SMALL = a_model("small", services=("a", "b"))
EMBEDDING = a_model(
    "embedding",
    modality=Modality.EMBEDDING,
    tags=(),
    parameters=None,
    engine=EngineName.LLAMA_CPP,
    quantization="Q4_K_M",
    device="2 x NVIDIA GeForce RTX 3090 + CPU",
    planned_context_length=8000,
)
LARGE = a_model(
    "a-model-with-a-name-of-thirty-c",
    parameters=684_531_386_000,
    active_parameters=37_000_000_000,
    context_length=131_072,
    hosting=BOTH,
    reason="needs 641.2 GiB; GPU 0 (NVIDIA GeForce RTX 4090) has 22.1 GiB free, and so on and on",
    **NOTHING,
)
IMAGE = a_model(
    "image",
    modality=Modality.IMAGE,
    tags=(),
    context_length=0,
    reason="no engine for images",
    **NOTHING,
)
ALL = (SMALL, EMBEDDING, LARGE, IMAGE)


def plain(value: object) -> Any:
    """As JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(value))


@pytest.fixture
def models(ask: Cli, fake: FakeBox) -> Cli:
    fake.says("GET /api/v1/models", ALL)
    return ask


TABLE = """\
ID                                PARAMS  CONTEXT  HOSTING  ON THIS BOX
small                              8.2 B      40k  service  vllm      BF16   GPU        32k
  services: a, b
embedding                              -      40k  service  llama.cpp Q4_K_M 2 GPUs+CPU 8,000
a-model-with-a-name-of-thirty-c  684.5 B     128k  both     no: needs 641.2 GiB; GPU 0 (NVIDIA Ge...
image                              8.2 B        -  service  no: no engine for images
"""


def test_the_list_says_what_this_box_would_do(models: Cli) -> None:
    for words in (("models",), ("models", "list")):
        shown = models(*words).out
        # What goes into a pipe has every reason in full.
        assert f"no: {LARGE.reason}" in shown
        assert models(*words, "--json").json == {"models": plain(ALL)}


def test_the_list_fits_a_terminal() -> None:
    assert click.unstyle(f"{catalog_table(ALL, 100)}\n") == TABLE
    assert max(map(len, TABLE.splitlines())) <= 100
    assert LARGE.reason in catalog_table(ALL, 200)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("--fits",), ["small", "embedding"]),
        (("--modality", "embedding"), ["embedding"]),
        (("--tag", "tools"), ["small", LARGE.id]),
        (("--tag", "tools", "--fits"), ["small"]),
        (("--tag", "none"), []),
    ],
)
def test_filters(models: Cli, options: tuple[str, ...], ids: list[str]) -> None:
    found = models("models", "list", *options, "--json").json["models"]
    assert [one["id"] for one in found] == ids
    shown = models("models", "list", *options).out
    assert all(id in shown for id in ids)
    if not ids:
        assert shown == "no model of the catalog is like that\n"


def test_a_modality_that_is_none(models: Cli) -> None:
    refused = models("models", "list", "--modality", "smell")
    assert refused.status == 2
    assert "'smell' is not one of 'text'" in refused.err


def test_one_model_in_full(ask: Cli, fake: FakeBox) -> None:
    fake.says(f"GET /api/v1/models/{LARGE.id}", LARGE)
    fake.says("GET /api/v1/models/small", SMALL)
    fake.says("GET /api/v1/library", [])
    shown = ask("models", "show", LARGE.id).out
    assert "parameters  684.5 B, 37.0 B active" in shown
    assert "on offer    BF16, Q8_0, Q4_K_M" in shown
    assert "hosting     maas-by-token, model-service" in shown
    assert LARGE.reason in shown
    assert f"hydra-box plan {LARGE.id}" in shown
    one = ask("models", "show", "small").out
    assert "this box    vllm BF16 on NVIDIA GeForce RTX 4090, 32k of context" in one
    assert ask("models", "show", "small", "--json").json == plain(SMALL)


@pytest.mark.parametrize(
    ("number", "text"), [(131_072, "128k"), (128_000, "128,000"), (2048, "2k"), (0, "-")]
)
def test_context_lengths(number: int, text: str) -> None:
    assert tokens(number) == text
