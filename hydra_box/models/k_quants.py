"""Which element type llama.cpp gives each tensor of a quantised GGUF file.

A mixture like Q4_K_M keeps the tensors that hurt most in a better type. The rules are those of
``llama_tensor_get_type`` in llama.cpp's src/llama-quant.cpp, for files made with an importance
matrix, as the hub's are.
"""

from __future__ import annotations

from typing import NamedTuple

from hydra_box.models.ggml_types import block_elements

DEFAULTS = {
    "F32": "F32",
    "F16": "F16",
    "BF16": "BF16",
    "Q4_0": "Q4_0",
    "Q4_1": "Q4_1",
    "Q5_0": "Q5_0",
    "Q5_1": "Q5_1",
    "Q8_0": "Q8_0",
    "Q2_K": "Q2_K",
    "Q2_K_S": "Q2_K",
    "Q3_K_S": "Q3_K",
    "Q3_K_M": "Q3_K",
    "Q3_K_L": "Q3_K",
    "Q4_K_S": "Q4_K",
    "Q4_K_M": "Q4_K",
    "Q5_K_S": "Q5_K",
    "Q5_K_M": "Q5_K",
    "Q6_K": "Q6_K",
    "IQ1_S": "IQ1_S",
    "IQ1_M": "IQ1_M",
    "IQ2_XXS": "IQ2_XXS",
    "IQ2_XS": "IQ2_XS",
    "IQ2_S": "IQ2_XS",
    "IQ2_M": "IQ2_S",
    "IQ3_XXS": "IQ3_XXS",
    "IQ3_XS": "IQ3_S",
    "IQ3_S": "IQ3_S",
    "IQ3_M": "IQ3_S",
    "IQ4_XS": "IQ4_XS",
    "IQ4_NL": "IQ4_NL",
    "TQ1_0": "TQ1_0",
    "TQ2_0": "TQ2_0",
    "MXFP4": "MXFP4",
}
"""Quantisation to the type of most of its matrices (``llama_ftype_get_default_type``)."""

PLAIN = frozenset({"F32", "F16", "BF16"})
_SMALL = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M"})
_NARROW = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "TQ1_0": "Q4_0", "TQ2_0": "Q4_0"}
"""What replaces a type with blocks of 256 where a row is no multiple of that; else IQ4_NL."""


class Model(NamedTuple):
    """What the rules ask of a model."""

    layers: int
    grouping: int
    """Query heads for each KV head."""
    experts: int
    native_mxfp4: bool
    """Its experts were trained in MXFP4; quantising them again loses and saves nothing."""


def base_quantization(name: str) -> str | None:
    """The mixture of llama.cpp that is nearest to ``name``; None: it is no GGUF quantisation.

    ``UD-Q4_K_XL`` and ``Q4_K_L`` are publishers' own mixtures, near to ``Q4_K_M``.
    """
    plain = name.upper().removeprefix("UD-").removesuffix("_MOE")
    stem = plain.removesuffix("_XL").removesuffix("_L")
    # Q8_K_XL is Q8_0 with some matrices in 16 bits.
    candidates = (plain, f"{stem}_M", f"{stem}_L", stem, stem.replace("Q8_K", "Q8_0"))
    for candidate in candidates:
        if candidate in DEFAULTS:
            return candidate
    return None


