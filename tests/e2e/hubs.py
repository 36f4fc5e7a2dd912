"""A loopback hub with models to deploy, and boxes that know no other."""

from __future__ import annotations

import shutil
from pathlib import Path

from hydra_box.catalog import DEMO_MODEL
from tests.fakes.hub import FakeHub
from tests.models.tiny_gguf import write_tiny_gguf

GGUF = "org/tiny-gguf"
SAFETENSORS = "org/tiny"
BIG = "org/big-gguf"
BIG_WIDTH = 1024
"""Makes a file of 84 MB: long enough to be killed in the middle of."""


def fill(hub: FakeHub) -> None:
    """Put the demo model into the hub, in both formats, with what nobody should fetch."""
    quantised = hub.repository(GGUF)
    shutil.copy(DEMO_MODEL, quantised / "tiny-Q8_0.gguf")
    (quantised / "README.md").write_text("# Tiny\n")
    directory = hub.repository(SAFETENSORS)
    shutil.copytree(DEMO_MODEL.parent / "hydra-box-demo-hf", directory, dirs_exist_ok=True)
    (directory / "pytorch_model.bin").write_bytes(b"\x80\x04" * 1000)
    (directory / "modeling_tiny.py").write_text("raise SystemExit('code of a repository ran')\n")


def add_big(hub: FakeHub) -> Path:
    """Put a larger model of random weights into the hub."""
    return write_tiny_gguf(hub.repository(BIG) / "big-F32.gguf", width=BIG_WIDTH)


def environ(hub: FakeHub, cache: Path) -> dict[str, str]:
    """The environment of a daemon that asks this hub, and keeps models in a cache of its own."""
    return {**hub.environ(), "HF_HUB_CACHE": str(cache)}
