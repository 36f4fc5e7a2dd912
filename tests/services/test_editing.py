"""What an edit asks of a plan, and what the service is after it."""

from __future__ import annotations

import msgspec
import pytest

from hydra_box.errors import Conflict, DowntimeNeeded, InvalidModel, InvalidRequest
from hydra_box.messages import EditRequest
from hydra_box.plan.beside import Replacement
from hydra_box.plan.ways import way_of
from hydra_box.services.editing import (
    as_asked,
    ask_of_edit,
    changes_nothing,
    check_downtime,
    difference,
    edited,
    keeps_weights,
    model_of_edit,
    offers_here,
    rolled_out,
)
from hydra_box.services.terms import changes_terms_only, with_terms
from hydra_box.types import Ask, EngineName, MakesRoom, Modality, ModelSpec, Offer, Price
from tests.machines import one_rtx_4090
from tests.plan.making import gguf, plan_of, safetensors
from tests.samples import a_service

M = MakesRoom

SERVICE = a_service(
    quantization="Q4_K_M", context_length=4096, slots=2, desired_instances=3, download_id="dl-1"
)
AS_IT_IS = Ask(engine=EngineName.LLAMA_CPP, context_length=4096, slots=2, instances=3)


def a_spec(*offers: Offer) -> ModelSpec:
    return ModelSpec(id="m", name="M", modality=Modality.TEXT, context_length=32_768, offers=offers)


@pytest.mark.parametrize(
    ("asked", "changes"),
    [
        ({}, {}),
        ({"context_length": 512, "concurrency": 8}, {"context_length": 512, "slots": 8}),
        ({"device": "cpu"}, {"device": "cpu"}),
        ({"device": "auto"}, {}),
        # The weights stay, and are the only ones on offer.
        ({"engine": "LLAMA.cpp", "quantization": "q4_k_m"}, {}),
        ({"quantization": "Q8_0"}, {"quantization": "Q8_0"}),
        ({"engine": "vllm"}, {"engine": EngineName.VLLM, "quantization": "Q4_K_M"}),
    ],
)
def test_what_is_not_given_is_asked_for_as_it_is(
    asked: dict[str, object], changes: dict[str, object]
) -> None:
    ask = ask_of_edit(SERVICE, msgspec.convert(asked, EditRequest))
    assert ask == msgspec.structs.replace(AS_IT_IS, **changes)
    assert changes_nothing(SERVICE, ask) is (not changes)
    assert keeps_weights(SERVICE, ask) is not bool(changes.keys() & {"engine", "quantization"})


def test_the_device_stays_unless_it_is_given() -> None:
    on_cpu = msgspec.structs.replace(SERVICE, on_cpu=True)
    assert ask_of_edit(on_cpu, EditRequest()).device == "cpu"
    assert changes_nothing(on_cpu, ask_of_edit(on_cpu, EditRequest(device="cpu")))
    assert ask_of_edit(on_cpu, EditRequest(device="auto")).device is None


def test_of_other_weights_only_those_that_are_here_are_taken() -> None:
    here, far = gguf("Q8_0"), gguf("Q2_K", here=False)
    spec = a_spec(here, far, safetensors("AWQ", here=False))
    ask = msgspec.structs.replace(AS_IT_IS, quantization="Q8_0")
    assert offers_here(SERVICE, spec, ask, "demo") == (here,)
    for engine, name in ((EngineName.LLAMA_CPP, "Q2_K"), (EngineName.VLLM, "AWQ")):
        ask = msgspec.structs.replace(AS_IT_IS, engine=engine, quantization=name)
        with pytest.raises(Conflict) as refused:
            offers_here(SERVICE, spec, ask, "demo")
        assert refused.value.message.startswith(f"{name} of demo for {engine} is not on this")
        command = f"hydra-box models pull demo --engine {engine} --quantization {name}"
        assert (refused.value.hint or "").endswith(command)
    with pytest.raises(InvalidRequest, match="'Q3_X' is not on offer"):
        offers_here(SERVICE, spec, msgspec.structs.replace(AS_IT_IS, quantization="Q3_X"), "m")


