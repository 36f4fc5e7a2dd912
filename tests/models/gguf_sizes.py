"""Sizes in bytes of published GGUF files, as their repositories on the hub list them."""

from __future__ import annotations

from hydra_box.models.shapes import Shape, shape_of_config
from tests.models import configs

LLAMA_31_8B = {
    "IQ2_M": 2948285856,
    "IQ3_M": 3784828320,
    "IQ3_XS": 3518752160,
    "IQ4_NL": 4677993888,
    "IQ4_XS": 4447667616,
    "Q2_K": 3179136416,
    "Q3_K_L": 4321961376,
    "Q3_K_M": 4018922912,
    "Q3_K_S": 3664504224,
    "Q4_0": 4661216672,
    "Q4_K_M": 4920739232,
    "Q4_K_S": 4692673952,
    "Q5_K_M": 5732992416,
    "Q5_K_S": 5599298976,
    "Q6_K": 6596011424,
    "Q8_0": 8540775840,
    "F32": 32128885888,
}
LLAMA_32_3B = {
    "BF16": 6433687744,
    "IQ4_NL": 1917190592,
    "IQ4_XS": 1829110208,
    "Q2_K": 1363935680,
    "Q3_K_M": 1687159232,
    "Q4_1": 2093351360,
    "Q4_K_M": 2019377600,
    "Q5_K_M": 2322153920,
    "Q6_K": 2643853760,
    "Q8_0": 3421898816,
}
QWEN_3_4B = {"Q4_K_M": 2497280256, "Q5_0": 2823710976, "Q6_K": 3306260704, "Q8_0": 4280404704}
QWEN_3_32B = {
    "IQ4_NL": 18679495328,
    "Q2_K": 12344652448,
    "Q3_K_M": 15971778208,
    "Q4_K_M": 19762150048,
    "Q5_K_M": 23214832288,
    "Q6_K": 26883307168,
}
QWEN_3_30B_A3B = {
    "IQ4_NL": 17310782016,
    "IQ4_XS": 16378073664,
    "Q2_K": 11258610240,
    "Q3_K_M": 14711847488,
    "Q3_K_S": 13292468800,
    "Q4_K_M": 18556686912,
    "Q4_K_S": 17456009792,
    "Q5_K_M": 21725581888,
    "Q6_K": 25092532800,
    "Q8_0": 32483932736,
    "BF16": 61095803424,
}
QWEN_25_7B = {
    "Q2_K": 3015940000,
    "Q3_K_M": 3808391072,
    "Q4_0": 4431390848,
    "Q4_K_M": 4683073632,
    "Q5_K_M": 5444831360,
    "Q8_0": 8098525408,
    "F16": 15237853536,
}
PHI_35_MINI = {
    "IQ2_M": 1316395296,
    "IQ3_M": 1855600416,
    "IQ3_XS": 1625175840,
    "Q2_K": 1416204576,
    "Q3_K_L": 2087597856,
    "Q4_K_M": 2393232672,
    "Q5_K_M": 2815276320,
    "Q6_K": 3135853344,
}
PHI_4 = {"IQ3_S": 6504747200, "Q3_K_M": 7363268800, "Q4_K_M": 9053114560, "TQ1_0": 3591098560}
GEMMA_3_1B = {"Q4_K_M": 806058240, "Q8_0": 1069306368, "F16": 2006573568}
GEMMA_3_4B = {"Q4_K_M": 2489757856, "Q8_0": 4130226336, "F16": 7767474336}
GPT_OSS_20B = {"MXFP4": 12109566560}
GPT_OSS_120B = {"MXFP4": 63387346208}


def _small(architecture: str, **values: int | bool) -> Shape:
    return Shape(
        architecture=architecture,
        gguf_architecture=architecture,
        layers=int(values["layers"]),
        embedding_length=int(values["width"]),
        heads=int(values["heads"]),
        kv_heads=int(values["kv_heads"]),
        head_length=int(values["head"]),
        feed_forward_length=int(values["feed_forward"]),
        vocabulary_size=int(values["vocabulary"]),
        tied_embeddings=bool(values["tied"]),
    )


def _gpt_oss_120b() -> Shape:
    kinds = ["sliding_attention", "full_attention"] * 18
    large = {"num_hidden_layers": 36, "num_local_experts": 128, "layer_types": kinds}
    return shape_of_config({**configs.GPT_OSS_20B.config, **large})


PUBLISHED: dict[str, tuple[Shape, dict[str, int]]] = {
    "llama-3.1-8b": (shape_of_config(configs.LLAMA_31_8B.config), LLAMA_31_8B),
    "llama-3.2-3b": (
        _small(
            "llama",
            layers=28,
            width=3072,
            heads=24,
            kv_heads=8,
            head=128,
            feed_forward=8192,
            vocabulary=128256,
            tied=True,
        ),
        LLAMA_32_3B,
    ),
    "qwen2.5-7b": (shape_of_config(configs.QWEN_25_7B.config), QWEN_25_7B),
    "qwen3-4b": (
        _small(
            "qwen3",
            layers=36,
            width=2560,
            heads=32,
            kv_heads=8,
            head=128,
            feed_forward=9728,
            vocabulary=151936,
            tied=True,
        ),
        QWEN_3_4B,
    ),
    "qwen3-32b": (
        _small(
            "qwen3",
            layers=64,
            width=5120,
            heads=64,
            kv_heads=8,
            head=128,
            feed_forward=25600,
            vocabulary=151936,
            tied=False,
        ),
        QWEN_3_32B,
    ),
    "qwen3-30b-a3b": (shape_of_config(configs.QWEN_3_30B_A3B.config), QWEN_3_30B_A3B),
    "phi-3.5-mini": (shape_of_config(configs.PHI_3_MINI.config), PHI_35_MINI),
    "phi-4": (
        _small(
            "phi3",
            layers=40,
            width=5120,
            heads=40,
            kv_heads=10,
            head=128,
            feed_forward=17920,
            vocabulary=100352,
            tied=False,
        ),
        PHI_4,
    ),
    "gemma-3-1b": (
        _small(
            "gemma3",
            layers=26,
            width=1152,
            heads=4,
            kv_heads=1,
            head=256,
            feed_forward=6912,
            vocabulary=262144,
            tied=True,
        ),
        GEMMA_3_1B,
    ),
    "gemma-3-4b": (shape_of_config(configs.GEMMA_3_4B.config), GEMMA_3_4B),
    "gpt-oss-20b": (shape_of_config(configs.GPT_OSS_20B.config), GPT_OSS_20B),
    "gpt-oss-120b": (_gpt_oss_120b(), GPT_OSS_120B),
}
"""Model to its shape and its files' sizes; each file has 1 to 12 MB of header besides."""
