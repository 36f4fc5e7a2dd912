"""Models that make images: they have no tokens to remember, only weights."""

from __future__ import annotations

GGUF_IMAGE_ARCHITECTURES = frozenset(
    {
        "aura", "chroma", "cosmos", "flux", "flux2", "hidream", "hyvid", "ltxv", "lumina2",
        "pixart", "qwen_image", "sd1", "sd3", "sdxl", "wan", "z_image",
    }
)  # fmt: skip
"""``general.architecture`` of diffusion models, as the converters of the field name them."""
