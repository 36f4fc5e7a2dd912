"""What tests of edits and pins have in common: broken models, and what was told."""

from __future__ import annotations

from pathlib import Path

from hydra_box.catalog import DEMO_MODEL
from hydra_box.messages import ServiceView
from tests.boxes import RunningBox
from tests.faults.load import Fate, Load
from tests.models.tiny_gguf import write_tiny_gguf
from tests.waiting import eventually


def write_broken_gguf(path: Path) -> Path:
    """A model whose header can be read and planned for, and that no engine can load."""
    whole = write_tiny_gguf(path).read_bytes()
    path.write_bytes(whole.replace(b"blk.1.ffn_down.weight", b"blk.1.ffn_lost.weight"))
    return path


def offer_broken(box: RunningBox, directory: Path) -> str:
    """A base model of two quantisations on this machine: Q8_0 works, and F32 does not."""
    broken = write_broken_gguf(directory / "broken.gguf")
    (box.home / "models.toml").write_text(f'[models.two]\npath = ["{DEMO_MODEL}", "{broken}"]\n')
    return "two"


def told(box: RunningBox, kind: str) -> list[str]:
    """What the events of a kind say, oldest first."""
    return [one.message for one in box.client.recent_events() if one.kind == kind]


def wait_told(box: RunningBox, kind: str) -> str:
    """The first event of a kind, once there is one."""
    return eventually(lambda: told(box, kind), what=f"{kind} is told")[0]


def attention(box: RunningBox) -> list[str]:
    """What needs attention."""
    return [one.message for one in box.client.status().attention]


def pids(view: ServiceView) -> set[int | None]:
    """Of a service's engines."""
    return {one.pid for one in view.instances}


def lost(load: Load) -> set[str]:
    """What the clients were told that had no good answer."""
    return load.tally().details(*(one for one in Fate if one is not Fate.OK))
