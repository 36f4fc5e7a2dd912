"""The demo model's tokenizer: special tokens, chat template and the Hugging Face description.

Needs no package, so that the export can use it. The pre-tokenizer is GPT-2's (``ByteLevel`` with
its regular expression in ``tokenizers``, ``gpt-2`` in llama.cpp): both cut text the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

BOS = "<|bos|>"
PAD = "<|pad|>"
IM_START = "<|im_start|>"
IM_END = "<|im_end|>"
#: In the order of their ids, from 0. ``IM_END`` is the only end token: it closes chat messages and
#: bare completions alike, so every server stops at it.
SPECIALS = (BOS, PAD, IM_START, IM_END)

#: Content that is not text (None beside tool calls) is left out rather than printed.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% endif %}"
    "{{ '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def tokenizer_json(tokens: Sequence[str], merges: Sequence[str]) -> dict[str, object]:
    """Describe the tokenizer in the form of Hugging Face's ``tokenizer.json``.

    ``tokens`` are in the order of their ids; ``merges`` are pairs "left right", strongest first.
    """
    ids = {token: number for number, token in enumerate(tokens)}
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": ids[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in SPECIALS
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": BOS, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"SpecialToken": {"id": BOS, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {BOS: {"id": BOS, "ids": [ids[BOS]], "tokens": [BOS]}},
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ids,
            "merges": list(merges),
        },
    }
