"""What the names of GGUF files tell: parts of a model, projectors, quantisations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from hydra_box.models.k_quants import DEFAULTS, base_quantization

SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
MOST_SHARDS = 1024
_QUANTIZATION = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:(?:I?Q|TQ)\d_[A-Z0-9]+(?:_[A-Z]+)*|BF16|F16|F32|MXFP4(?:_MOE)?))"
    r"(?=$|[-.])",
    re.IGNORECASE,
)


def is_projector(name: str) -> bool:
    """Whether a file is a vision projector (``mmproj``)."""
    return "mmproj" in PurePosixPath(name).name.lower()


def is_model(name: str) -> bool:
    """Whether a file may be a model, or a part of one."""
    base = PurePosixPath(name).name.lower()
    return base.endswith(".gguf") and "mmproj" not in base and "imatrix" not in base


def best_projector_first(names: Iterable[str]) -> list[str]:
    """Projectors, the one in F16 first: every publisher has it, and it is as good as any."""
    plain = {name: PurePosixPath(name).name.lower().replace("bf16", "") for name in names}
    return sorted(plain, key=lambda name: ("f16" not in plain[name], name))


def quantization_in_name(name: str) -> str | None:
    """The quantisation that a file's name tells (``UD-Q4_K_XL``); None: it tells none."""
    stem = PurePosixPath(name).name
    found = SHARD.fullmatch(stem)
    stem = found["stem"] if found else stem.removesuffix(".gguf")
    labels = _QUANTIZATION.findall(stem)
    label = labels[-1].upper() if labels else None
    return label if label and base_quantization(label) else None


def own_mixture(name: str) -> str | None:
    """The label of a mixture that is a publisher's own, which no header can tell."""
    label = quantization_in_name(name)
    return None if label in DEFAULTS or label == "MXFP4_MOE" else label


def shard_groups(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The models among files, each with its parts in order; incomplete ones are left out."""
    groups: dict[tuple[str, int], dict[int, str]] = {}
    for name in sorted(filter(is_model, names)):
        found = SHARD.fullmatch(name)
        if found is None:
            groups[name, 1] = {1: name}
        else:
            key = (found["stem"], int(found["count"]))
            groups.setdefault(key, {})[int(found["number"])] = name
    return [
        tuple(parts[number] for number in sorted(parts))
        for (_, count), parts in sorted(groups.items())
        if count <= MOST_SHARDS and sorted(parts) == list(range(1, count + 1))
    ]
