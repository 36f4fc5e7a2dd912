"""``plan``, and the dry runs of ``deploy`` and ``scale``: what is asked and printed, the status."""

from __future__ import annotations

import re
import shlex
from typing import Any

import click
import msgspec
import pytest

from hydra_box.cli import render_plan
from hydra_box.cli.asked import deploy_command
from hydra_box.cli.main import program
from hydra_box.cli.memory_bar import ASCII, BLOCKS
from hydra_box.messages import PlanView
from hydra_box.types import (
    Accelerator,
    Alternative,
    Ask,
    Claim,
    Correction,
    EngineAvailability,
    EngineName,
)
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox, a_service_view, an_instance_view
from tests.cli.plans import LLAMA, QWEN, a_plan
from tests.machines import (
    cpu_only,
    eight_h200,
    one_gtx_1660,
    one_rtx_4090,
    two_rtx_3090_one_half_occupied,
)

GIB = 1 << 30


def plain(value: object) -> Any:
    """As JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def rendered(view: PlanView, model: str = "a-model") -> str:
    """What a terminal shows of it, without its colours."""
    return click.unstyle(render_plan.plan(view, BLOCKS, lambda one: deploy_command(model, one)))


FITTING = {
    "vLLM on one GPU": a_plan("qwen3-8b", QWEN, one_rtx_4090()),
    "llama.cpp on the CPU": a_plan("qwen3-8b", QWEN, cpu_only()),
    "llama.cpp, split": a_plan("qwen3-8b", QWEN, one_gtx_1660()),
    "tensor parallel": a_plan("llama-70b", LLAMA, eight_h200(), engine=EngineName.VLLM),
    "beside others": a_plan("qwen3-8b", QWEN, two_rtx_3090_one_half_occupied()),
    "several": a_plan("qwen3-8b", QWEN, eight_h200(), instances=3),
}
REFUSED = {
    "too large": a_plan("llama-70b", LLAMA, cpu_only()),
    "too many": a_plan("qwen3-8b", QWEN, one_rtx_4090(), instances=40),
    "too long": a_plan(
        "qwen3-8b", QWEN, one_rtx_4090(), context_length=40960, slots=16, engine=EngineName.VLLM
    ),
}
ALL = FITTING | REFUSED


@pytest.mark.parametrize("case", ALL)
def test_each_case_is_what_its_name_says(case: str) -> None:
    assert ALL[case].fits == (case in FITTING)


@pytest.mark.parametrize("case", ALL)
def test_no_line_is_wider_than_80_columns_but_command_lines(case: str) -> None:
    for line in rendered(ALL[case]).splitlines():
        assert len(line) <= 80 or line.startswith("   hydra-box "), line


@pytest.mark.parametrize("case", ALL)
def test_without_blocks_it_is_ascii(case: str) -> None:
    text = render_plan.plan(ALL[case], ASCII, lambda one: deploy_command("a-model", one))
    assert text.isascii()


@pytest.mark.parametrize("case", FITTING)
def test_a_plan_that_fits_shows_all_that_was_decided(case: str) -> None:
    view = FITTING[case]
    text = rendered(view)
    assert text.startswith(f"{view.model} fits: {view.engine} {view.quantization}\nwhere     ")
    slots = "1 slot" if view.slots == 1 else f"{view.slots} slots"
    assert f" of {slots} x {view.context_length or 0:,} tokens; " in text
    assert "AN INSTANCE TAKES  WEIGHTS  KV CACHE  COMPUTE  OVERHEAD  TOTAL" in re.sub(
        r" {2,}", "  ", text
    )
    flags = text.partition("\nflags\n")[2].partition("\n\n")[0]
    assert tuple(shlex.split(flags.replace("\\\n", " "))) == view.flags
    for reason in view.reasons:
        assert reason in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_says_what_is_missing_and_what_to_type_instead(case: str) -> None:
    view = REFUSED[case]
    text = rendered(view, view.model)
    words = re.sub(r"\s+", " ", text)
    assert text.startswith(f"{view.model} does not fit on this machine")
    for missing in view.missing:
        assert missing.message in words
    assert "\nflags\n" not in text
    typed = [line for line in text.splitlines() if line.startswith("   hydra-box ")]
    assert len(typed) == len(view.alternatives)
    for line, alternative in zip(typed, view.alternatives, strict=True):
        assert alternative.message in words
        assert plain(alternative.ask) == {**asked_by(line), "running": 0}


def asked_by(line: str) -> dict[str, Any]:
    """What a printed ``deploy`` asks for, as the program parses it."""
    _, verb, *arguments = shlex.split(line)
    command = program.get_command(click.Context(program), verb)
    assert command is not None
    asked = command.make_context(verb, arguments).params
    return {
        "engine": asked["engine"],
        "quantization": asked["quantization"],
        "context_length": asked["context_length"],
        "slots": asked["concurrency"],
        "instances": asked["instances"],
        "device": "cpu" if asked["cpu"] else None,
    }


def test_where_is_told_in_words() -> None:
    where = {
        case: rendered(view).partition("where     ")[2].splitlines()[0]
        for case, view in FITTING.items()
    }
    assert where["vLLM on one GPU"] == "GPU 0 (RTX 4090)"
    assert where["llama.cpp on the CPU"] == "CPU"
    assert re.fullmatch(
        r"GPU 0 \(GTX 1660\), \d+ layers, the others on the CPU", where["llama.cpp, split"]
    )
    assert where["beside others"] == "GPU 0 (RTX 3090)"
    assert where["several"] == "1 each on GPU 0, GPU 1, GPU 2"


def test_what_runs_already_has_its_part_of_the_bar() -> None:
    machine = one_rtx_4090()
    claim = Claim(device=machine.gpus[0].uuid, granted_bytes=4 * GIB, used_bytes=3 * GIB)
    view = a_plan("qwen3-8b", QWEN, machine, claims=(claim,))
    line = next(line for line in rendered(view).splitlines() if line.startswith("GPU 0"))
    assert "▓▓" in line
    assert "4.0" in line.split()
    assert "▓ ours, running" in rendered(view)


def test_a_correction_and_where_the_facts_are_from_are_told() -> None:
    learned = Correction(id="vllm/qwen3/cuda", factor=1.04, samples=3, updated_at=1.0)
    text = rendered(a_plan("qwen3-8b", QWEN, one_rtx_4090(), correction=learned))
    assert "estimates for vllm/qwen3/cuda are multiplied by 1.04, measured 3 times" in text
    assert "facts: computed from the shape in the catalog" in text
    assert re.search(r"\ndownload  \d+\.\d GiB, before it can start\n", text)


def test_an_engine_that_has_to_be_installed_is_named_with_its_command() -> None:
    here = EngineAvailability(engine=EngineName.LLAMA_CPP, accelerators=(Accelerator.CPU,))
    none = EngineAvailability(engine=EngineName.VLLM, accelerators=())
    view = a_plan("qwen3-8b", QWEN, one_rtx_4090(), installed=(here, none))
    assert view.fits
    assert f"install   first: hydra-box engines install {view.engine}\n" in rendered(view)


# --- the verbs --------------------------------------------------------------------


def test_plan_asks_and_prints(ask: Cli, fake: FakeBox) -> None:
    view = FITTING["vLLM on one GPU"]
    fake.says("POST /api/v1/plan", view)
    shown = ask("plan", "qwen3-8b", "--instances", "2", "--context-length", "4096", "--cpu")
    assert shown.status == 0
    assert shown.out == rendered(view) + "\n"
    assert ask("plan", "qwen3-8b", "--json").json == plain(view)
    asked, default = fake.bodies("POST /api/v1/plan")
    assert asked == {
        "model": "qwen3-8b",
        "instances": 2,
        "context_length": 4096,
        "concurrency": None,
        "engine": None,
        "quantization": None,
        "device": "cpu",
        "allow_code": False,
    }
    given = {"model": "qwen3-8b", "instances": 1, "allow_code": False}
    assert default == {**dict.fromkeys(asked), **given}


def test_the_json_of_a_plan_has_the_keys_that_scripts_rely_on() -> None:
    keys = {"fits", "engine", "instances", "context_length", "slots", "devices", "reasons"}
    for view in ALL.values():
        found = plain(view)
        assert keys | {"missing", "alternatives"} <= set(found)
        assert all("predicted_bytes" in one for one in found["devices"])


def test_a_plan_that_does_not_fit_ends_with_10(ask: Cli, fake: FakeBox) -> None:
    view = REFUSED["too large"]
    fake.says("POST /api/v1/plan", view)
    shown = ask("plan", "llama-70b")
    assert shown.status == 10
    assert "does not fit" in shown.out
    as_json = ask("plan", "llama-70b", "--json")
    assert as_json.status == 10
    assert as_json.json == plain(view)


def test_a_plan_that_no_engine_can_run_ends_with_7(ask: Cli, fake: FakeBox) -> None:
    view = msgspec.structs.replace(REFUSED["too large"], missing=(), alternatives=())
    fake.says("POST /api/v1/plan", view)
    shown = ask("plan", "flux")
    assert shown.status == 7
    assert "cannot run on this machine" in shown.out


def test_a_dry_run_of_deploy_prints_the_plan_and_keeps_the_name(ask: Cli, fake: FakeBox) -> None:
    view = REFUSED["too many"]
    fake.says("POST /api/v1/services", view)
    shown = ask("deploy", "qwen3-8b", "--name", "q", "--public", "--instances", "40", "--dry-run")
    assert shown.status == 10
    assert "   hydra-box deploy qwen3-8b --name q --public " in shown.out
    ((request, _, body),) = fake.asked
    assert request == "POST /api/v1/services?dry_run=true"
    assert (body["name"], body["public"], body["instances"]) == ("q", True, 40)


def test_a_dry_run_of_scale_offers_fewer_instances(ask: Cli, fake: FakeBox) -> None:
    view = a_plan(
        "qwen3-8b",
        QWEN[:1],
        one_rtx_4090(),
        running=1,
        instances=9,
        context_length=2048,
        slots=1,
        engine=EngineName.VLLM,
    )
    fake.says("POST /api/v1/services/a/scale", view)
    fake.says("GET /api/v1/services/a", a_service_view())
    shown = ask("scale", "a", "--instances", "10", "--dry-run")
    assert shown.status == 10
    assert "1 instance of it run now" in shown.out
    assert fake.asked[0][0] == "POST /api/v1/services/a/scale?dry_run=true"
    typed = [line.strip() for line in shown.out.splitlines() if line.startswith("   hydra-box ")]
    assert all(re.fullmatch(r"hydra-box scale a --add \d", line) for line in typed)


def edit_asks(**changes: Any) -> Ask:
    """What fits in the place of an edit of ``a_service_view()``."""
    values = {"context_length": 2048, "slots": 4, "instances": 1, "engine": "llama.cpp"}
    return msgspec.convert(values | changes, Ask)


@pytest.mark.parametrize(
    ("alternative", "typed"),
    [
        (edit_asks(context_length=1024), "hydra-box edit a --context-length 1024"),
        (edit_asks(slots=2), "hydra-box edit a --concurrency 2"),
        (
            edit_asks(engine="vllm", quantization="AWQ"),
            "hydra-box edit a --engine vllm --quantization AWQ",
        ),
        (edit_asks(slots=8, device="cpu"), "hydra-box edit a --concurrency 8 --device cpu"),
        # What is left to the plan, or is a matter of scaling.
        (edit_asks(context_length=None), None),
        (edit_asks(instances=2), None),
    ],
)
def test_a_dry_run_of_edit_offers_what_an_edit_can_do(
    ask: Cli, fake: FakeBox, alternative: Ask, typed: str | None
) -> None:
    other = Alternative(ask=alternative, message="this would fit")
    view = msgspec.structs.replace(REFUSED["too many"], alternatives=(other,))
    fake.says("POST /api/v1/services/a/edit", view)
    fake.says("GET /api/v1/services/a", a_service_view())
    shown = ask("edit", "a", "--context-length", "99999", "--dry-run")
    assert shown.status == 10
    assert fake.asked[0][0] == "POST /api/v1/services/a/edit?dry_run=true"
    assert "this would fit" in shown.out
    commands = [line.strip() for line in shown.out.splitlines() if line.startswith("   hydra-box ")]
    assert commands == ([] if typed is None else [typed])


@pytest.mark.parametrize(
    ("device", "changes", "typed"),
    [
        ("cpu", {}, True),
        ("GPU-1", {}, False),
        ("cpu", {"context_length": 512}, False),
    ],
)
def test_a_dry_run_of_scale_offers_no_more_than_scaling_can_do(
    ask: Cli, fake: FakeBox, device: str, changes: dict[str, Any], typed: bool
) -> None:
    refused = REFUSED["too many"]
    same = Ask(
        instances=2, context_length=refused.context_length, slots=refused.slots, device="cpu"
    )
    other = Alternative(ask=msgspec.structs.replace(same, **changes), message="2 would fit")
    view = msgspec.structs.replace(refused, alternatives=(other,))
    fake.says("POST /api/v1/services/a/scale", view)
    fake.says(
        "GET /api/v1/services/a", a_service_view(instances=(an_instance_view(device=device),))
    )
    shown = ask("scale", "a", "--add", "9", "--dry-run")
    assert "2 would fit" in shown.out
    assert ("   hydra-box scale a --add 2\n" in shown.out) is typed
