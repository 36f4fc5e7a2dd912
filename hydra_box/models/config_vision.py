"""The size of a vision tower, from the ``vision_config`` of a ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping

CHANNELS = 3


def vision_parameters(config: Mapping[str, object]) -> int:
    """Elements of the tower and its projector; 0 if there is none.

    The tower is a ViT (arXiv 2010.11929): four matrices of attention and two or three of the
    feed-forward in each layer, patches and positions before them. Where the patches are merged
    before the projector, it has two matrices.
    """
    depth = _number(config, "depth", "num_hidden_layers", "layers")
    depth += _number(config, "num_global_layers")
    # Qwen2-VL calls the tower's own width embed_dim, and the language model's hidden_size.
    width = _number(config, "embed_dim", "hidden_size", "width")
    if not depth or not width:
        return 0
    ratio = config.get("mlp_ratio")
    usual = int(width * ratio) if isinstance(ratio, int | float) else 4 * width
    length = _number(config, "intermediate_size") or usual
    gated = config.get("hidden_act") == "silu"
    layer = 4 * width * width + (3 if gated else 2) * width * length
    patch = _number(config, "patch_size", "spatial_patch_size") or 14
    frames = _number(config, "temporal_patch_size") or 1
    positions = _number(config, "num_position_embeddings")
    positions = positions or (_number(config, "image_size") // patch) ** 2
    embeddings = width * (CHANNELS * frames * patch * patch + positions)
    return depth * layer + embeddings + _projector(config, width)


def _projector(config: Mapping[str, object], width: int) -> int:
    out = _number(config, "out_hidden_size", "projection_dim")
    if "embed_dim" in config:
        out = _number(config, "hidden_size")
    merge = _number(config, "spatial_merge_size") or 1
    merged = width * merge * merge
    if merge == 1:
        return width * out
    deeper = config.get("deepstack_visual_indexes")
    copies = 1 + (len(deeper) if isinstance(deeper, list) else 0)
    return copies * merged * (merged + out)


def _number(config: Mapping[str, object], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31:
            return value
    return 0
