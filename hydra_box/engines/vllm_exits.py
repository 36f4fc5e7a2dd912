"""What the end of a vLLM process means, from its log.

vLLM tells a fault up to three times, once by each of its processes, and the cause stands in the
first; so the words of a cause are looked for, wherever they stand.
"""

from __future__ import annotations

import signal

from hydra_box.engines.exits import Language
from hydra_box.engines.exits import explain as explain_in
from hydra_box.engines.vllm_exit_rules import RULES, SMALLER
from hydra_box.types import ExitExplanation, ProcessExit

_SIGNALS: dict[int, ExitExplanation] = {
    signal.SIGILL: ExitExplanation(
        fact="this vLLM uses a CPU instruction that this machine does not have (SIGILL)",
        hint="llama.cpp is built for this machine: hydra-box engines install llama.cpp",
    ),
    signal.SIGKILL: ExitExplanation(
        fact="the process was killed (SIGKILL), most likely because the machine ran out of memory",
        hint=f"{SMALLER}; the kernel's log says more: dmesg | grep -i oom",
    ),
    signal.SIGSEGV: ExitExplanation(
        fact="vLLM crashed (SIGSEGV)", hint="its log has the last lines"
    ),
    signal.SIGTERM: ExitExplanation(fact="the process was told to end (SIGTERM)"),
}

_LANGUAGE = Language(
    rules=RULES,
    signals=_SIGNALS,
    prefix=r"^\(\w+ pid=\d+\) (?:[A-Z]+ [\d-]+ [\d:]+ \[[^\]]*\] )?",
    not_a_cause=(
        r"^Traceback|^File |^\s*\^+$|^\[shutdown\]|resource_tracker|warnings\.warn|nanobind"
        r"|leaked|For further information|^INFO|root cause|Failed core proc|^raise |^- "
    ),
)


def explain(exit: ProcessExit, log_tail: str) -> ExitExplanation:
    """Why the process ended, from the last lines of its log."""
    return explain_in(exit, log_tail, _LANGUAGE)
