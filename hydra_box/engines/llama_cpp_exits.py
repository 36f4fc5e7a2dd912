"""What the end of a llama.cpp process means, and what a loading one is doing, from its log."""

from __future__ import annotations

import signal

from hydra_box.engines.exits import Language, Rule
from hydra_box.engines.exits import explain as explain_in
from hydra_box.types import ExitExplanation, ProcessExit

_SMALLER = "deploy with a shorter context length, less concurrency, or a smaller model"
_FETCH_AGAIN = "get the file again and compare its checksum"
_NEWER = "run: hydra-box engines install llama.cpp"

RULES = (
    Rule(
        pattern=r"allocating ([\d.]+) MiB on device (\d+): cudaMalloc failed: out of memory",
        fact="not enough GPU memory: GPU {1} could not give {0} MiB more",
        hint=_SMALLER,
    ),
    Rule(
        pattern=r"failed to allocate (?:CUDA|ROCm|Vulkan)(\d+) buffer of size (\d+)",
        fact="not enough GPU memory: GPU {0} could not give {1} bytes more",
        hint=_SMALLER,
    ),
    Rule(pattern=r"CUDA error: out of memory", fact="not enough GPU memory", hint=_SMALLER),
    Rule(
        pattern=r"no kernel image is available for execution on the device",
        fact="this build of llama.cpp has no code for this GPU",
        hint=_NEWER,
    ),
    Rule(
        pattern=r"CUDA driver version is insufficient for CUDA runtime version",
        fact="the NVIDIA driver is older than the CUDA that this llama.cpp was built with",
        hint="update the NVIDIA driver",
    ),
    Rule(pattern=r"CUDA error: (.+)", fact="the GPU failed: {0}", hint="see: hydra-box doctor"),
    Rule(
        pattern=r"insufficient memory \(attempted to allocate ([\d.]+) MB\)",
        fact="not enough memory: {0} MB more were refused",
        hint=_SMALLER,
    ),
    Rule(
        pattern=r"failed to allocate buffer of size (\d+)",
        fact="not enough memory: {0} bytes more were refused",
        hint=_SMALLER,
    ),
    Rule(
        pattern=r"failed to allocate buffer for kv cache",
        fact="not enough memory for the KV cache",
        hint=_SMALLER,
    ),
    Rule(
        pattern=r"std::bad_alloc|[Cc]annot allocate memory|failed to allocate (?:compute|CPU)",
        fact="not enough memory",
        hint=_SMALLER,
    ),
    Rule(
        pattern=r"failed to open (?:GGUF )?file '([^'\n]*)' \((?:No such file[^)]*)\)",
        fact="the model's file {0} does not exist",
        hint="give the path of a GGUF file",
    ),
    Rule(
        pattern=r"failed to open (?:GGUF )?file '([^'\n]*)'(?: \(([^)\n]*)\))?",
        fact="the model's file {0} could not be opened: {1}",
        hint="check who may read the file",
    ),
    Rule(
        pattern=r"invalid magic characters",
        fact="the model's file is not a GGUF file",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=r"data is not within the file bounds",
        fact="the model's file is truncated or corrupt: it ends before its tensors do",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=r"gguf_init_from_\w+: (failed to read .+|.*(?:invalid|duplicate|corrupt).*)",
        fact="the model's file is corrupt: {0}",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=r"unknown model architecture: '([^'\n]*)'",
        fact="this llama.cpp does not know the model's architecture {0!r}",
        hint=_NEWER,
    ),
    Rule(
        pattern=r"unknown pre-tokenizer type: '([^'\n]*)'",
        fact="this llama.cpp does not know the model's tokenizer {0!r}",
        hint=_NEWER,
    ),
    Rule(
        pattern=r"missing tensor '([^'\n]*)'|wrong number of tensors|wrong shape",
        fact="the model's file does not hold the tensors that its architecture needs",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=r"error loading model: (.+)",
        fact="llama.cpp could not load the model: {0}",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=r"error while loading shared libraries: ([^:\n]+): (.+)",
        fact="llama.cpp lacks the shared library {0}: {1}",
        hint=_NEWER,
    ),
    Rule(
        pattern=r"ImportError: (lib[^:\s]+): cannot open shared object file",
        fact="the bundled llama.cpp lacks the shared library {0} of this system",
        hint="for libgomp.so.1: apt install libgomp1 (Debian, Ubuntu), dnf install libgomp (RPM)",
    ),
    Rule(
        pattern=r"No module named '(\w+)'",
        fact="the Python package {0} is not installed where this runtime looks for it",
        hint="install Hydra Box again, or run: hydra-box engines install llama.cpp",
    ),
    Rule(
        pattern=r"error: (?:invalid argument|unrecognized arguments|unknown argument): (\S+)",
        fact="this llama.cpp does not know the option {0}: its version does not fit",
        hint=_NEWER,
    ),
    Rule(
        pattern=r"couldn't bind HTTP server socket, hostname: ([^,\n]+)",
        fact="llama.cpp could not listen on {0}: the directory is missing or the name is taken",
    ),
    Rule(
        pattern=r"GGML_ASSERT\((.+)\) failed",
        fact="llama.cpp stopped at an inner check: {0}",
        hint=_NEWER,
    ),
)

_SIGNALS: dict[int, ExitExplanation] = {
    signal.SIGILL: ExitExplanation(
        fact="this llama.cpp uses a CPU instruction that this machine does not have (SIGILL)",
        hint="build it for this machine: hydra-box engines install llama.cpp",
    ),
    signal.SIGKILL: ExitExplanation(
        fact="the process was killed (SIGKILL), most likely because the machine ran out of memory",
        hint=f"{_SMALLER}; the kernel's log says more: dmesg | grep -i oom",
    ),
    signal.SIGSEGV: ExitExplanation(
        fact="llama.cpp crashed (SIGSEGV)",
        hint="its log has the last lines; another runtime may do better: hydra-box engines list",
    ),
    signal.SIGBUS: ExitExplanation(
        fact="llama.cpp could not read the model's file any further (SIGBUS)",
        hint="the file was changed or cut while it was in use, or its disk fails",
    ),
    signal.SIGTERM: ExitExplanation(fact="the process was told to end (SIGTERM)"),
}

_LANGUAGE = Language(
    rules=RULES,
    signals=_SIGNALS,
    prefix=r"^[\d.]+\s+[A-Z]\s+",
    not_a_cause=(
        r"^error: Failed to init server|exiting due to|cleaning up before exit|^Traceback|^File "
    ),
)

_STAGES = (
    ("loading model", "loading the model"),
    ("loading model tensors", "reading the weights"),
    ("constructing llama_context", "making room for the KV cache"),
    ("warming up the model", "warming up"),
    ("model loaded", "asking for a first token"),
)
"""Words of the log to what they mean, in the order in which they appear."""


def explain(exit: ProcessExit, log_tail: str) -> ExitExplanation:
    """Why the process ended, from the last lines of its log."""
    return explain_in(exit, log_tail, _LANGUAGE)


def progress(log_tail: str) -> str | None:
    """What a loading process is doing: the stage that its log named last."""
    found = [(log_tail.rfind(words), text) for words, text in _STAGES]
    position, text = max(found)
    return text if position >= 0 else None
