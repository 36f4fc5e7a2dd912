"""Bytes of a tensor in a quantisation, for both file formats."""

from __future__ import annotations

from collections.abc import Callable

from hydra_box.errors import InvalidRequest
from hydra_box.models.ggml_types import tensor_bytes
from hydra_box.models.k_quants import DEFAULTS, Model, base_quantization, tensor_type
from hydra_box.models.shape import Shape
from hydra_box.models.shape_tensors import Tensor

ByteCount = Callable[[Tensor, int], int]
"""(tensor, number of its block) to bytes."""

GROUP = 128
"""Weights that share a scale and a zero in AWQ and GPTQ, as nearly all publishers make them."""
GPTQ_BYTES = 0.5 + (2 + 0.5) / GROUP
"""Four bits, and for each group a half-precision scale and a four-bit zero."""
MXFP4_BYTES = 0.5 + 1 / 32
"""Four bits, and one shared exponent for 32 (OCP Microscaling formats, 1.0)."""
NVFP4_BYTES = 0.5 + 1 / 16
BITSANDBYTES_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""NF4: four bits, an 8-bit scale for 64 and a float32 for 256 scales (arXiv 2305.14314)."""
FP8_BYTES = 1 + 4 / (128 * 128)
"""One byte, and a float32 scale for each block of 128 x 128."""

LINEAR_BYTES = {
    "F32": 4.0,
    "F16": 2.0,
    "BF16": 2.0,
    "FP8": FP8_BYTES,
    "INT8": 1.0,
    "AWQ": GPTQ_BYTES,
    "GPTQ": GPTQ_BYTES,
    "INT4": GPTQ_BYTES,
    "NVFP4": NVFP4_BYTES,
    "BNB-4BIT": BITSANDBYTES_BYTES,
    "BNB-8BIT": 1.0,
    "MXFP4": 2.0,
}
"""safetensors quantisation to bytes of one element of the matrices that it quantises."""

WIDE_ROLES = frozenset({"norm", "token_embd", "output", "ffn_gate_inp", "ssm_conv1d", "ssm_ba"})
"""Left in 16 bits by every safetensors quantisation."""


def safetensors_bytes(quantization: str) -> ByteCount:
    """Bytes of a tensor in that quantisation of safetensors.

    Raises:
        InvalidRequest: it is not known.

    """
    name = quantization.upper()
    if name not in LINEAR_BYTES:
        raise InvalidRequest(
            f"{quantization!r} is not a quantisation of safetensors",
            hint=f"known are {', '.join(LINEAR_BYTES)}",
            param="quantization",
        )
    wide = 4.0 if name == "F32" else 2.0

    def count(tensor: Tensor, _layer: int) -> int:
        if tensor.role in WIDE_ROLES:
            return round(wide * tensor.elements)
        if name == "MXFP4" and tensor.role.endswith("_exps"):
            return round(MXFP4_BYTES * tensor.elements)
        return round(LINEAR_BYTES[name] * tensor.elements)

    return count


def gguf_bytes(shape: Shape, quantization: str) -> ByteCount:
    """Bytes of a tensor in llama.cpp's mixture of that name.

    Raises:
        InvalidRequest: it is not known.

    """
    base = base_quantization(quantization)
    if base is None:
        raise InvalidRequest(
            f"{quantization!r} is not a quantisation of GGUF",
            hint=f"known are {', '.join(DEFAULTS)}",
            param="quantization",
        )
    model = Model(
        layers=shape.layers,
        grouping=shape.heads // max(shape.kv_heads, 1),
        experts=shape.experts,
        native_mxfp4=shape.gguf_architecture == "gpt-oss",
    )

    def count(tensor: Tensor, layer: int) -> int:
        role = tensor.role
        if role == "token_embd" and shape.tied_embeddings:
            role = "output"
        return tensor_bytes(tensor_type(role, tensor.columns, layer, base, model), tensor.elements)

    return count
