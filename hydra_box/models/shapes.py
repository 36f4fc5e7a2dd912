"""From the shape of a model to its facts, without a file of its weights."""

from __future__ import annotations

from hydra_box.errors import InvalidRequest
from hydra_box.models.configs import shape_of_config
from hydra_box.models.shape import Shape
from hydra_box.models.shape_caches import shape_caches
from hydra_box.models.shape_numbers import shape_numbers
from hydra_box.models.shape_tensors import (
    Tensor,
    block_tensors,
    input_tensors,
    output_tensors,
)
from hydra_box.models.tensor_sizes import ByteCount, gguf_bytes, safetensors_bytes
from hydra_box.types import (
    FactsSource,
    Modality,
    ModelFacts,
    WeightFile,
    WeightFormat,
)

__all__ = ["Shape", "shape_facts", "shape_of_config", "shape_parameters"]

PROJECTOR_NAME = "mmproj"
VISION_BYTES = 2
"""Of one element of a vision tower: every publisher leaves it in 16 bits."""


def shape_parameters(shape: Shape) -> int:
    """Elements of all tensors, as the publisher counts them."""
    blocks = (block_tensors(shape, layer) for layer in range(shape.layers))
    tensors = [
        *input_tensors(shape),
        *output_tensors(shape),
        *(tensor for block in blocks for tensor in block),
    ]
    inside = sum(tensor.elements for tensor in tensors)
    return inside + shape.vision_parameters + shape.extra_parameters


def shape_facts(
    shape: Shape,
    format: WeightFormat,
    quantization: str,
    *,
    modality: Modality,
    context_length: int,
    files: tuple[WeightFile, ...] = (),
    has_chat_template: bool = True,
) -> ModelFacts:
    """The facts of a model of that shape, its weights computed; scaled to ``files`` if given.

    A file whose name has ``mmproj`` is the vision projector. Without files, ``files`` of the facts
    has one of the computed size, named ``computed``.

    Raises:
        InvalidRequest: no such quantisation, or llama.cpp does not read this architecture.

    """
    sizes = _Sizes(shape, format, quantization)
    is_gguf = format is WeightFormat.GGUF
    vision = VISION_BYTES * shape.vision_parameters
    projector = sum(one.size_bytes for one in files if PROJECTOR_NAME in one.name.lower())
    exact = sum(one.size_bytes for one in files) - projector
    # In GGUF, positions and per-layer embeddings are looked up like the token embedding.
    first = sizes.input + (sizes.extra_bytes if is_gguf else 0)
    other = 0 if is_gguf else sizes.extra_bytes + vision
    projector = (projector or vision) if is_gguf else projector
    computed = sum(sizes.layers) + first + sizes.output + other
    scale = exact / computed if exact else 1.0
    return ModelFacts(
        source=FactsSource.CATALOG,
        format=format,
        architecture=sizes.architecture,
        modality=modality,
        quantization=quantization,
        parameters=shape_parameters(shape),
        context_length=context_length,
        **shape_numbers(shape),
        layers=shape_caches(shape, format),
        layer_weight_bytes=tuple(round(scale * size) for size in sizes.layers),
        input_weight_bytes=round(scale * first),
        output_weight_bytes=round(scale * sizes.output),
        other_weight_bytes=round(scale * other),
        tied_embeddings=shape.tied_embeddings,
        projector_bytes=projector,
        files=files or (WeightFile(name="computed", size_bytes=computed + projector),),
        has_tokenizer=True,
        has_chat_template=has_chat_template,
        has_pooling=modality in {Modality.EMBEDDING, Modality.RERANK},
    )


class _Sizes:
    """Bytes of each part of a shape's weights."""

    def __init__(self, shape: Shape, format: WeightFormat, quantization: str) -> None:
        if format is WeightFormat.GGUF:
            if shape.gguf_architecture is None:
                raise InvalidRequest(
                    f"llama.cpp does not read {shape.architecture}",
                    hint="use the safetensors weights, with vLLM",
                    param="engine",
                )
            self.architecture = shape.gguf_architecture
            count = gguf_bytes(shape, quantization)
        else:
            self.architecture = shape.architecture
            count = safetensors_bytes(quantization)
        layers = range(shape.layers)
        self.layers = [_total(block_tensors(shape, layer), layer, count) for layer in layers]
        self.input = _total(input_tensors(shape), 0, count)
        self.output = _total(output_tensors(shape), 0, count)
        extra = Tensor("token_embd", shape.extra_parameters, 1)
        self.extra_bytes = count(extra, 0) if shape.extra_parameters else 0


def _total(tensors: list[Tensor], layer: int, count: ByteCount) -> int:
    return sum(count(tensor, layer) for tensor in tensors)
