"""The parsers that vLLM is told, chosen from what chat templates say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hydra_box.engines.verify import DEMO_SAFETENSORS
from hydra_box.engines.vllm_parsers import (
    DEEPSEEK_CALLS,
    ChatFiles,
    Parsers,
    choose_parsers,
    read_chat_template,
)

QWEN3_END = (
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}"
)
PLAIN_END = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
CALLS = '<tool_call>\\n{"name": <function-name>, "arguments": <args-json-object>}\\n</tool_call>'


R1_END = "{% if add_generation_prompt %}{{'<\uff5cAssistant\uff5c><think>\\n'}}{% endif %}"


def files(directory: Path, template: str, *tokens: str) -> ChatFiles:
    """A model's directory with a chat template and tokens."""
    added = {str(number): {"content": token} for number, token in enumerate(tokens)}
    config = {"chat_template": template, "added_tokens_decoder": added}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return ChatFiles(directory)


@pytest.mark.parametrize(
    ("architecture", "template", "parsers"),
    [
        ("LlamaForCausalLM", "", Parsers()),
        ("LlamaForCausalLM", PLAIN_END, Parsers(tools="hermes")),
        ("Qwen2ForCausalLM", f"{CALLS} {PLAIN_END}", Parsers(tools="hermes")),
        ("Qwen3ForCausalLM", f"{CALLS} {QWEN3_END}", Parsers(tools="hermes", thinking="qwen3")),
        # Instruct-2507: cleans thoughts out of earlier answers, and has none of its own.
        (
            "Qwen3MoeForCausalLM",
            f"{CALLS} {{% if '</think>' in content %}} {PLAIN_END}",
            Parsers(tools="hermes"),
        ),
        (
            "Qwen3MoeForCausalLM",
            f"<tool_call>\\n<function=example> {PLAIN_END}",
            Parsers(tools="qwen3_coder"),
        ),
        ("Qwen2ForCausalLM", R1_END, Parsers(tools="hermes", thinking="qwen3")),
        ("BielikForCausalLM", QWEN3_END, Parsers(tools="hermes")),
        (
            "MistralForCausalLM",
            f"[AVAILABLE_TOOLS] [TOOL_CALLS] {PLAIN_END}",
            Parsers(tools="mistral"),
        ),
        ("GptOssForCausalLM", "<|channel|>", Parsers(tools="openai", thinking="openai_gptoss")),
        ("Gemma4ForConditionalGeneration", "x", Parsers(tools="gemma4", thinking="gemma4")),
    ],
)
def test_parsers_of_families(
    tmp_path: Path, architecture: str, template: str, parsers: Parsers
) -> None:
    assert choose_parsers(architecture, files(tmp_path, template)) == parsers


@pytest.mark.parametrize(
    ("template", "token", "tools"),
    [
        (f"Environment: ipython {PLAIN_END}", "<|python_tag|>", "llama3_json"),
        (f"{DEEPSEEK_CALLS} ```json {PLAIN_END}", DEEPSEEK_CALLS, "deepseek_v3"),
        (f"{DEEPSEEK_CALLS} {PLAIN_END}", DEEPSEEK_CALLS, "deepseek_v31"),
    ],
)
def test_parser_that_needs_a_token_is_not_told_without_it(
    tmp_path: Path, template: str, token: str, tools: str
) -> None:
    assert choose_parsers("LlamaForCausalLM", files(tmp_path, template, token)).tools == tools
    assert choose_parsers("LlamaForCausalLM", files(tmp_path, template)).tools == "hermes"


def test_flags_name_only_what_there_is() -> None:
    assert Parsers().flags == ()
    assert Parsers(tools="hermes").flags == (
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "hermes",
        "--tool-strict-level",
        "parameter",
    )
    assert Parsers(tools="x", thinking="qwen3").flags[-2:] == ("--reasoning-parser", "qwen3")


def test_template_is_read_where_it_stands(tmp_path: Path) -> None:
    config = tmp_path / "tokenizer_config.json"
    assert read_chat_template(tmp_path) == ""
    config.write_text("{broken")
    assert read_chat_template(tmp_path) == ""
    config.write_text(json.dumps({"chat_template": "one"}))
    assert read_chat_template(tmp_path) == "one"
    named = [{"name": "tool_use", "template": "two"}, {"name": "default", "template": "three"}]
    config.write_text(json.dumps({"chat_template": named}))
    assert read_chat_template(tmp_path) == "three"
    (tmp_path / "chat_template.jinja").write_text("four")
    assert read_chat_template(tmp_path) == "four"
    assert "add_generation_prompt" in read_chat_template(DEMO_SAFETENSORS)
