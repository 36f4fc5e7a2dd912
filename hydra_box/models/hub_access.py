"""What the environment says of the hub: where it is, by which token, whether to ask it at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import constants

TRUE = frozenset({"1", "on", "yes", "true"})


def hub_endpoint(environ: Mapping[str, str]) -> str:
    """The hub's address, without a slash at its end."""
    return (environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def is_offline(environ: Mapping[str, str]) -> bool:
    """Whether the hub is switched off."""
    return any(
        environ.get(name, "").lower() in TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def hub_token(environ: Mapping[str, str]) -> str | None:
    """``HF_TOKEN``, or the file that ``hf auth login`` writes."""
    said = environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN")
    if said and said.strip():
        return said.strip()
    cache = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/nonexistent')}/.cache"
    home = environ.get("HF_HOME") or f"{cache}/huggingface"
    try:
        text = Path(environ.get("HF_TOKEN_PATH") or f"{home}/token").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError, ValueError):
        # No such file is the usual case: most models need no token.
        return None
    return text.strip() or None
