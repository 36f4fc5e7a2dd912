"""Trains the demo model from scratch and writes its GGUF file.

    python scripts/train_demo_model.py hydra_box/assets/demo/hydra-box-demo.gguf

Takes some minutes on two CPU cores and stops by itself. With the same seed, package versions and
kind of CPU, two runs write the same file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import demo_dialogs
import demo_gguf
import numpy as np
import torch
from demo_network import Network, Shape
from demo_tokenizer import PAD, SPECIALS, tokenizer_json
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional

#: Rows of a batch by row length in tokens. All batches have the same number of tokens; the long
#: rows teach the model to look only at the last request, far into the context.
BATCHES = ((256, 16, 0.78), (512, 8, 0.12), (1024, 4, 0.06), (2048, 2, 0.04))


@dataclass(frozen=True)
class Plan:
    """How to train: number of steps, peak learning rate, loss goal in nats per answer token."""

    seed: int = 20
    steps: int = 1500
    warmup: int = 60
    peak: float = 2.5e-3
    goal: float = 0.01
    tokenizer_texts: int = 20000


class Codec:
    """Encodes training texts; keeps the ids of texts that come again, as most answers do."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.encode_text = lru_cache(maxsize=50000)(self._encode_text)

    def _encode_text(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def encode(self, segments: list[demo_dialogs.Segment]) -> tuple[list[int], list[float]]:
        """Token ids of a text, and the loss weight of each."""
        ids: list[int] = []
        weights: list[float] = []
        for segment in segments:
            if segment.special:
                new: tuple[int, ...] = (SPECIALS.index(segment.text),)
            else:
                new = self.encode_text(segment.text)
            ids.extend(new)
            weights.extend([segment.weight] * len(new))
        return ids, weights


def train_tokenizer(plan: Plan, vocab: int) -> tuple[list[str], list[str]]:
    """Learn a byte-level BPE from drawn texts; return its tokens by id and its merges."""
    rng = random.Random(plan.seed)
    texts = (
        segment.text
        for _ in range(plan.tokenizer_texts)
        for segment in demo_dialogs.draw(rng)
        if not segment.special
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    state = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(state["vocab"], key=state["vocab"].__getitem__)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in state["merges"]]
    return tokens, merges


def pack_row(rng: random.Random, codec: Codec, length: int) -> tuple[list[int], list[float]]:
    """Fill a row of ``length`` + 1 tokens with texts; a long row may be one long dialog."""
    ids: list[int] = []
    weights: list[float] = []
    if length >= 512 and rng.random() < 0.6:
        ids, weights = codec.encode(demo_dialogs.dialog(rng, length // 30))
    while len(ids) <= length:
        more_ids, more_weights = codec.encode(demo_dialogs.draw(rng))
        ids.extend(more_ids)
        weights.extend(more_weights)
    return ids[: length + 1], weights[: length + 1]


def batches(plan: Plan, codec: Codec) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches: ids (rows, length + 1) and loss weights of the same shape."""
    rng = random.Random(plan.seed + 1)
    shares = [share for _, _, share in BATCHES]
    while True:
        length, count, _ = rng.choices(BATCHES, shares)[0]
        rows = [pack_row(rng, codec, length) for _ in range(count)]
        yield (
            torch.tensor([ids for ids, _ in rows], dtype=torch.long),
            torch.tensor([weights for _, weights in rows], dtype=torch.float32),
        )


def learning_rate(plan: Plan, step: int) -> float:
    """Linear warm-up, then a half cosine down to nearly zero at the last step."""
    if step < plan.warmup:
        return plan.peak * (step + 1) / plan.warmup
    done = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def losses(network: Network, ids: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted loss to minimise, and the mean over answer tokens, in nats per token."""
    # bfloat16 matrix products are several times as fast as float32 ones on current CPUs.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(ids[:, :-1])
    each = functional.cross_entropy(
        logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
    )
    target = weights[:, 1:].flatten()
    answers = target == 1.0
    return (each * target).sum() / target.sum(), each.detach()[answers].mean()


def optimiser(network: Network, plan: Plan) -> torch.optim.AdamW:
    """AdamW that lets only the matrices decay."""
    matrices = [p for p in network.parameters() if p.dim() == 2]
    gains = [p for p in network.parameters() if p.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": 0.05},
        {"params": gains, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.peak, betas=(0.9, 0.97), eps=1e-8)


def train(network: Network, plan: Plan, codec: Codec) -> tuple[int, float]:
    """Train until the goal or the last step; return the steps done and the smoothed loss."""
    adam = optimiser(network, plan)
    smooth = math.nan
    began = time.monotonic()
    for step, (ids, weights) in zip(range(plan.steps), batches(plan, codec), strict=False):
        for group in adam.param_groups:
            group["lr"] = learning_rate(plan, step)
        loss, answer_loss = losses(network, ids, weights)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        value = float(answer_loss)
        smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value
        if step % 50 == 0 or step == plan.steps - 1:
            seconds = time.monotonic() - began
            print(f"step {step:5d}  loss {smooth:.4f}  {seconds:6.0f} s", flush=True)
        if smooth < plan.goal:
            return step + 1, smooth
    return plan.steps, smooth


def weights_of(network: Network) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """The parameters as float32 arrays, under the names that GGUF gives them."""
    return {
        name: parameter.detach().numpy().astype(np.float32)
        for name, parameter in network.named_parameters()
    }


def main() -> None:
    """Train and write the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    plan = Plan(seed=arguments.seed, steps=arguments.steps)
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(plan.seed)
    shape = Shape()
    tokens, merges = train_tokenizer(plan, shape.vocab)
    if len(tokens) != shape.vocab or tokens[1] != PAD:
        raise SystemExit(f"the tokenizer has {len(tokens)} tokens instead of {shape.vocab}")
    codec = Codec(Tokenizer.from_str(json.dumps(tokenizer_json(tokens, merges))))
    network = Network(shape)
    print(f"parameters {sum(p.numel() for p in network.parameters())}")
    began = time.monotonic()
    steps, loss = train(network, plan, codec)
    hyper = demo_gguf.Hyper(**asdict(shape))
    demo_gguf.write(arguments.output, hyper, weights_of(network), tokens, merges)
    digest = hashlib.sha256(arguments.output.read_bytes()).hexdigest()
    print(f"steps {steps}  loss {loss:.4f}  seconds {time.monotonic() - began:.0f}")
    print(f"bytes {arguments.output.stat().st_size}  sha256 {digest}")


if __name__ == "__main__":
    main()
