"""What is known of model families by their ``model_type`` in ``config.json``."""

from __future__ import annotations

GGUF_NAMES = {
    "baichuan": "baichuan",
    "bert": "bert",
    "chatglm": "chatglm",
    "cohere": "command-r",
    "cohere2": "cohere2",
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "exaone4": "exaone4",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3": "gemma3",
    "gemma3_text": "gemma3",
    "gemma3n": "gemma3n",
    "gemma3n_text": "gemma3n",
    "gemma4": "gemma4",
    "gemma4_text": "gemma4",
    "glm4": "glm4",
    "glm4_moe": "glm4moe",
    "gpt_oss": "gpt-oss",
    "granite": "granite",
    "granitemoe": "granitemoe",
    "internlm2": "internlm2",
    "llama": "llama",
    "llama4": "llama4",
    "llama4_text": "llama4",
    "ministral3": "mistral3",
    "mistral": "llama",
    "mistral3": "llama",
    "mixtral": "llama",
    "modernbert": "modern-bert",
    "nomic_bert": "nomic-bert",
    "olmo2": "olmo2",
    "olmo3": "olmo2",
    "phi3": "phi3",
    "phimoe": "phimoe",
    "qwen2": "qwen2",
    "qwen2_5_vl": "qwen2vl",
    "qwen2_moe": "qwen2moe",
    "qwen2_vl": "qwen2vl",
    "qwen3": "qwen3",
    "qwen3_5": "qwen35",
    "qwen3_5_moe": "qwen35moe",
    "qwen3_5_moe_text": "qwen35moe",
    "qwen3_5_text": "qwen35",
    "qwen3_moe": "qwen3moe",
    "qwen3_next": "qwen3next",
    "qwen3_vl": "qwen3vl",
    "qwen3_vl_moe": "qwen3vlmoe",
    "roberta": "bert",
    "seed_oss": "seed_oss",
    "smollm3": "smollm3",
    "starcoder2": "starcoder2",
    "xlm-roberta": "bert",
}
"""``model_type`` to ``general.architecture``, as llama.cpp's converter has it."""

ENCODERS = frozenset(
    {"bert", "roberta", "xlm-roberta", "nomic_bert", "modernbert", "distilbert", "eurobert", "gte"}
)
"""They see all tokens at once and keep no cache."""

TWO_MATRICES = frozenset(
    {
        "bert", "bloom", "distilbert", "falcon", "gpt2", "gpt_neox", "gptj", "mpt", "nemotron",
        "opt", "phi", "roberta", "starcoder2", "xlm-roberta",
    }
)  # fmt: skip
"""Feed-forward layers without a gate."""

TIED_BY_DEFAULT = frozenset(
    {
        "cohere", "cohere2", "gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n",
        "gemma3n_text", "gemma4", "gemma4_text", "starcoder2",
    }
)  # fmt: skip
"""Families whose ``config.json`` leaves ``tie_word_embeddings`` out and mean true."""

NATIVE = frozenset(GGUF_NAMES) - {"baichuan", "chatglm"} | ENCODERS | {
    "deepseek_v32", "deepseek_v4", "falcon_h1", "glm4_moe_lite", "glm4v", "glm4v_moe",
    "glm_moe_dsa", "granitemoehybrid", "internvl", "internvl_chat", "jamba", "kimi_k2",
    "kimi_linear", "lfm2", "lfm2_moe", "mamba", "mamba2", "minimax_m2", "mllama", "nemotron_h",
    "phi4mm", "qwen3_omni_moe",
}  # fmt: skip
"""Families that vLLM runs with its own code, whatever ``auto_map`` offers."""

DEFAULTS: dict[str, dict[str, object]] = {
    "gemma3_text": {
        "vocab_size": 262_208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131_072,
        "sliding_window": 4096,
    },
    "gemma4_text": {
        "vocab_size": 262_144,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "global_head_dim": 512,
        "max_position_embeddings": 131_072,
        "sliding_window": 512,
        "hidden_size_per_layer_input": 256,
        "vocab_size_per_layer_input": 262_144,
    },
    "llama4_text": {
        "vocab_size": 202_048,
        "hidden_size": 5120,
        "intermediate_size": 8192,
        "intermediate_size_mlp": 16_384,
        "num_hidden_layers": 48,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "num_local_experts": 16,
        "num_experts_per_tok": 1,
        "max_position_embeddings": 131_072,
        "attention_chunk_size": 8192,
    },
    "mllama_text_model": {
        "vocab_size": 128_256,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 40,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131_072,
    },
    "qwen3_next": {"head_dim": 256},
}
"""Values that ``transformers`` puts where a published ``config.json`` leaves them out."""