def test_code_that_was_not_allowed_stays_so() -> None:
    offer = gguf("Q8_0")
    facts = msgspec.structs.replace(offer.facts, needs_code=True)
    spec = a_spec(msgspec.structs.replace(offer, facts=facts))
    ask = msgspec.structs.replace(AS_IT_IS, quantization="Q8_0")
    with pytest.raises(InvalidModel):
        offers_here(SERVICE, spec, ask, "demo")
    allowed = msgspec.structs.replace(SERVICE, allows_code=True)
    assert offers_here(allowed, spec, ask, "demo") == spec.offers


def test_the_service_after_an_edit() -> None:
    request = EditRequest(context_length=2048, concurrency=1, device="cpu")
    ask = ask_of_edit(SERVICE, request)
    new = edited(SERVICE, ask, plan_of((gguf(weights_bytes=1 << 30),), one_rtx_4090(), ask))
    assert new == msgspec.structs.replace(SERVICE, context_length=2048, slots=1, on_cpu=True)
    assert difference(SERVICE, new) == (
        "2,048 tokens of context instead of 4,096, 1 slot instead of 2, on the CPU"
    )
    assert difference(new, SERVICE).endswith("wherever it fits, instead of on the CPU")


def test_the_service_after_an_edit_of_its_weights() -> None:
    ask = ask_of_edit(SERVICE, EditRequest(engine="vllm", quantization="AWQ"))
    offer = safetensors("AWQ", weights_bytes=1 << 30)
    new = edited(SERVICE, ask, plan_of((offer,), one_rtx_4090(), ask))
    changes = {"engine": EngineName.VLLM, "quantization": "AWQ", "model_path": offer.path}
    assert new == msgspec.structs.replace(SERVICE, **changes, on_gpu=True, download_id=None)
    assert difference(SERVICE, new) == "on vllm instead of llama.cpp, AWQ instead of Q4_K_M"


def test_another_revision_is_of_the_same_model_and_other_weights() -> None:
    service = msgspec.structs.replace(SERVICE, base_model="hf:org/tiny:Q4_K_M@v1")
    request = EditRequest(revision="main")
    ask = ask_of_edit(service, request)
    assert ask == msgspec.structs.replace(AS_IT_IS, quantization="Q4_K_M")
    assert not keeps_weights(service, ask)
    assert model_of_edit(service, request, ask, None) == "hf:org/tiny:Q4_K_M@main"
    assert model_of_edit(service, EditRequest(), ask, None) == service.base_model
    unnamed = msgspec.structs.replace(service, quantization=None)
    assert ask_of_edit(unnamed, request).quantization == ""
    offer = gguf("Q4_K_M", weights_bytes=1 << 30)
    new = edited(service, ask, plan_of((offer,), one_rtx_4090(), ask))
    assert new.model_path == offer.path
    assert difference(service, new) == "another revision of its model"
    for model, revision in (("demo", "main"), (service.base_model, "../up")):
        wrong = msgspec.structs.replace(SERVICE, base_model=model)
        with pytest.raises(InvalidRequest):
            model_of_edit(wrong, EditRequest(revision=revision), ask, None)


def test_another_revision_of_a_model_of_the_catalog_is_of_the_repository_that_it_names() -> None:
    def of(repository: str | None, offer: Offer) -> Offer:
        return msgspec.structs.replace(offer, repository=repository)

    here = of(None, gguf("Q4_K_M"))
    spec = a_spec(here, of("org/tiny-gguf", gguf("Q4_K_M")), of("org/tiny", safetensors("BF16")))
    for asked, model in (
        (EditRequest(revision="v2"), "hf:org/tiny-gguf:Q4_K_M@v2"),
        (EditRequest(revision="v2", engine="vllm", quantization="BF16"), "hf:org/tiny@v2"),
    ):
        assert model_of_edit(SERVICE, asked, ask_of_edit(SERVICE, asked), spec) == model
    # It lies on this machine, and came from nowhere.
    request = EditRequest(revision="v2")
    with pytest.raises(InvalidRequest, match="demo has no revisions"):
        model_of_edit(SERVICE, request, ask_of_edit(SERVICE, request), a_spec(here))


