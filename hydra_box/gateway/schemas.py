"""How large and deep a schema, a grammar or a pattern may be, which engines compile.

They become automata in the engine's process, where all who share the instance wait for that: what
is nested too deeply ends some parsers, and repetitions inside repetitions take all memory.
"""

from __future__ import annotations

import re

LARGEST_BYTES = 256 * 1024
DEEPEST = 64
LARGEST_PATTERN_BYTES = 2048
MOST_REPETITIONS = 2000
"""Of one part; llama.cpp refuses more as well."""
MOST_NESTED_REPETITIONS = 1_000_000
"""Of all of a pattern's parts in each other, at the worst."""

_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_PATTERNS = re.compile(rb'"pattern"\s*:\s*("[^"\\]*(?:\\.[^"\\]*)*")')
_REPEATED = re.compile(rb"\{(\d+)(?:,(\d*))?\}")
_ESCAPED_LETTER = re.compile(rb"\\u00(4[1-9a-fA-F]|5[0-9aA]|6[1-9a-fA-F]|7[0-9aA])")
_NEITHER = bytes(one for one in range(256) if one not in b'"{}[]()')
_NO_BRACKETS = bytes(one for one in range(256) if one not in b"{}[]()")
_PAIRS = (b"{}", b"[]", b"()")


def fault_of_schema(json: bytes) -> str | None:
    """What is wrong with the JSON text of a schema, or of tools that have schemas."""
    if len(json) > LARGEST_BYTES:
        return f"has {len(json):,} bytes; the limit is {LARGEST_BYTES:,}"
    if _deeper(_without_texts(json)):
        return f"is nested more than {DEEPEST} deep"
    if b"\\u00" in json:
        # A key may be written so, and is the same for an engine.
        json = _ESCAPED_LETTER.sub(lambda found: bytes((int(found[1], 16),)), json)
    patterns = _PATTERNS.findall(json) if b'"pattern"' in json else ()
    for pattern in patterns:
        if fault := fault_of_pattern(pattern):
            return f"has a pattern that {fault}"
    return None


def fault_of_pattern(pattern: bytes) -> str | None:
    """What is wrong with a regular expression."""
    if len(pattern) > LARGEST_PATTERN_BYTES:
        return f"has {len(pattern):,} bytes; the limit is {LARGEST_PATTERN_BYTES:,}"
    if _deeper(pattern):
        return f"is nested more than {DEEPEST} deep"
    counts = _repetitions(pattern)
    product = 1
    for count in counts:
        product *= max(1, count)
    if max(counts, default=0) > MOST_REPETITIONS or product > MOST_NESTED_REPETITIONS:
        return f"repeats a part more than {MOST_REPETITIONS:,} times, or parts inside parts"
    return None


def fault_of_grammar(grammar: bytes) -> str | None:
    """What is wrong with a grammar in GBNF, EBNF or Lark."""
    if len(grammar) > LARGEST_BYTES:
        return f"has {len(grammar):,} bytes; the limit is {LARGEST_BYTES:,}"
    if _deeper(_without_texts(grammar)):
        return f"is nested more than {DEEPEST} deep"
    if max(_repetitions(grammar), default=0) > MOST_REPETITIONS:
        return f"repeats a part more than {MOST_REPETITIONS:,} times"
    return None


def _repetitions(pattern: bytes) -> list[int]:
    # Digits beyond these are too many whatever they are, and slow to read.
    return [max(int(low[:9]), int(high[:9] or b"0")) for low, high in _REPEATED.findall(pattern)]


def _without_texts(json: bytes) -> bytes:
    """What stands outside of quotes, as far as brackets go."""
    if b"\\" not in json:
        # Without escapes all but quotes and brackets can go first, which leaves little to look at.
        json = json.translate(None, _NEITHER)
    return _TEXTS.sub(b"", json)


def _deeper(text: bytes) -> bool:
    """Whether brackets stand in each other too deeply; each round takes the innermost away."""
    brackets = text.translate(None, _NO_BRACKETS)
    if len(brackets) <= DEEPEST:
        return False
    for _ in range(DEEPEST):
        shorter = brackets
        for pair in _PAIRS:
            shorter = shorter.replace(pair, b"")
        if len(shorter) == len(brackets):
            # What is left has no partner: a parser meets as many open ones before it knows.
            return sum(shorter.count(pair[:1]) for pair in _PAIRS) > DEEPEST
        brackets = shorter
    return len(brackets) > 0
