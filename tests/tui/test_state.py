from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.errors import DaemonUnreachable
from hydra_box.messages import ServicesUpdate
from tests.tui import still_life
from tui.notebook import Notebook
from tui.state import SPEEDS_KEPT, BoxState


def test_an_update_changes_and_removes() -> None:
    state = BoxState()
    state.connected(still_life.status())
    assert [view.name for view in state.by_name()][:2] == ["chat", "coder"]
    faster = still_life.service("chat", ready_instances=1)
    state.apply(ServicesUpdate(at=5.0, changed=(faster,), removed=("svc-coder",), attention=()))
    chat = state.named("chat")
    assert chat is not None
    assert chat.ready_instances == 1
    assert state.named("coder") is None
    assert state.attention == ()
    state.apply(ServicesUpdate(at=6.0, changed=()))
    assert state.updated_at == 6.0


def test_sparklines_have_a_point_a_second_and_an_end() -> None:
    state = BoxState()
    state.connected(still_life.status())
    for _ in range(SPEEDS_KEPT + 5):
        state.tick()
    assert list(state.speeds["svc-chat"]) == [142.0] * SPEEDS_KEPT
    state.apply(ServicesUpdate(at=1.0, changed=(), removed=("svc-chat",)))
    assert "svc-chat" not in state.speeds


def test_what_was_stays_while_the_box_is_lost() -> None:
    state = BoxState()
    state.connected(still_life.status())
    state.lost(7.0, DaemonUnreachable("gone"))
    state.lost(9.0, DaemonUnreachable("still gone"))
    assert state.lost_at == 7.0
    assert state.lost_because is not None
    assert state.lost_because.message == "still gone"
    assert state.services
    state.connected(still_life.status())
    assert answers(state)


def answers(state: BoxState) -> bool:
    return state.lost_at is None and state.lost_because is None


def test_a_notebook_keeps_values_and_forgives(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "console")
    assert notebook.read("theme", str, "dark") == "dark"
    notebook.keep("theme", "light")
    assert notebook.read("theme", str, "dark") == "light"
    assert notebook.read("theme", int, 7) == 7
    (tmp_path / "console" / "theme.json").write_bytes(b"\xff{")
    assert notebook.read("theme", str, "dark") == "dark"
    assert (tmp_path / "console").stat().st_mode & 0o077 == 0


def test_a_value_that_cannot_be_written_leaves_the_last(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path)
    notebook.keep("theme", "light")
    with pytest.raises(TypeError):
        notebook.keep("theme", object())
    assert notebook.read("theme", str, "dark") == "light"
    assert [path.name for path in tmp_path.iterdir()] == ["theme.json"]
