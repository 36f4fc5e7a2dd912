"""``config.json`` of published models: what of them tells the shape, and their published size.

The counts are those of the models' pages on the hub, or of transformers for the same
configuration: all tensors of the language model and, where the configuration here has one, of the
vision tower.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Published(NamedTuple):
    config: Mapping[str, object]
    parameters: int


def _config(architecture: str, model_type: str, **values: object) -> dict[str, object]:
    return {"architectures": [architecture], "model_type": model_type, **values}


LLAMA_31_8B = Published(
    _config(
        "LlamaForCausalLM",
        "llama",
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128256,
        max_position_embeddings=131072,
        tie_word_embeddings=False,
    ),
    8_030_261_248,
)
QWEN_25_7B = Published(
    _config(
        "Qwen2ForCausalLM",
        "qwen2",
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        vocab_size=152064,
        max_position_embeddings=32768,
        sliding_window=131072,
        use_sliding_window=False,
        max_window_layers=28,
        tie_word_embeddings=False,
    ),
    7_615_616_512,
)
QWEN_3_30B_A3B = Published(
    _config(
        "Qwen3MoeForCausalLM",
        "qwen3_moe",
        hidden_size=2048,
        intermediate_size=6144,
        moe_intermediate_size=768,
        num_hidden_layers=48,
        num_attention_heads=32,
        num_key_value_heads=4,
        head_dim=128,
        vocab_size=151936,
        num_experts=128,
        num_experts_per_tok=8,
        decoder_sparse_step=1,
        mlp_only_layers=[],
        max_position_embeddings=40960,
        max_window_layers=48,
        sliding_window=None,
        use_sliding_window=False,
        tie_word_embeddings=False,
    ),
    30_532_122_624,
)
DEEPSEEK_V3 = Published(
    _config(
        "DeepseekV3ForCausalLM",
        "deepseek_v3",
        auto_map={"AutoConfig": "configuration_deepseek.DeepseekV3Config"},
        hidden_size=7168,
        intermediate_size=18432,
        moe_intermediate_size=2048,
        num_hidden_layers=61,
        num_nextn_predict_layers=1,
        num_attention_heads=128,
        num_key_value_heads=128,
        n_shared_experts=1,
        n_routed_experts=256,
        num_experts_per_tok=8,
        first_k_dense_replace=3,
        moe_layer_freq=1,
        kv_lora_rank=512,
        q_lora_rank=1536,
        qk_rope_head_dim=64,
        qk_nope_head_dim=128,
        v_head_dim=128,
        vocab_size=129280,
        max_position_embeddings=163840,
        tie_word_embeddings=False,
    ),
    671_026_419_200,
)
GPT_OSS_20B = Published(
    _config(
        "GptOssForCausalLM",
        "gpt_oss",
        hidden_size=2880,
        intermediate_size=2880,
        num_hidden_layers=24,
        num_attention_heads=64,
        num_key_value_heads=8,
        head_dim=64,
        num_local_experts=32,
        num_experts_per_tok=4,
        sliding_window=128,
        layer_types=["sliding_attention", "full_attention"] * 12,
        vocab_size=201088,
        max_position_embeddings=131072,
        tie_word_embeddings=False,
    ),
    20_914_757_184,
)
GEMMA_3_27B = Published(
    _config(
        "Gemma3ForConditionalGeneration",
        "gemma3",
        text_config={
            "model_type": "gemma3_text",
            "hidden_size": 5376,
            "intermediate_size": 21504,
            "num_hidden_layers": 62,
            "num_attention_heads": 32,
            "num_key_value_heads": 16,
            "head_dim": 128,
            "sliding_window": 1024,
        },
        vision_config={
            "hidden_size": 1152,
            "image_size": 896,
            "intermediate_size": 4304,
            "num_attention_heads": 16,
            "num_hidden_layers": 27,
            "patch_size": 14,
        },
    ),
    27_432_406_640,
)
GEMMA_3_4B = Published(
    _config(
        "Gemma3ForConditionalGeneration",
        "gemma3",
        text_config={
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
        },
        vision_config={
            "hidden_size": 1152,
            "image_size": 896,
            "intermediate_size": 4304,
            "num_hidden_layers": 27,
            "patch_size": 14,
        },
    ),
    4_300_079_472,
)
GEMMA_2_9B = Published(
    _config(
        "Gemma2ForCausalLM",
        "gemma2",
        hidden_size=3584,
        intermediate_size=14336,
        num_hidden_layers=42,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=256,
        sliding_window=4096,
        vocab_size=256000,
        max_position_embeddings=8192,
    ),
    9_241_705_984,
)
GEMMA_4_31B = Published(
    _config(
        "Gemma4ForConditionalGeneration",
        "gemma4",
        text_config={
            "model_type": "gemma4_text",
            "hidden_size": 5376,
            "intermediate_size": 21504,
            "num_hidden_layers": 60,
            "num_attention_heads": 32,
            "num_key_value_heads": 16,
            "num_global_key_value_heads": 4,
            "head_dim": 256,
            "global_head_dim": 512,
            "attention_k_eq_v": True,
            "hidden_size_per_layer_input": 0,
            "sliding_window": 1024,
            "layer_types": [*["sliding_attention"] * 5, "full_attention"] * 10,
            "vocab_size": 262144,
            "max_position_embeddings": 262144,
        },
    ),
    30_697_345_280,
)
GEMMA_4_E2B_TEXT = Published(
    _config(
        "Gemma4ForConditionalGeneration",
        "gemma4",
        text_config={
            "model_type": "gemma4_text",
            "hidden_size": 1536,
            "intermediate_size": 6144,
            "num_hidden_layers": 35,
            "num_attention_heads": 8,
            "num_key_value_heads": 1,
            "per_layer_config": {
                f"{one:02}": {"head_dim": 512} for one in [4, 9, 14, 19, 24, 29, 34]
            },
            "num_kv_shared_layers": 20,
            "use_double_wide_mlp": True,
            "layer_types": [*["sliding_attention"] * 4, "full_attention"] * 7,
            "vocab_size": 262144,
            "vocab_size_per_layer_input": 262144,
            "hidden_size_per_layer_input": 256,
            "max_position_embeddings": 131072,
        },
    ),
    4_628_569_344,
)
QWEN_3_NEXT_80B = Published(
    _config(
        "Qwen3NextForCausalLM",
        "qwen3_next",
        hidden_size=2048,
        intermediate_size=5120,
        moe_intermediate_size=512,
        shared_expert_intermediate_size=512,
        num_hidden_layers=48,
        num_attention_heads=16,
        num_key_value_heads=2,
        head_dim=256,
        full_attention_interval=4,
        linear_conv_kernel_dim=4,
        linear_key_head_dim=128,
        linear_num_key_heads=16,
        linear_num_value_heads=32,
        linear_value_head_dim=128,
        num_experts=512,
        num_experts_per_tok=10,
        decoder_sparse_step=1,
        mlp_only_layers=[],
        vocab_size=151936,
        max_position_embeddings=262144,
        tie_word_embeddings=False,
    ),
    79_674_391_296,
)
QWEN_35_27B = Published(
    _config(
        "Qwen3_5ForConditionalGeneration",
        "qwen3_5",
        text_config={
            "model_type": "qwen3_5_text",
            "hidden_size": 5120,
            "intermediate_size": 17408,
            "num_hidden_layers": 64,
            "num_attention_heads": 24,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "linear_conv_kernel_dim": 4,
            "linear_key_head_dim": 128,
            "linear_num_key_heads": 16,
            "linear_num_value_heads": 48,
            "linear_value_head_dim": 128,
            "layer_types": [*["linear_attention"] * 3, "full_attention"] * 16,
            "vocab_size": 248320,
            "max_position_embeddings": 262144,
        },
        vision_config={
            "depth": 27,
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 5120,
            "num_position_embeddings": 2304,
        },
        tie_word_embeddings=False,
    ),
    27_356_728_560,
)
MISTRAL_7B = Published(
    _config(
        "MistralForCausalLM",
        "mistral",
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        sliding_window=None,
        vocab_size=32768,
        max_position_embeddings=32768,
        tie_word_embeddings=False,
    ),
    7_248_023_552,
)
MIXTRAL_8X7B = Published(
    _config(
        "MixtralForCausalLM",
        "mixtral",
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        num_local_experts=8,
        num_experts_per_tok=2,
        vocab_size=32000,
        max_position_embeddings=32768,
        tie_word_embeddings=False,
    ),
    46_702_792_704,
)
PHI_3_MINI = Published(
    _config(
        "Phi3ForCausalLM",
        "phi3",
        auto_map={"AutoConfig": "configuration_phi3.Phi3Config"},
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
        sliding_window=2047,
        vocab_size=32064,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
    ),
    3_821_079_552,
)
DEEPSEEK_V2_LITE = Published(
    _config(
        "DeepseekV2ForCausalLM",
        "deepseek_v2",
        hidden_size=2048,
        intermediate_size=10944,
        moe_intermediate_size=1408,
        num_hidden_layers=27,
        num_attention_heads=16,
        num_key_value_heads=16,
        n_shared_experts=2,
        n_routed_experts=64,
        num_experts_per_tok=6,
        first_k_dense_replace=1,
        kv_lora_rank=512,
        q_lora_rank=None,
        qk_rope_head_dim=64,
        qk_nope_head_dim=128,
        v_head_dim=128,
        vocab_size=102400,
        max_position_embeddings=163840,
        tie_word_embeddings=False,
    ),
    15_706_484_224,
)
GLM_4_9B = Published(
    _config(
        "Glm4ForCausalLM",
        "glm4",
        hidden_size=4096,
        intermediate_size=13696,
        num_hidden_layers=40,
        num_attention_heads=32,
        num_key_value_heads=2,
        head_dim=128,
        vocab_size=151552,
        max_position_embeddings=32768,
        tie_word_embeddings=False,
    ),
    9_400_279_040,
)
CHATGLM_3_6B = Published(
    _config(
        "ChatGLMModel",
        "chatglm",
        auto_map={"AutoModel": "modeling_chatglm.ChatGLMForConditionalGeneration"},
        hidden_size=4096,
        ffn_hidden_size=13696,
        num_layers=28,
        num_attention_heads=32,
        multi_query_attention=True,
        multi_query_group_num=2,
        kv_channels=128,
        padded_vocab_size=65024,
        seq_length=8192,
        tie_word_embeddings=False,
    ),
    6_243_584_000,
)
BAICHUAN_2_7B = Published(
    _config(
        "BaichuanForCausalLM",
        "baichuan",
        auto_map={"AutoConfig": "configuration_baichuan.BaichuanConfig"},
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        vocab_size=125696,
        max_position_embeddings=4096,
        model_max_length=4096,
        tie_word_embeddings=False,
    ),
    7_505_973_248,
)
COMMAND_R7B = Published(
    _config(
        "Cohere2ForCausalLM",
        "cohere2",
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        sliding_window=4096,
        sliding_window_pattern=4,
        vocab_size=256000,
        max_position_embeddings=8192,
    ),
    8_028_033_024,
)
LLAMA_32_11B_VISION = Published(
    _config(
        "MllamaForConditionalGeneration",
        "mllama",
        text_config={
            "model_type": "mllama_text_model",
            "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38],
        },
        vision_config={
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_global_layers": 8,
            "image_size": 560,
            "patch_size": 14,
        },
    ),
    10_642_941_475,
)
QWEN_2_VL_7B = Published(
    _config(
        "Qwen2VLForConditionalGeneration",
        "qwen2_vl",
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        sliding_window=32768,
        use_sliding_window=False,
        max_window_layers=28,
        vocab_size=152064,
        max_position_embeddings=32768,
        tie_word_embeddings=False,
        vision_config={
            "depth": 32,
            "embed_dim": 1280,
            "mlp_ratio": 4,
            "in_chans": 3,
            "hidden_size": 3584,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    ),
    8_291_375_616,
)
QWEN_25_VL_7B = Published(
    _config(
        "Qwen2_5_VLForConditionalGeneration",
        "qwen2_5_vl",
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        vocab_size=152064,
        max_position_embeddings=128000,
        tie_word_embeddings=False,
        vision_config={
            "depth": 32,
            "hidden_act": "silu",
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "out_hidden_size": 3584,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    ),
    8_292_166_656,
)
QWEN_3_VL_8B = Published(
    _config(
        "Qwen3VLForConditionalGeneration",
        "qwen3_vl",
        text_config={
            "model_type": "qwen3_vl_text",
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 151936,
            "max_position_embeddings": 262144,
        },
        vision_config={
            "depth": 27,
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "out_hidden_size": 4096,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [8, 16, 24],
        },
        tie_word_embeddings=False,
    ),
    8_767_123_696,
)
QWEN_3_EMBEDDING_06B = Published(
    _config(
        "Qwen3ForCausalLM",
        "qwen3",
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        vocab_size=151669,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
    ),
    595_776_512,
)
BGE_M3 = Published(
    _config(
        "XLMRobertaModel",
        "xlm-roberta",
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        vocab_size=250002,
        max_position_embeddings=8194,
        type_vocab_size=1,
        pad_token_id=1,
    ),
    567_754_752,
)
BERT_BASE = Published(
    _config(
        "BertModel",
        "bert",
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        vocab_size=30522,
        max_position_embeddings=512,
        type_vocab_size=2,
        pad_token_id=0,
    ),
    109_482_240,
)
MODERNBERT_BASE = Published(
    _config(
        "ModernBertModel",
        "modernbert",
        hidden_size=768,
        intermediate_size=1152,
        num_hidden_layers=22,
        num_attention_heads=12,
        vocab_size=50368,
        max_position_embeddings=8192,
    ),
    149_014_272,
)

ALL: dict[str, Published] = {
    name: value for name, value in globals().items() if isinstance(value, Published)
}
