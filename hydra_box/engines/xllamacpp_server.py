"""The bundled llama.cpp as a program: the ``xllamacpp`` wheel behind ``llama-server``'s flags.

It is run by its path, not as a module of the package, and imports nothing of it: an instance
should cost what its model costs. llama.cpp prints to this program's stdout and stderr.

Ends with status 0 on SIGTERM or SIGINT, at once; with status 1 when llama.cpp cannot load or
listen, 2 when a flag is wrong. While a model loads, SIGTERM has its default effect: xllamacpp
holds the interpreter's lock until it has loaded, so no handler could run.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import xllamacpp

POOLING = {
    "mean": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN,
    "cls": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_CLS,
    "last": xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST,
}

CACHE_TYPES = {
    name: xllamacpp.ggml_type[f"GGML_TYPE_{name.upper()}"]
    for name in ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal ends it."""
    arguments = _parse(argv)
    os.umask(0o177)  # The socket is for this user alone.
    try:
        # Kept in a name: the server lives as long as the object.
        server = xllamacpp.Server(_params(arguments))
    except RuntimeError as error:
        # llama.cpp has printed the cause already.
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"xllamacpp {xllamacpp.__version__} serves on {server.listening_address}\n")
    sys.stdout.flush()
    _wait_for_signal()
    Path(arguments.host).unlink(missing_ok=True)
    # Leaving through the interpreter would first wait for llama.cpp to finish its work.
    os._exit(0)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="xllamacpp_server", allow_abbrev=False)
    parser.add_argument("--model", required=True, help="path of the GGUF file")
    parser.add_argument("--mmproj", help="path of the vision projector's GGUF file")
    parser.add_argument("--alias", required=True, help="the model's name in requests and answers")
    parser.add_argument("--host", required=True, help="path of the UNIX socket")
    parser.add_argument("--ctx-size", type=int, required=True, help="tokens, over all slots")
    parser.add_argument("--parallel", type=int, required=True, help="slots")
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--ubatch-size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=-1, help="for tokens, one at a time")
    parser.add_argument("--threads-batch", type=int, default=-1, help="for prompts")
    parser.add_argument("--n-gpu-layers", type=int, default=-1)
    parser.add_argument("--tensor-split", type=_shares, default=[], help="share of each GPU")
    parser.add_argument("--cache-type-k", choices=CACHE_TYPES, default="f16")
    parser.add_argument("--cache-type-v", choices=CACHE_TYPES, default="f16")
    parser.add_argument("--fit", choices=("on", "off"), default="on", help="adjust what is unset")
    parser.add_argument("--cache-ram", type=int, default=8192, help="MiB of idle prompts kept")
    parser.add_argument("--log-verbosity", type=int, default=3)
    parser.add_argument("--pooling", choices=POOLING)
    for name in ("embeddings", "jinja", "metrics", "slots", "no-webui", "no-context-shift"):
        parser.add_argument(f"--{name}", action="store_true")
    return parser.parse_args(argv)


def _shares(text: str) -> list[float]:
    return [float(share) for share in text.split(",")]


def _params(arguments: argparse.Namespace) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    if arguments.mmproj is not None:
        params.mmproj.path = arguments.mmproj
    params.model_alias = {arguments.alias}
    params.hostnames = [arguments.host]
    params.n_ctx = arguments.ctx_size
    params.n_parallel = arguments.parallel
    params.n_batch = arguments.batch_size
    params.n_ubatch = arguments.ubatch_size
    params.cpuparams.n_threads = arguments.threads
    params.cpuparams_batch.n_threads = arguments.threads_batch
    params.n_gpu_layers = arguments.n_gpu_layers
    # The binding takes as many shares as llama.cpp has room for.
    room = len(params.tensor_split) - len(arguments.tensor_split)
    params.tensor_split = [*arguments.tensor_split, *(0.0,) * room]
    params.cache_type_k = CACHE_TYPES[arguments.cache_type_k]
    params.cache_type_v = CACHE_TYPES[arguments.cache_type_v]
    params.fit_params = arguments.fit == "on"
    params.cache_ram_mib = arguments.cache_ram
    params.verbosity = arguments.log_verbosity
    params.embedding = arguments.embeddings
    if arguments.pooling is not None:
        params.pooling_type = POOLING[arguments.pooling]
    params.use_jinja = arguments.jinja
    params.endpoint_metrics = arguments.metrics
    params.endpoint_slots = arguments.slots
    params.ui = not arguments.no_webui
    params.ctx_shift = not arguments.no_context_shift
    return params


def _wait_for_signal() -> None:
    # A file descriptor, because the kernel may hand the signal to one of llama.cpp's threads,
    # and then nothing would wake a signal.pause() here.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    os.read(reader, 1)


if __name__ == "__main__":
    sys.exit(main())
