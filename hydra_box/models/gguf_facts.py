"""From the headers of a GGUF model to its facts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra_box.models.gguf_caches import NO_CACHE, gguf_caches, trunk_blocks
from hydra_box.models.gguf_header import Header, TensorInfo
from hydra_box.models.gguf_values import GgufValues
from hydra_box.models.image_models import GGUF_IMAGE_ARCHITECTURES, image_facts
from hydra_box.types import FactsSource, Modality, ModelFacts, WeightFile, WeightFormat

FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
    39: "NVFP4",
    40: "Q1_0",
    41: "Q2_0",
}
"""``general.file_type`` to the quantisation's name (``llama_ftype`` in llama.cpp's llama.h)."""

NAME_LIMIT = 200
POOLING_RANK = 4
"""``LLAMA_POOLING_TYPE_RANK``: the output is a score, not a vector."""
_BLOCK = re.compile(r"blk\.(\d{1,4})\.")
_INPUT = frozenset({"token_embd", "token_types", "position_embd", "per_layer_token_embd"})
"""Tensors that llama.cpp keeps on the CPU (``LLM_TENSOR_LAYER_INPUT``)."""
WITHOUT_OUTPUT = frozenset(
    {
        "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2",
        "jina-bert-v3", "eurobert",
    }
)  # fmt: skip
"""Encoders that never turn their result back into tokens."""
_OUTPUT = frozenset({"output", "output_norm", "cls", "dense_2", "dense_3"})


def gguf_facts(
    headers: Sequence[Header], files: tuple[WeightFile, ...], source: FactsSource
) -> ModelFacts:
    """The facts of the model whose files have these headers; the first file comes first.

    Raises:
        ValueError: it is no model, or a value in it is missing or impossible; the text completes
            "the file is unusable: ...".

    """
    values = GgufValues(headers[0])
    if not values.architecture:
        raise ValueError("it names no architecture")
    tensors = [tensor for header in headers for tensor in header.tensors]
    if values.architecture in GGUF_IMAGE_ARCHITECTURES:
        return _image_facts(values, tensors, files, source)
    if not values.count("context_length"):
        raise ValueError(f"it has no {values.architecture}.context_length")
    return _language_facts(values, tensors, files, source)


def _language_facts(
    values: GgufValues,
    tensors: Sequence[TensorInfo],
    files: tuple[WeightFile, ...],
    source: FactsSource,
) -> ModelFacts:
    layers = gguf_caches(values)
    parts = _Parts(tensors, blocks=len(layers), trunk=trunk_blocks(values))
    width = values.count("embedding_length")
    heads = values.count("attention.head_count")
    key = values.number("attention.key_length_mla") or values.number("attention.key_length")
    expert_length = values.count("expert_feed_forward_length")
    return ModelFacts(
        source=source,
        format=WeightFormat.GGUF,
        architecture=values.architecture,
        modality=_modality(values, tensors),
        name=(values.text("general.name") or "")[:NAME_LIMIT] or None,
        quantization=_quantization(values),
        parameters=sum(tensor.elements for tensor in tensors),
        context_length=values.count("context_length"),
        embedding_length=width,
        feed_forward_length=values.count("feed_forward_length") or expert_length,
        heads=heads,
        head_length=key or (width // heads if heads else 0),
        vocabulary_size=_vocabulary_size(values, tensors),
        experts=values.count("expert_count"),
        experts_used=values.count("expert_used_count"),
        expert_feed_forward_length=expert_length,
        layers=layers,
        layer_weight_bytes=tuple(parts.blocks),
        input_weight_bytes=parts.input,
        output_weight_bytes=parts.output,
        other_weight_bytes=parts.other,
        tied_embeddings=parts.has_embedding
        and not parts.has_output
        and values.architecture not in WITHOUT_OUTPUT,
        files=files,
        has_tokenizer=bool(values.length("tokenizer.ggml.tokens")),
        has_chat_template=bool(values.text("tokenizer.chat_template")),
        has_pooling=values.number("pooling_type") is not None,
    )


class _Parts:
    """Bytes of a model's tensors by where they belong."""

    def __init__(self, tensors: Sequence[TensorInfo], *, blocks: int, trunk: int) -> None:
        self.blocks = [0] * blocks
        self.input = self.output = self.other = 0
        self.has_embedding = self.has_output = False
        for tensor in tensors:
            found = _BLOCK.match(tensor.name)
            stem = tensor.name.split(".", 1)[0]
            if found is not None and (block := int(found[1])) < blocks:
                # The blocks behind the trunk are skipped when the model is loaded.
                self.blocks[block] += tensor.size_bytes if block < trunk else 0
            elif stem in _INPUT:
                self.input += tensor.size_bytes
                self.has_embedding |= tensor.name == "token_embd.weight"
            elif stem in _OUTPUT:
                self.output += tensor.size_bytes
                self.has_output |= tensor.name == "output.weight"
            else:
                self.other += tensor.size_bytes


def _modality(values: GgufValues, tensors: Sequence[TensorInfo]) -> Modality:
    pooling = values.number("pooling_type")
    ranks = any(tensor.name.startswith("cls.output.") for tensor in tensors)
    if pooling == POOLING_RANK or (ranks and values.architecture in NO_CACHE):
        return Modality.RERANK
    if pooling or (values.architecture in NO_CACHE and values.flag("attention.causal") is False):
        return Modality.EMBEDDING
    return Modality.TEXT


def _quantization(values: GgufValues) -> str | None:
    file_type = values.whole("general.file_type")
    return None if file_type is None else FILE_TYPES.get(file_type)


def _vocabulary_size(values: GgufValues, tensors: Sequence[TensorInfo]) -> int:
    said = values.length("tokenizer.ggml.tokens") or values.number("vocab_size")
    if said:
        return said
    embeddings = [one for one in tensors if one.name == "token_embd.weight"]
    return embeddings[0].dimensions[-1] if embeddings else 0


def _image_facts(
    values: GgufValues,
    tensors: Sequence[TensorInfo],
    files: tuple[WeightFile, ...],
    source: FactsSource,
) -> ModelFacts:
    return image_facts(
        source,
        WeightFormat.GGUF,
        values.architecture,
        name=(values.text("general.name") or "")[:NAME_LIMIT] or None,
        quantization=_quantization(values),
        parameters=sum(tensor.elements for tensor in tensors),
        weight_bytes=sum(tensor.size_bytes for tensor in tensors),
        files=files,
    )
