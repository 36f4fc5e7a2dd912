"""The name of a safetensors model's quantisation, from its ``config.json`` and its tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from hydra_box.models.safetensors_header import SafeTensor

METHODS = {
    "awq": "AWQ",
    "awq_marlin": "AWQ",
    "gptq": "GPTQ",
    "gptq_marlin": "GPTQ",
    "auto-round": "GPTQ",
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "mxfp4": "MXFP4",
    "gpt_oss_mxfp4": "MXFP4",
}
"""``quantization_config.quant_method`` to its name."""
DTYPES = {"BF16": "BF16", "F16": "F16", "F32": "F32", "F8_E4M3": "FP8"}
SCALE_ENDINGS = (
    "scales", "qzeros", "g_idx", "weight_scale", "weight_scale_inv", "weight_scale_2",
    "input_scale", "input_global_scale", "weight_global_scale", "weight_shape",
    "weight_zero_point", "k_scale", "v_scale", "absmax", "quant_map", "SCB",
)  # fmt: skip
"""Ends of the names of tensors that only say how to read another one."""


def quantization_name(config: Mapping[str, object], tensors: Iterable[SafeTensor]) -> str | None:
    """``AWQ``, ``GPTQ``, ``FP8``, ``INT8``, ``MXFP4``, ``BF16`` ...; None: it is not known."""
    said = _quantization_config(config)
    if not said:
        return _usual_dtype(tensors)
    method = str(said.get("quant_method", "")).lower()
    if method == "compressed-tensors":
        return _compressed(said)
    if method == "bitsandbytes":
        return "BNB-4BIT" if said.get("load_in_4bit") else "BNB-8BIT"
    if method == "modelopt" or "quant_algo" in said:
        return str(said.get("quant_algo", "FP8")).upper()
    return METHODS.get(method)


def packed_bits(config: Mapping[str, object]) -> int:
    """Bits of one weight in tensors that pack several into one element; 4 is what is usual."""
    said = _quantization_config(config)
    bits = said.get("bits") or said.get("w_bit") or _weights(said).get("num_bits")
    return bits if isinstance(bits, int) and bits in {2, 3, 4, 8} else 4


def parameters(tensor: SafeTensor, bits: int) -> int:
    """How many weights of the model a tensor holds; none if it only scales others."""
    if tensor.name.endswith(SCALE_ENDINGS) or ".quant_state." in tensor.name:
        return 0
    if tensor.dtype == "I32" and tensor.name.endswith(("qweight", "weight_packed")):
        return tensor.elements * 32 // bits
    # Bytes hold two weights of four bits: MXFP4's blocks, NVFP4, bitsandbytes.
    if tensor.dtype == "U8":
        return 2 * tensor.elements
    return 0 if tensor.dtype in {"I32", "I64", "BOOL"} else tensor.elements


def _quantization_config(config: Mapping[str, object]) -> Mapping[str, object]:
    text = config.get("text_config")
    for place in (config, text):
        if isinstance(place, Mapping):
            said = place.get("quantization_config")
            if isinstance(said, Mapping):
                return said
    return {}


def _weights(said: Mapping[str, object]) -> Mapping[str, object]:
    groups = said.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping):
            return weights
    return {}


def _compressed(said: Mapping[str, object]) -> str | None:
    format = str(said.get("format", ""))
    for name in ("nvfp4", "mxfp4"):
        if name in format:
            return name.upper()
    weights = _weights(said)
    kind, bits = weights.get("type"), weights.get("num_bits")
    if kind == "float":
        return {8: "FP8", 4: "NVFP4"}.get(bits) if isinstance(bits, int) else None
    return f"INT{bits}" if bits in {4, 8} else None


def _usual_dtype(tensors: Iterable[SafeTensor]) -> str | None:
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        sizes[tensor.dtype] += tensor.size_bytes
    return DTYPES.get(sizes.most_common(1)[0][0]) if sizes else None