IN_PLACE = Replacement(makes_room=M.TO_THE_LAST, told="The old one has to end first.")


def test_an_edited_service_keeps_what_it_goes_back_to() -> None:
    new = msgspec.structs.replace(SERVICE, slots=8)
    newer = msgspec.structs.replace(SERVICE, slots=9)
    first = rolled_out(SERVICE, new, Replacement(), has_served=True)
    assert first == msgspec.structs.replace(new, previous=way_of(SERVICE))
    assert as_asked(first) == new
    # What served last, and not what an edit that is under way made of it.
    second = rolled_out(first, newer, IN_PLACE, has_served=True)
    assert (second.previous, second.makes_room) == (way_of(SERVICE), M.TO_THE_LAST)
    # Back by hand: that is how it served.
    assert rolled_out(first, SERVICE, Replacement(), has_served=True) == SERVICE
    # What has never served is nothing to go back to.
    assert rolled_out(SERVICE, new, Replacement(), has_served=False).previous is None


def test_downtime_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(DowntimeNeeded) as refused:
        check_downtime(SERVICE, IN_PLACE, command="edit qwen2 ...", allowed=False)
    told = "qwen2 would be away for a while. The old one has to end first."
    assert refused.value.message == told
    assert (refused.value.hint or "").endswith("hydra-box edit qwen2 ... --allow-downtime")
    check_downtime(SERVICE, IN_PLACE, command="edit qwen2 ...", allowed=True)
    in_turn = Replacement(makes_room=M.ONE_BY_ONE)
    check_downtime(SERVICE, in_turn, command="edit qwen2 ...", allowed=False)


def test_terms_that_change_are_told() -> None:
    new = msgspec.structs.replace(
        SERVICE,
        idle_timeout_seconds=900.0,
        price=Price(input_per_million=0.5, output_per_million=2.0),
    )
    assert difference(SERVICE, new) == "an idle timeout of 900 s, the price 0.5 / 2 a million"
    assert difference(new, msgspec.structs.replace(new, idle_timeout_seconds=None)) == (
        "no idle timeout"
    )


@pytest.mark.parametrize(
    ("request_", "only"),
    [
        (EditRequest(), True),
        (EditRequest(idle_timeout_seconds=0.0), True),
        (EditRequest(price=Price(input_per_million=0.0, output_per_million=0.0)), True),
        (EditRequest(concurrency=2), False),
        (EditRequest(device="auto", idle_timeout_seconds=5.0), False),
        (EditRequest(concurrency=0), False),
        (EditRequest(allow_downtime=True), False),
    ],
)
def test_what_changes_terms_only(request_: EditRequest, only: bool) -> None:
    assert changes_terms_only(request_) is only


def test_terms() -> None:
    edited = with_terms(SERVICE, EditRequest(idle_timeout_seconds=60.0))
    assert edited == msgspec.structs.replace(SERVICE, idle_timeout_seconds=60.0)
    assert with_terms(edited, EditRequest(context_length=1)) == edited
    assert with_terms(edited, EditRequest(idle_timeout_seconds=0.0)) == SERVICE
    for request in (
        EditRequest(idle_timeout_seconds=0.5),
        EditRequest(idle_timeout_seconds=float("inf")),
        EditRequest(price=Price(input_per_million=-1.0, output_per_million=0.0)),
        EditRequest(price=Price(input_per_million=0.0, output_per_million=float("nan"))),
    ):
        with pytest.raises(InvalidRequest):
            with_terms(SERVICE, request)
