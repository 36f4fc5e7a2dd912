"""Whatever changes what a box has tells of it, to whoever follows the events."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.messages import CreateKeyRequest, ImportRequest
from hydra_box.types import Event, Scope, Severity
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.fakes.engine import install_as_built, install_on_path
from tests.models.tiny_gguf import write_tiny_gguf
from tests.waiting import eventually

BUILT = "llama.cpp/built-9999-cpu"
ON_PATH = "llama.cpp/path-9999-cpu"


def told(box: RunningBox, kinds: str, number: int) -> list[Event]:
    """The events of these kinds, once there are so many."""

    def found() -> list[Event]:
        events = [one for one in box.client.recent_events() if one.kind.startswith(kinds)]
        return events if len(events) >= number else []

    return eventually(found, what=f"{number} events {kinds}*")


def words(events: list[Event]) -> list[tuple[str, str]]:
    return [(one.kind, one.message) for one in events]


def test_keys_without_their_secrets(start_box: StartBox) -> None:
    box = start_box()
    scopes = (Scope.INFERENCE, Scope.ADMIN)
    created = box.client.create_key(CreateKeyRequest(name="laptop", scopes=scopes))
    for _ in range(2):
        box.client.revoke_key("laptop")
    box.client.create_key(CreateKeyRequest(name="last"))
    events = told(box, "key.", 3)
    assert words(events) == [
        ("key.created", "the key 'laptop' is made for inference and admin"),
        ("key.revoked", "the key 'laptop' is revoked"),
        ("key.created", "the key 'last' is made for inference"),
    ]
    assert {one.severity for one in events} == {Severity.INFO}
    printed = box.output.read_text()
    assert "the key 'laptop' is revoked" in printed
    assert created.key not in printed


def test_runtimes(
    start_box: StartBox, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_as_built(home / "engines")
    program = install_on_path(tmp_path / "bin", "--exit-at-once", "1")
    monkeypatch.setenv("PATH", f"{program.parent}:/bin")
    box = start_box()
    verified = {one.message.partition(" ")[0]: one for one in told(box, "engine.", 3)}
    runtimes = {one.id: one for one in box.client.engines()}
    assert set(verified) == set(runtimes)
    assert {one.kind for one in verified.values()} == {"engine.verified"}
    assert verified[BUILT].message == f"{BUILT} works: it has answered"
    problem = runtimes[ON_PATH].problem
    assert verified[ON_PATH].message == f"{ON_PATH} cannot be used: {problem}"
    assert [one.severity for one in verified.values() if one.severity is not Severity.INFO] == [
        verified[ON_PATH].severity
    ]
    assert verified[ON_PATH].severity is Severity.WARNING

    (bundled,) = set(runtimes) - {BUILT, ON_PATH}
    for _ in range(2):
        box.client.pin_engine(BUILT)
    box.client.pin_engine(bundled)
    for _ in range(2):
        box.client.unpin_engine(bundled)
    box.client.remove_engine(BUILT)
    box.client.verify_engine(bundled)
    assert words(told(box, "engine.", 9))[3:] == [
        ("engine.pinned", f"{BUILT} is pinned"),
        ("engine.unpinned", f"{BUILT} is unpinned"),
        ("engine.pinned", f"{bundled} is pinned"),
        ("engine.unpinned", f"{bundled} is unpinned"),
        ("engine.removed", f"{BUILT} is removed"),
        ("engine.verified", f"{bundled} works: it has answered"),
    ]


def test_models(start_box: StartBox, tmp_path: Path) -> None:
    box = start_box()
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    box.client.import_model(ImportRequest(path=str(file), name="mine", copy=True))
    view = box.client.verify_model("mine")
    with Path(view.path).open("ab") as copy:
        copy.write(b"more")
    damaged = box.client.verify_model("mine")
    box.client.remove_model("mine")
    events = told(box, "model.", 4)
    assert words(events) == [
        ("model.added", f"mine is imported from {file}"),
        ("model.verified", "mine is whole: every file is right"),
        ("model.verified", f"mine is damaged: {damaged.problem}"),
        ("model.removed", "mine is not in the library any more"),
    ]
    assert damaged.problem
    assert [one.severity is Severity.WARNING for one in events] == [False, False, True, False]
