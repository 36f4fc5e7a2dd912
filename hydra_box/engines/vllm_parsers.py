"""Which of vLLM's parsers read a model's tool calls and its thinking.

llama.cpp tells them from the chat template by itself; vLLM has to be told by name, and does not
start with a parser whose tokens the model does not have. So they are chosen from the template, and
from the architecture where a family has a form of its own. Source: ``vllm/tool_parsers`` and
``vllm/reasoning`` of vLLM 0.32, and the templates of the models.
"""

from __future__ import annotations

import json
from pathlib import Path

from hydra_box.types import Frozen

DEEPSEEK_CALLS = "<\uff5ctool\u2581calls\u2581begin\uff5c>"


class Parsers(Frozen, frozen=True, kw_only=True):
    """The names of two parsers, as vLLM knows them."""

    tools: str | None = None
    thinking: str | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """What tells vLLM; a call's arguments follow the tool's schema, as on llama.cpp."""
        words: list[str] = []
        if self.tools is not None:
            words += ["--enable-auto-tool-choice", "--tool-call-parser", self.tools]
            words += ["--tool-strict-level", "parameter"]
        if self.thinking is not None:
            words += ["--reasoning-parser", self.thinking]
        return tuple(words)


_BY_ARCHITECTURE = (
    ("GptOss", Parsers(tools="openai", thinking="openai_gptoss")),
    ("Gemma4", Parsers(tools="gemma4", thinking="gemma4")),
    ("Llama4", Parsers(tools="llama4_pythonic")),
    ("Glm4Moe", Parsers(tools="glm45", thinking="glm45")),
    ("DeepseekV32", Parsers(tools="deepseek_v32", thinking="deepseek_v3")),
    ("DeepseekV4", Parsers(tools="deepseek_v4", thinking="deepseek_v4")),
    ("MiniMaxM2", Parsers(tools="minimax_m2", thinking="minimax_m2")),
    ("SeedOss", Parsers(tools="seed_oss", thinking="seed_oss")),
    ("Olmo3", Parsers(tools="olmo3", thinking="olmo3")),
    ("GraniteMoeHybrid", Parsers(tools="granite4")),
    ("Lfm2", Parsers(tools="lfm2")),
)
"""Families whose every model speaks alike, by the beginning of their architecture's name."""

_BY_TEMPLATE = (
    ("[TOOL_CALLS]", "mistral"),
    ("<|tool_calls_section_begin|>", "kimi_k2"),
    ("<|tool_call|>", "granite"),
    ("<arg_key>", "glm45"),
    ("<function=", "qwen3_coder"),
    ("<tool_call>", "hermes"),
)
"""What a template writes around a tool call, the more telling first."""

_PYTHON_TAG = "<|python_tag|>"

ANY_TOOLS = "hermes"
"""Needs no token of its own: a call that is required is forced by a schema, whatever the model."""

_THINKERS = ("Qwen2For", "Qwen3", "LlamaFor")
"""Families with models that think and models that do not, which their templates tell apart."""


class ChatFiles:
    """What the files of a model say of how it chats."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.template = read_chat_template(directory)

    def has_token(self, token: str) -> bool:
        """Whether the tokenizer has ``token`` for itself."""
        written = {json.dumps(token), json.dumps(token, ensure_ascii=False)}
        for name in ("tokenizer_config.json", "tokenizer.json"):
            try:
                text = (self._directory / name).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if any(one in text for one in written):
                return True
        return False


def choose_parsers(architecture: str, chat: ChatFiles) -> Parsers:
    """The parsers for a model.

    1. No template: no chat, so nothing to parse.
    2. A family with a form of its own: its parsers.
    3. Tool calls by what the template writes around them; thinking by how it begins an answer.
    """
    if not chat.template:
        return Parsers()
    for family, parsers in _BY_ARCHITECTURE:
        if architecture.startswith(family):
            return parsers
    thinks = architecture.startswith(_THINKERS) and _begins_with_thinking(chat.template)
    return Parsers(tools=_tools(chat), thinking="qwen3" if thinks else None)


def _tools(chat: ChatFiles) -> str:
    """Two parsers do not start where the tokenizer lacks their token."""
    template = chat.template
    if DEEPSEEK_CALLS in template:
        known = "deepseek_v3" if "```json" in template else "deepseek_v31"
        return known if chat.has_token(DEEPSEEK_CALLS) else ANY_TOOLS
    if _PYTHON_TAG in template or "Environment: ipython" in template:
        return "llama3_json" if chat.has_token(_PYTHON_TAG) else ANY_TOOLS
    return next((name for mark, name in _BY_TEMPLATE if mark in template), ANY_TOOLS)


def _begins_with_thinking(template: str) -> bool:
    """By what stands where the answer begins; a mark elsewhere only cleans earlier answers."""
    _, found, beginning = template.rpartition("add_generation_prompt")
    return bool(found) and "think>" in beginning


def read_chat_template(model: Path) -> str:
    """The chat template in a model's directory; empty if it has none that can be read.

    It stands in ``chat_template.jinja``, or in ``tokenizer_config.json``, there also as a list of
    named ones.
    """
    try:
        return (model / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        pass
    try:
        document = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""  # vLLM will say what it thinks of it.
    template = document.get("chat_template", "") if isinstance(document, dict) else ""
    if isinstance(template, list):
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get("default", "")
    return template if isinstance(template, str) else ""
