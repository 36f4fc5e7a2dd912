"""The installed program against a real daemon with a real engine."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.boxes import PROGRAM
from tests.cli.terminal import on_a_terminal
from tests.conftest import DemoBox
from tests.e2e.commands import run, run_json
from tests.models.tiny_gguf import write_tiny_gguf
from tests.waiting import eventually


def test_status(box: DemoBox) -> None:
    found = run_json(box.running, "status")
    assert found["pid"] == box.running.process.pid
    assert found["url"] == box.url
    assert "demo" in [service["name"] for service in found["services"]]
    shown = run(box.running, "status")
    assert shown.returncode == 0
    assert f"at {box.url}, pid {found['pid']}" in shown.stdout
    assert box.service.access_name in shown.stdout


def test_models_and_gpus(box: DemoBox) -> None:
    (demo,) = [one for one in run_json(box.running, "models")["models"] if one["id"] == "demo"]
    assert "demo" in demo["services"]
    assert (demo["fits"], demo["engine"]) == (True, "llama.cpp")
    listed = run(box.running, "models", "list").stdout.splitlines()
    assert not any(line.endswith("...") for line in listed)
    assert any(line.startswith("demo ") for line in listed)
    assert run_json(box.running, "models", "show", "demo")["id"] == "demo"
    assert "this box    llama.cpp" in run(box.running, "models", "show", "demo").stdout
    assert run(box.running, "models", "show", "demoo").returncode == 4
    machine = run_json(box.running, "gpus")
    assert machine["logical_cores"] >= 1
    assert "CPU   " in run(box.running, "gpus").stdout


def test_a_plan_and_what_comes_of_it(box: DemoBox) -> None:
    asked = ("demo", "--cpu", "--concurrency", "2", "--context-length", "512")
    planned = run_json(box.running, "plan", *asked)
    shown = run(box.running, "plan", *asked)
    assert shown.returncode == 0
    assert shown.stdout.startswith("demo fits: llama.cpp Q8_0\nwhere     CPU\n")
    assert "1 instance of 2 slots x 512 tokens; " in shown.stdout
    dry = run_json(box.running, "deploy", *asked, "--dry-run")
    assert (dry["placements"], dry["flags"]) == (planned["placements"], planned["flags"])
    assert "cli-plan" not in run(box.running, "status").stdout

    deployed = run_json(box.running, "deploy", *asked, "--name", "cli-plan", "--wait")
    assert (deployed["slots"], deployed["context_length"]) == (2, 512)
    assert (deployed["quantization"], deployed["engine"]) == ("Q8_0", planned["engine"])
    # It is measured once it serves.
    (memory,) = eventually(lambda: memory_of(box, "cli-plan"), what="it is measured")
    (part,) = planned["placements"][0]["memory"]
    parts = ("weights_bytes", "kv_cache_bytes", "compute_bytes", "overhead_bytes")
    assert memory["device"] == "cpu"
    assert memory["predicted_bytes"] == sum(part[one] for one in parts)
    assert memory["measured_bytes"] > 0

    scaled = run(box.running, "scale", "cli-plan", "--add", "1", "--dry-run")
    assert scaled.returncode == 0, scaled.stderr
    assert "2 instances of 2 slots x 512 tokens" in scaled.stdout
    assert run_json(box.running, "status")["services"]
    assert run(box.running, "delete", "cli-plan", "--confirm", "cli-plan").returncode == 0


def memory_of(box: DemoBox, name: str) -> list[dict[str, Any]]:
    """What the first instance of a service takes, as ``status`` has it."""
    services = run_json(box.running, "status")["services"]
    (found,) = [one for one in services if one["name"] == name]
    memory: list[dict[str, Any]] = found["instances"][0]["memory"]
    return memory


def test_a_plan_that_does_not_fit(box: DemoBox, tmp_path: Path) -> None:
    model = str(write_tiny_gguf(tmp_path / "vast.gguf", context_length=1 << 20))
    size = ("--context-length", str(1 << 20), "--concurrency", "256")
    asked = (model, *size, "--instances", "64", "--cpu")
    refused = run(box.running, "plan", *asked)
    assert refused.returncode == 10
    assert refused.stdout.startswith(f"{model} does not fit on this machine")
    typed = [line for line in refused.stdout.splitlines() if line.startswith("   hydra-box ")]
    assert typed
    words = shlex.split(typed[0])[1:]
    assert run(box.running, *words, "--dry-run").returncode == 0
    assert run(box.running, "deploy", *asked).returncode == 10


def test_a_plan_where_nothing_but_ascii_can_be_shown(box: DemoBox) -> None:
    done = subprocess.run(
        (PROGRAM, "plan", "demo", "--cpu"),
        env={**box.running.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "# this plan" in done.stdout
    assert done.stdout.isascii()


def test_trial(box: DemoBox) -> None:
    shown = run(box.running, "trial", "demo", "--temperature", "0", "What is Hydra Box?")
    assert shown.returncode == 0
    assert len(shown.stdout.strip()) > 10
    assert "TTFT" in shown.stderr
    found = run_json(box.running, "trial", "demo", "--temperature", "0", "What is Hydra Box?")
    assert found["content"] == shown.stdout.removesuffix("\n")
    assert found["usage"]["completion_tokens"] > 0
    assert found["model"] == box.service.access_name


def test_trial_with_a_key_that_may_only_call_models(box: DemoBox) -> None:
    access = ("--url", box.url, "--api-key", box.key)
    done = run(box.running, *access, "trial", box.service.access_name, "hello!")
    assert done.returncode == 0, done.stderr
    refused = run(box.running, *access, "status")
    assert refused.returncode == 3
    assert refused.stderr.startswith("error: ")


def test_a_chat_on_a_terminal(box: DemoBox) -> None:
    with on_a_terminal(box.running.environ, "trial", "demo") as terminal:
        terminal.read_until("> ")
        terminal.type("What is Hydra Box?\n")
        terminal.read_until("TTFT")
        terminal.read_until("> ")
        terminal.type("hello!\n")
        terminal.read_until("TTFT")
        terminal.read_until("> ")
        terminal.type("\x04")
        status, _ = terminal.finish()
    assert status == 0


def test_the_life_of_a_service(box: DemoBox) -> None:
    deployed = run(box.running, "deploy", "demo", "--name", "cli-life", "--wait")
    assert deployed.returncode == 0, deployed.stderr
    assert "cli-life is RUNNING: 1 of 1 ready" in deployed.stderr
    scaled = run_json(box.running, "scale", "cli-life", "--add", "1", "--wait")
    assert scaled["ready_instances"] == 2
    logs = run_json(box.running, "logs", "cli-life", "--instance", scaled["instances"][0]["id"])
    assert logs["lines"]
    stopped = run_json(box.running, "stop", "cli-life", "--wait")
    assert stopped["status"] == "STOPPED"
    assert stopped["instances"] == []
    assert run_json(box.running, "start", "cli-life", "--wait")["status"] == "RUNNING"
    with on_a_terminal(box.running.environ, "delete", "cli-life") as terminal:
        terminal.read_until("to go on: ")
        terminal.type("cli-life\n")
        status, screen = terminal.finish()
    assert status == 0
    assert "cli-life is deleted" in screen
    assert run(box.running, "status", "--json").stdout.count("cli-life") == 0


def test_logs_follow_until_ctrl_c(box: DemoBox) -> None:
    with on_a_terminal(box.running.environ, "logs", "demo", "--follow") as terminal:
        terminal.read_until("\n")
        terminal.interrupt()
        status, screen = terminal.finish()
    assert status == 130
    assert "Traceback" not in screen


def test_a_key_works_until_it_is_revoked(box: DemoBox) -> None:
    created = run(box.running, "keys", "create", "--name", "cli-key")
    key = created.stdout.removesuffix("\n")
    assert key.startswith("hb-")
    assert "\n" not in key

    def call() -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{box.url}/v1/models", headers=headers, timeout=30).status_code

    assert call() == 200
    assert key not in run(box.running, "keys", "list").stdout
    assert run(box.running, "keys", "create", "--name", "cli-key").returncode == 5
    assert run_json(box.running, "keys", "revoke", "cli-key")["revoked_at"] is not None
    assert call() == 401


def test_engines(box: DemoBox) -> None:
    runtimes = run_json(box.running, "engines")["runtimes"]
    (bundled,) = [one for one in runtimes if one["source"] == "bundled"]
    verified = run_json(box.running, "engines", "verify", bundled["id"])
    assert verified["verified_at"] >= bundled["verified_at"]
    assert bundled["id"] in run(box.running, "engines", "list").stdout
    assert run_json(box.running, "engines", "pin", bundled["id"])["pinned"] is True
    assert run_json(box.running, "status")["runtimes"]["llama.cpp"] == bundled["id"]
    assert run_json(box.running, "engines", "unpin", bundled["id"])["pinned"] is False
    refused = run(box.running, "engines", "remove", bundled["id"])
    assert refused.returncode != 0
    assert refused.stderr.startswith("error: ")


def test_a_path_is_read_from_where_the_program_is_run(box: DemoBox, tmp_path: Path) -> None:
    done = subprocess.run(
        (PROGRAM, "deploy", "nothing.gguf", "--json"),
        env=box.running.environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert str(tmp_path / "nothing.gguf") in done.stderr


def test_gpus_needs_no_daemon() -> None:
    done = subprocess.run(
        (PROGRAM, "gpus"), env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "RAM   " in done.stdout
