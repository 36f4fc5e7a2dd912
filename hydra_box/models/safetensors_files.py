"""Which files of a repository are a safetensors model, wherever the repository is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

import msgspec

from hydra_box.errors import InvalidModel

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PIPELINE = "model_index.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
MOST_SHARDS = 1024
SUFFIX = ".safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")

JsonTable = dict[str, object]


def json_table(data: bytes) -> JsonTable:
    """Decode a JSON object.

    Raises:
        msgspec.MsgspecError: it is not one.

    """
    return msgspec.json.decode(data, type=JsonTable)


def has_chat_template(tokenizer_config: Mapping[str, object]) -> bool:
    """Whether a ``tokenizer_config.json`` has a chat template, one or several."""
    return bool(tokenizer_config.get("chat_template"))


def is_safetensors_model(names: Collection[str]) -> bool:
    """Whether these files are a transformers model or a diffusers pipeline of safetensors."""
    if PIPELINE in names:
        return bool(pipeline_shards(names))
    return CONFIG in names and any(_is_weights(name) for name in names)


def refuse_without_weights(where: str, names: Collection[str]) -> None:
    """Refuse a repository that is no transformers model of safetensors.

    Raises:
        InvalidModel: says what it is instead.

    """
    if CONFIG in names and any(_is_weights(name) for name in names):
        return
    if any(name.startswith("adapter_") for name in names):
        raise InvalidModel(
            f"{where} holds an adapter (LoRA), not a model",
            hint="merge it into its base model first",
            param="model",
        )
    if any(name.endswith(PICKLES) for name in names):
        raise InvalidModel(
            f"{where} has its weights as pickle files only, and those can run any code",
            hint="look for the same model in safetensors or GGUF",
            param="model",
        )
    if CONFIG in names:
        raise InvalidModel(
            f"{where} has a {CONFIG} and no file of weights",
            hint="get the *.safetensors files too",
            param="model",
        )
    raise InvalidModel(
        f"{where} has no {CONFIG}",
        hint="give a GGUF file, or a directory with safetensors and its config.json",
        param="model",
    )


def shard_names(names: Collection[str], index: Mapping[str, object] | None) -> tuple[str, ...]:
    """The files that hold the weights: those that the index names, or all there are.

    Raises:
        InvalidModel: the index is none, names files elsewhere, or names too many.

    """
    if index is not None:
        named = index.get("weight_map")
        shards = sorted({*named.values()}) if isinstance(named, Mapping) and named else []
        if not shards or not all(isinstance(one, str) and _is_weights(one) for one in shards):
            raise InvalidModel(f"its {INDEX} names no files of weights here", param="model")
    elif SINGLE in names:
        shards = [SINGLE]
    else:
        shards = sorted(name for name in names if _is_weights(name))
        # Mistral publishes the same weights a second time in one file, in its own layout.
        shards = [one for one in shards if not one.startswith("consolidated")] or shards
    if len(shards) > MOST_SHARDS:
        raise InvalidModel(f"it has {len(shards):,} files of weights", param="model")
    return tuple(shards)


def pipeline_shards(names: Collection[str]) -> tuple[str, ...]:
    """Files of weights of a diffusers pipeline: each component has a directory of its own.

    Of the same weights in several precisions (``.fp16.``), the published default is taken.
    """
    shards = []
    for name in sorted(names):
        path = PurePosixPath(name)
        variant = len(path.suffixes) > 1 and path.suffixes[-2] in {".fp16", ".bf16", ".non_ema"}
        if path.suffix == SUFFIX and len(path.parts) == 2 and not variant:
            shards.append(name)
    return tuple(shards[:MOST_SHARDS])


def _is_weights(name: str) -> bool:
    own = "/" not in name and not name.startswith(("adapter_", "."))
    return own and name.endswith(SUFFIX)
