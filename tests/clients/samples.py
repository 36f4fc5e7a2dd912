"""The code samples of the hosted product's documents, where those stand beside the repository."""

from __future__ import annotations

import re
from pathlib import Path

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What the documents put where a reader's own values go; nothing else may be changed in a sample.
_ADDRESSES = ("https://sh-02.d.run", "https://chat.d.run")
_KEYS = ("<Your API Key here>", "your-api-key")
_MODELS = ("u-8105f7322477/test", "u-1100a15812cc/qwen2", "public/deepseek-r1")


def samples(document: str, language: str, containing: str) -> list[str]:
    """The fenced blocks of that language that contain a text, in the document's order."""
    text = (REFERENCE / document).read_text(encoding="utf-8")
    return [
        code for found, code in _BLOCK.findall(text) if found == language and containing in code
    ]


def adapted(sample: str, *, url: str, key: str, model: str) -> str:
    """The sample with its address, key and model name changed, and nothing else."""
    for texts, value in ((_ADDRESSES, url), (_KEYS, key), (_MODELS, model)):
        present = [text for text in texts if text in sample]
        assert len(present) == 1, f"{texts}: {present} in\n{sample}"
        sample = sample.replace(present[0], value)
    return sample
