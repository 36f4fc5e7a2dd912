"""``config.json`` of a transformers model to its shape."""

from __future__ import annotations

from collections.abc import Mapping

from hydra_box.models.architectures import ENCODERS, GGUF_NAMES, TIED_BY_DEFAULT, TWO_MATRICES
from hydra_box.models.config_attention import attention_fields
from hydra_box.models.config_values import ConfigValues
from hydra_box.models.config_vision import vision_parameters
from hydra_box.models.shape import Shape

EXPERTS = ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts")
EXPERTS_USED = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "top_k_experts",
    "moe_topk",
    "moe_k",
)


def shape_of_config(config: Mapping[str, object]) -> Shape:
    """The shape of the model that has this ``config.json``.

    Of a hybrid with Mamba or short convolutions (``config_hybrids``) it tells of attention only.

    Raises:
        InvalidModel: a number that it needs is missing or impossible, or a layer is of a kind that
            is not known.

    """
    values = ConfigValues(config)
    family = values.family
    experts = values.number(*EXPERTS)
    dense_length = values.number(
        "intermediate_size_mlp", "intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim"
    )
    tied = values.flag("tie_word_embeddings")
    fields = {
        **attention_fields(values),
        **(_expert_fields(values, experts) if experts else {}),
    }
    return Shape(
        architecture=values.architecture,
        gguf_architecture=GGUF_NAMES.get(family) or GGUF_NAMES.get(values.model_type),
        layers=values.layers(),
        embedding_length=values.need("hidden_size", "n_embd", "d_model"),
        vocabulary_size=values.need("padded_vocab_size", "vocab_size"),
        feed_forward_length=0 if _is_all_sparse(values, experts) else dense_length,
        feed_forward_matrices=2 if values.model_type in TWO_MATRICES else 3,
        tied_embeddings=family in TIED_BY_DEFAULT if tied is None else tied,
        causal=is_causal(values),
        cross_attention_layers=len(values.numbers("cross_attention_layers")),
        vision_parameters=vision_parameters(values.table("vision_config")),
        extra_parameters=_extra_parameters(values),
        **fields,
    )


def config_context_length(config: Mapping[str, object]) -> int:
    """Longest sequence in tokens that the model was trained for.

    Raises:
        InvalidModel: the configuration does not say, or says something impossible.

    """
    values = ConfigValues(config)
    length = values.need(
        "max_position_embeddings", "n_positions", "max_sequence_length", "seq_length",
        "model_max_length", "max_seq_len",
    )  # fmt: skip
    # RoBERTa counts its positions from the padding token's id plus one.
    offset = values.number("pad_token_id") + 1 if "roberta" in values.model_type else 0
    return max(length - offset, 1)


def is_causal(values: ConfigValues) -> bool:
    """Whether each token sees only those before it, so that there is a cache to keep."""
    if values.model_type in ENCODERS:
        return False
    return values.flag("use_bidirectional_attention") is not True


def _is_all_sparse(values: ConfigValues, experts: int) -> bool:
    """Whether no layer has a dense feed-forward of its own."""
    if not experts:
        return False
    dense = values.number("first_k_dense_replace") or values.numbers("mlp_only_layers")
    return not dense and _expert_every(values) == 1


def _expert_every(values: ConfigValues) -> int:
    return values.find("interleave_moe_layer_step", "decoder_sparse_step", "moe_layer_freq") or 1


def _expert_fields(values: ConfigValues, experts: int) -> dict[str, int]:
    length = values.number("moe_intermediate_size", "intermediate_size")
    shared = values.number("shared_expert_intermediate_size", "shared_intermediate_size")
    if not shared:
        shared = values.number("n_shared_experts", "num_shared_experts") * length
    if values.model_type == "llama4_text":
        shared = length
    if values.model_type == "gemma4_text":
        # Every layer has a dense feed-forward beside its experts.
        shared = values.number("intermediate_size")
    return {
        "experts": experts,
        "experts_used": values.number(*EXPERTS_USED),
        "expert_feed_forward_length": length,
        "shared_expert_feed_forward_length": shared,
        "dense_layers": values.number("first_k_dense_replace"),
        "expert_every": _expert_every(values),
    }


def _extra_parameters(values: ConfigValues) -> int:
    """Per-layer embeddings of Gemma 3n and 4; positions, types and pooler of encoders."""
    width, layers = values.number("hidden_size"), values.layers()
    if values.number("type_vocab_size"):
        table = values.number("max_position_embeddings") + values.number("type_vocab_size")
        return width * (table + width)
    per_layer = values.number("hidden_size_per_layer_input")
    extra = 0
    if per_layer:
        table = values.number("vocab_size_per_layer_input") + width
        extra = layers * per_layer * (table + 2 * width)
    if values.flag("use_double_wide_mlp"):
        length = values.number("intermediate_size")
        extra += 3 * width * length * values.number("num_kv_shared_layers")
    return extra
