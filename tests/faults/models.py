"""Copies of the demo model that can be spoiled."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hydra_box.catalog import DEMO_MODEL

TOKENIZER = b"tokenizer.ggml.model"
"""A name in a GGUF header; the header can be read whatever its value is, and llama.cpp refuses."""


def copy_of_demo(directory: Path) -> Path:
    """A model of its own for a test."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "story.gguf"
    shutil.copyfile(DEMO_MODEL, path)
    return path


def spoil(model: Path) -> None:
    """From now on an engine ends while it loads the model; those that have it keep it.

    The header still says the same, so that a plan is as before. A new file takes the place of
    the old, which running engines have mapped.
    """
    content = model.read_bytes()
    at = content.index(TOKENIZER) + len(TOKENIZER) + 4 + 8
    spoilt = content[:at] + b"zzzz" + content[at + 4 :]
    _replace(model, spoilt)


def mend(model: Path) -> None:
    """The model is as it was."""
    _replace(model, DEMO_MODEL.read_bytes())


def _replace(model: Path, content: bytes) -> None:
    new = model.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, model)  # noqa: PTH105 - the function's name says what matters
