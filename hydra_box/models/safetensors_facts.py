"""From the headers and the configuration of a safetensors model to its facts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from hydra_box.models.architectures import NATIVE
from hydra_box.models.config_hybrids import hybrid_caches
from hydra_box.models.config_quantization import packed_bits, parameters, quantization_name
from hydra_box.models.config_values import ConfigValues
from hydra_box.models.configs import config_context_length, shape_of_config
from hydra_box.models.image_models import image_facts
from hydra_box.models.safetensors_header import SafeTensor
from hydra_box.models.shape import Shape
from hydra_box.models.shape_caches import shape_caches
from hydra_box.models.shape_numbers import shape_numbers
from hydra_box.types import FactsSource, Frozen, Modality, ModelFacts, WeightFile, WeightFormat

TOKENIZERS = frozenset(
    {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json",
     "tiktoken.model", "sentencepiece.bpe.model", "spiece.model"}
)  # fmt: skip
CHAT_TEMPLATES = frozenset({"chat_template.jinja", "chat_template.json"})
EMBEDDER_MARKS = frozenset({"modules.json", "config_sentence_transformers.json"})
"""Files of a sentence-transformers model."""
EMBEDDERS = frozenset(
    {"BertModel", "RobertaModel", "XLMRobertaModel", "NomicBertModel", "ModernBertModel",
     "GteModel", "NewModel", "DistilBertModel", "EuroBertModel"}
)  # fmt: skip
_LAYER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks|block)\.(\d{1,4})\.")
_TOWER = re.compile(
    r"(?:^|\.)(?:visual|vision\w*|audio\w*|image\w*|multi_modal\w*|mm_\w+|projector|mlp1|embed_vision"
    r"|embed_audio|img_processor|patch_\w+|connector)\."
)
"""Parts that turn images and sounds into embeddings."""
_INPUT = re.compile(
    r"(?:^|\.)(?:embed_tokens|word_embeddings|wte|tok_embeddings|embed_in|position_embeddings"
    r"|token_type_embeddings|embed_tokens_per_layer|embeddings)\."
)
_OUTPUT = re.compile(r"(?:^|\.)(?:lm_head|output_layer|embed_out|score|classifier)\.")
_LAST_NORM = re.compile(
    r"^(?:[a-z_]+\.){0,3}(?:norm|ln_f|final_layernorm|norm_f)\.(?:weight|bias)$"
)
_AHEAD = re.compile(r"^(?:model\.)?mtp\b")
"""Multi-token prediction, which engines leave out."""


class Repository(Frozen, frozen=True, kw_only=True):
    """What is known of a directory or hub repository of safetensors."""

    config: dict[str, object]
    """``config.json``."""
    tensors: tuple[SafeTensor, ...]
    """Of all shards."""
    files: tuple[WeightFile, ...]
    """The shards."""
    names: frozenset[str]
    """All files, relative."""
    has_template_in_tokenizer: bool = False
    """``tokenizer_config.json`` has a chat template."""


def safetensors_facts(repository: Repository, source: FactsSource) -> ModelFacts:
    """The facts of the model.

    Raises:
        InvalidModel: the configuration lacks something, or is of an unknown kind.

    """
    config = repository.config
    shape = shape_of_config(config)
    values = ConfigValues(config)
    parts = _Parts(repository.tensors, shape)
    bits = packed_bits(config)
    quantization = quantization_name(config, repository.tensors)
    modality = _modality(values, repository.names)
    return ModelFacts(
        source=source,
        format=WeightFormat.SAFETENSORS,
        architecture=shape.architecture,
        modality=modality,
        quantization=quantization,
        parameters=sum(parameters(one, bits) for one in parts.loaded),
        context_length=config_context_length(config),
        **shape_numbers(shape),
        layers=hybrid_caches(values) or shape_caches(shape, WeightFormat.SAFETENSORS),
        layer_weight_bytes=tuple(parts.layers),
        input_weight_bytes=parts.input,
        output_weight_bytes=parts.output,
        other_weight_bytes=parts.other,
        tied_embeddings=parts.tied,
        files=repository.files,
        has_tokenizer=not TOKENIZERS.isdisjoint(repository.names),
        has_chat_template=repository.has_template_in_tokenizer
        or not CHAT_TEMPLATES.isdisjoint(repository.names),
        has_pooling=modality in {Modality.EMBEDDING, Modality.RERANK},
        needs_code=bool(config.get("auto_map")) and config.get("model_type") not in NATIVE,
    )


def diffusers_facts(
    index: Mapping[str, object],
    tensors: Sequence[SafeTensor],
    files: tuple[WeightFile, ...],
    source: FactsSource,
) -> ModelFacts:
    """The facts of a pipeline that makes images (``model_index.json``): weights, and no cache."""
    name = index.get("_class_name")
    return image_facts(
        source,
        WeightFormat.SAFETENSORS,
        name if isinstance(name, str) else "DiffusionPipeline",
        quantization=quantization_name({}, tensors),
        parameters=sum(parameters(one, 4) for one in tensors),
        weight_bytes=sum(one.size_bytes for one in tensors),
        files=files,
    )


class _Parts:
    """Bytes of a model's tensors by where they belong; what is not loaded is left out."""

    def __init__(self, tensors: Sequence[SafeTensor], shape: Shape) -> None:
        self.layers = [0] * shape.layers
        self.input = self.output = self.other = 0
        self.loaded: list[SafeTensor] = []
        has_output = any(_OUTPUT.search(one.name) for one in tensors)
        self.tied = shape.causal and (shape.tied_embeddings or not has_output)
        for tensor in tensors:
            if self._place(tensor):
                self.loaded.append(tensor)

    def _place(self, tensor: SafeTensor) -> bool:
        name, size = tensor.name, tensor.size_bytes
        if _AHEAD.match(name):
            return False
        found = _LAYER.search(name)
        if _TOWER.search(name):
            self.other += size
        elif found is not None:
            layer = int(found[1])
            # Layers behind the last predict more tokens ahead, and no engine loads them by itself.
            if layer >= len(self.layers):
                return False
            self.layers[layer] += size
        elif _INPUT.search(name):
            self.input += size
        elif _OUTPUT.search(name):
            if self.tied:
                return False
            self.output += size
        elif _LAST_NORM.match(name):
            self.output += size
        else:
            self.other += size
        return True


def _modality(values: ConfigValues, names: Collection[str]) -> Modality:
    architecture = values.architecture
    if architecture.endswith("ForSequenceClassification"):
        return Modality.RERANK
    if architecture in EMBEDDERS or not EMBEDDER_MARKS.isdisjoint(names):
        return Modality.EMBEDDING
    return Modality.VISION if values.table("vision_config") else Modality.TEXT
