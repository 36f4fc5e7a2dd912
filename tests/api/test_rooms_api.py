"""Keys, engines, machine and health over HTTP."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import httpx
import pytest

from hydra_box import __version__
from hydra_box.client import Client
from hydra_box.engines.build_llama_cpp import BuildOptions
from hydra_box.errors import Conflict, EngineUnavailable, InvalidRequest, NotFound
from hydra_box.messages import CreateKeyRequest, DeployRequest
from hydra_box.types import RuntimeSource, Scope
from tests.api.live import LiveBox, live_box
from tests.fakes.engine import install_on_path
from tests.waiting import eventually

FAKE = "llama.cpp/built-9999-cpu"


def test_the_status_of_the_box(live: LiveBox, client: Client) -> None:
    status = client.status()
    assert status.version == __version__
    assert status.url == live.url
    assert status.state_directory == str(live.box.paths.home)
    assert status.user_id == live.box.local_user.id
    assert "llama.cpp" in status.runtimes


def test_the_machine(client: Client) -> None:
    machine = client.machine()
    assert machine.logical_cores >= 1
    assert 0 < machine.ram_available_bytes <= machine.ram_total_bytes


# --- keys ---------------------------------------------------------------------


def test_the_life_of_a_key(client: Client) -> None:
    created = client.create_key(CreateKeyRequest(name="a/b c", scopes=(Scope.INFERENCE,)))
    assert created.key.startswith("hb-")
    views = client.keys()
    listed = next(view for view in views if view.id == created.id)
    assert (listed.masked, listed.revoked_at) == (created.masked, None)
    with pytest.raises(Conflict):
        client.create_key(CreateKeyRequest(name="a/b c"))
    assert client.revoke_key("a/b c").revoked_at is not None
    with pytest.raises(NotFound):
        client.revoke_key("a/b d")


def test_the_answers_about_keys(admin: httpx.Client) -> None:
    created = admin.post("/api/v1/keys", json={"name": "answered"})
    assert created.status_code == 201
    assert created.json()["scopes"] == ["inference"]
    assert "sha256" not in admin.get("/api/v1/keys").text
    revoked = admin.delete(f"/api/v1/keys/{created.json()['id']}")
    assert (revoked.status_code, revoked.json()["name"]) == (200, "answered")


# --- engines ------------------------------------------------------------------


def test_a_runtime_is_verified_and_then_in_use(own: LiveBox) -> None:
    with own.client() as client:
        assert FAKE in [one.id for one in client.engines()]
        verified = client.verify_engine(FAKE)
        assert (verified.problem, verified.source) == (None, RuntimeSource.BUILT)
        assert client.status().runtimes["llama.cpp"] == FAKE
        client.remove_engine(FAKE)
        assert FAKE not in [one.id for one in client.engines()]


@pytest.mark.parametrize("runtime", ["llama.cpp/none", "none", "llama.cpp/"])
def test_runtimes_that_are_not_there(client: Client, runtime: str) -> None:
    with pytest.raises(NotFound):
        client.verify_engine(runtime)
    with pytest.raises(NotFound):
        client.remove_engine(runtime)


def test_an_engine_that_is_not_there_cannot_be_installed(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="there is no engine 'steam'"):
        next(client.install_engine("steam"))


def test_an_installation_that_fails_ends_with_its_error(client: Client) -> None:
    # This box has no PATH, and so no compiler.
    *_, last = client.install_engine("llama.cpp")
    assert last.error is not None
    assert last.error.error.code == EngineUnavailable.code


class Builder:
    """Prints a line and, if it may end, makes a runtime."""

    def __init__(self, *, endless: bool = False) -> None:
        self.ended = threading.Event()
        self._endless = endless

    async def __call__(
        self, options: BuildOptions, environ: Mapping[str, str]
    ) -> AsyncGenerator[str, None]:
        try:
            yield "compiling"
            if self._endless:
                await asyncio.Event().wait()
            install_on_path(options.directory / "lib" / "python3" / "site-packages" / "bin")
        finally:
            self.ended.set()


@pytest.fixture
def toolchain(tmp_path: Path) -> dict[str, str]:
    """An environment in which a compiler is found."""
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    return {"PATH": str(tmp_path)}


def test_an_installation_tells_how_it_goes_and_ends_with_the_runtime(
    home: Path, toolchain: dict[str, str]
) -> None:
    with live_box(home, environ=toolchain, builder=Builder()) as own, own.client() as client:
        *lines, last = client.install_engine("llama.cpp")
        assert "compiling" in [one.line for one in lines]
        assert last.runtime is not None
        assert last.runtime.verified_at is not None
        assert last.runtime.id in [one.id for one in client.engines()]


def test_an_installation_ends_when_its_client_leaves(home: Path, toolchain: dict[str, str]) -> None:
    builder = Builder(endless=True)
    with live_box(home, environ=toolchain, builder=builder) as own:
        with own.client() as client:
            steps = client.install_engine("llama.cpp")
            while next(steps).line != "compiling":
                pass
            with own.client() as other:
                (refused,) = other.install_engine("llama.cpp")
                assert refused.error is not None
                assert refused.error.error.code == Conflict.code
            steps.close()  # type: ignore[attr-defined]
        assert builder.ended.wait(30)
        eventually(lambda: own.listeners() == 0, what="no subscription is left")


# --- health, and the end --------------------------------------------------------


def test_health(tcp: httpx.Client) -> None:
    assert tcp.get("/healthz").json() == {"status": "ok"}
    assert tcp.get("/readyz").json() == {"status": "ok"}


def test_a_box_that_stops_is_alive_and_not_ready(own: LiveBox) -> None:
    own.box.relay.stop_accepting()
    with httpx.Client(base_url=own.url, trust_env=False, timeout=30) as client:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "the daemon is stopping"
    assert int(answer.headers["retry-after"]) > 0


def test_streams_end_in_good_order_when_the_daemon_stops(
    home: Path, toolchain: dict[str, str], model: Path
) -> None:
    builder = Builder(endless=True)
    with live_box(home, environ=toolchain, builder=builder) as own, own.client() as client:
        client.deploy(DeployRequest(model=str(model), name="tiny"))
        eventually(lambda: client.service("tiny").ready_instances, what="it is ready")
        installing = client.install_engine("llama.cpp")
        # Only a build that has begun can be seen to end.
        while next(installing).line != "compiling":
            pass
        events, lines = client.events(after=0), client.logs("tiny", follow=True)
        next(events)
        next(lines)
        own.stop()
        # Each ends by itself; a broken connection would raise.
        for _ in itertools.chain(installing, events, lines):
            pass
    assert builder.ended.is_set()
    assert own.listeners() == 0