class _Case(NamedTuple):
    """One tensor, as the rules look at it."""

    role: str
    layer: int
    quantization: str
    model: Model

    @property
    def first_eighth(self) -> bool:
        return self.layer < self.model.layers // 8

    @property
    def more_bits(self) -> bool:
        """The first and last eighth, and every third between."""
        layers = self.model.layers
        in_last = self.layer >= 7 * layers // 8
        return self.first_eighth or in_last or (self.layer - layers // 8) % 3 == 2


def tensor_type(role: str, columns: int, layer: int, quantization: str, model: Model) -> str:
    """The type of one tensor; ``role`` is its GGUF name without block and ``.weight``."""
    if role in {"norm", "ffn_gate_inp", "ssm_conv1d"}:
        return "F32"
    if quantization in PLAIN:
        return quantization
    experts = role.endswith("_exps")
    if quantization == "MXFP4" or (model.native_mxfp4 and experts):
        return "MXFP4" if experts else "Q8_0"
    chosen = _mixed(role, layer, quantization, model)
    if columns % block_elements(chosen):
        chosen = _NARROW.get(chosen, "IQ4_NL")
    return chosen if columns % block_elements(chosen) == 0 else "F16"


def _mixed(role: str, layer: int, quantization: str, model: Model) -> str:
    default = DEFAULTS[quantization]
    if role == "output":
        return _output_type(quantization)
    if role == "token_embd":
        return _embedding_type(quantization)
    part = role.removesuffix("_exps").removesuffix("_shexp")
    rules = {
        "attn_v": _value_type,
        "attn_v_b": _value_type,
        "attn_k": _key_or_query_type,
        "attn_q": _key_or_query_type,
        "attn_qkv": _joint_type,
        "attn_output": _attention_output_type,
        "ffn_down": _down_type,
        "ffn_up": _up_or_gate_type,
        "ffn_gate": _up_or_gate_type,
    }
    rule = rules.get(part)
    if rule is None:
        return default
    return rule(_Case(part, layer, quantization, model)) or default


def _output_type(quantization: str) -> str:
    if quantization in _SMALL | {"IQ3_XXS"}:
        return "Q5_K"
    return "Q8_0" if quantization == "Q8_0" else "Q6_K"


def _embedding_type(quantization: str) -> str:
    if quantization in {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS"}:
        return "Q2_K"
    if quantization in {"IQ2_S", "IQ2_M", "IQ3_XXS"}:
        return "IQ3_S"
    return "Q4_K" if quantization in {"TQ1_0", "TQ2_0"} else DEFAULTS[quantization]


def _value_type(case: _Case) -> str | None:
    grouped = case.model.grouping >= 4
    if case.quantization in _SMALL:
        if grouped or case.model.experts >= 4:
            return "Q4_K"
        return "IQ3_S" if case.quantization in {"IQ2_S", "IQ2_M"} else "Q2_K"
    if case.model.experts == 8:
        return "Q8_0"
    chosen = {
        "Q2_K": "Q4_K" if grouped else "Q3_K",
        "Q2_K_S": "Q4_K" if grouped else None,
        "IQ3_XXS": "Q4_K" if grouped else None,
        "IQ3_XS": "Q4_K" if grouped else None,
        "IQ3_S": "Q4_K" if grouped else None,
        "IQ3_M": "Q4_K",
        "Q3_K_M": "Q5_K" if case.layer < 2 else "Q4_K",
        "Q3_K_L": "Q5_K",
        "IQ4_NL": "Q5_K" if grouped else None,
        "IQ4_XS": "Q5_K" if grouped else None,
        "Q4_K_M": "Q6_K" if case.more_bits else None,
        "Q5_K_M": "Q6_K" if case.more_bits else None,
        "Q4_K_S": "Q5_K" if case.layer < 4 else None,
    }.get(case.quantization)
    seventy_billion = case.model.layers == 80 and case.model.grouping > 1
    if seventy_billion and (chosen or DEFAULTS[case.quantization]) in {"Q3_K", "Q4_K"}:
        return "Q5_K"
    return chosen


def _key_or_query_type(case: _Case) -> str | None:
    if case.role == "attn_k" and case.model.experts == 8:
        return "Q4_K" if case.quantization in _SMALL else "Q8_0"
    return {"IQ3_XS": "IQ3_XXS", "IQ3_XXS": "IQ2_S"}.get(case.quantization)


def _joint_type(case: _Case) -> str | None:
    return {
        "Q3_K_M": "Q4_K",
        "Q3_K_L": "Q4_K",
        "IQ3_M": "Q4_K",
        "Q4_K_M": "Q5_K",
        "Q5_K_M": "Q6_K",
    }.get(case.quantization)


def _attention_output_type(case: _Case) -> str | None:
    if case.quantization in _SMALL:
        if case.model.experts == 8:
            return "Q5_K"
        return {"IQ1_S": "IQ2_XXS", "IQ1_M": "IQ2_XXS", "IQ2_S": "IQ3_S", "IQ2_M": "IQ3_S"}.get(
            case.quantization
        )
    if case.model.experts == 8:
        return "Q5_K" if case.quantization[:3] in {"Q2_", "Q3_", "Q4_", "IQ3", "IQ4"} else None
    return {
        "Q2_K": "Q3_K",
        "IQ3_XXS": "IQ3_S",
        "Q3_K_M": "Q4_K",
        "Q3_K_L": "Q5_K",
        "IQ3_M": "Q4_K",
    }.get(case.quantization)


def _down_type(case: _Case) -> str | None:
    if case.quantization in _SMALL:
        if not case.first_eighth:
            return None
        return "IQ3_S" if case.quantization in {"IQ2_S", "IQ2_M"} else "Q2_K"
    return {
        "Q2_K": "Q3_K",
        "Q2_K_S": "Q4_K" if case.first_eighth else None,
        "Q3_K_M": "Q5_K" if case.layer < case.model.layers // 16 else "Q4_K",
        "IQ3_M": "Q4_K"
        if case.first_eighth or (case.model.experts == 8 and case.more_bits)
        else None,
        "Q3_K_L": "Q5_K",
        "Q4_K_M": "Q6_K" if case.more_bits else None,
        "Q5_K_M": "Q6_K" if case.more_bits else None,
        "Q4_K_S": "Q5_K" if case.first_eighth else None,
        "Q4_0": "Q4_1" if case.first_eighth else None,
        "Q5_0": "Q5_1" if case.first_eighth else None,
    }.get(case.quantization)


def _up_or_gate_type(case: _Case) -> str | None:
    middle = not case.first_eighth and case.layer < 7 * case.model.layers // 8
    return "IQ3_XXS" if case.quantization == "IQ3_XS" and middle else None
