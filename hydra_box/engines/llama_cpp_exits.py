"""What the end of a llama.cpp process means, and what a loading one is doing, from its log."""

from __future__ import annotations

import re
import signal

from hydra_box.types import ExitExplanation, Frozen, ProcessExit

LONGEST_LINE = 300


class Rule(Frozen, frozen=True, kw_only=True):
    """A pattern in the log; ``fact`` and ``hint`` may quote its groups as ``{0}``, ``{1}``."""

    pattern: str
    fact: str
    hint: str | None = None


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
"""The first rule that matches wins, so the more telling ones come first."""

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
_SAID_BY_SIGNAL_ALONE = frozenset({signal.SIGILL, signal.SIGKILL, signal.SIGBUS})

_NOT_A_CAUSE = re.compile(
    r"^error: Failed to init server|exiting due to|cleaning up before exit|^Traceback|^\s+File "
)
_PREFIX = re.compile(r"^[\d.]+\s+[A-Z]\s+")

_STAGES = (
    ("loading model", "loading the model"),
    ("loading model tensors", "reading the weights"),
    ("constructing llama_context", "making room for the KV cache"),
    ("warming up the model", "warming up"),
    ("model loaded", "asking for a first token"),
)
"""Words of the log to what they mean, in the order in which they appear."""


def explain(exit: ProcessExit, log_tail: str) -> ExitExplanation:
    """Why the process ended.

    1. Signals that say it all by themselves: a missing CPU instruction, killed, a cut file.
    2. The first of ``RULES`` that finds its pattern in the log.
    3. Other signals.
    4. The last line of the log that means something, with the status.
    """
    number = _signal(exit)
    if number in _SAID_BY_SIGNAL_ALONE:
        return _SIGNALS[number]
    for rule in RULES:
        matches = list(re.finditer(rule.pattern, log_tail))
        if matches:
            groups = [group or "no reason given" for group in matches[-1].groups()]
            return ExitExplanation(fact=rule.fact.format(*groups)[:LONGEST_LINE], hint=rule.hint)
    if number in _SIGNALS:
        return _SIGNALS[number]
    return _unexplained(exit, number, log_tail)


def progress(log_tail: str) -> str | None:
    """What a loading process is doing: the stage that its log named last."""
    found = [(log_tail.rfind(words), text) for words, text in _STAGES]
    position, text = max(found)
    return text if position >= 0 else None


def _signal(exit: ProcessExit) -> int | None:
    if exit.signal is not None:
        return exit.signal
    # A shell between us and the program reports its signal as 128 and the number.
    if exit.code is not None and exit.code > 128:
        return exit.code - 128
    return None


def _unexplained(exit: ProcessExit, number: int | None, log_tail: str) -> ExitExplanation:
    if number is not None:
        fact = f"the process was ended by signal {number}"
    elif exit.code is None:
        fact = "the process has ended"
    else:
        fact = f"the process ended with status {exit.code}"
    lines = [line.strip() for line in log_tail.splitlines() if line.strip()]
    telling = [line for line in lines if not _NOT_A_CAUSE.search(_PREFIX.sub("", line))]
    if not telling:
        return ExitExplanation(fact=f"{fact} and printed nothing")
    last = _PREFIX.sub("", telling[-1])[:LONGEST_LINE]
    return ExitExplanation(fact=f"{fact}; the last it said was: {last}")
