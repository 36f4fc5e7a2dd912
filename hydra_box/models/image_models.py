"""Models that make images: they have no tokens to remember, only weights."""

from __future__ import annotations

from hydra_box.types import FactsSource, Modality, ModelFacts, WeightFile, WeightFormat

GGUF_IMAGE_ARCHITECTURES = frozenset(
    {
        "aura", "chroma", "cosmos", "flux", "flux2", "hidream", "hyvid", "ltxv", "lumina2",
        "pixart", "qwen_image", "sd1", "sd3", "sdxl", "wan", "z_image",
    }
)  # fmt: skip
"""``general.architecture`` of diffusion models, as the converters of the field name them."""


def image_facts(
    source: FactsSource,
    format: WeightFormat,
    architecture: str,
    *,
    name: str | None = None,
    quantization: str | None,
    parameters: int,
    weight_bytes: int,
    files: tuple[WeightFile, ...],
) -> ModelFacts:
    """The facts of a model that makes images: ``weight_bytes`` of all tensors, and no layers."""
    return ModelFacts(
        source=source,
        format=format,
        architecture=architecture,
        modality=Modality.IMAGE,
        name=name,
        quantization=quantization,
        parameters=parameters,
        context_length=0,
        embedding_length=0,
        feed_forward_length=0,
        heads=0,
        head_length=0,
        vocabulary_size=0,
        layers=(),
        layer_weight_bytes=(),
        input_weight_bytes=0,
        output_weight_bytes=0,
        other_weight_bytes=weight_bytes,
        files=files,
        has_tokenizer=format is WeightFormat.SAFETENSORS,
        has_chat_template=False,
    )
