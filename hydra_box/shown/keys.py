"""What a key may use, in words."""

from __future__ import annotations

from hydra_box.messages import KeyView
from hydra_box.shown.numbers import count
from hydra_box.types import QuotaPeriod, TokenQuota


def quota(of: TokenQuota) -> str:
    """``1,000 tokens a day``, ``1,000 tokens in all``."""
    span = "in all" if of.period is QuotaPeriod.TOTAL else f"a {of.period}"
    return f"{count(of.tokens, 'token')} {span}"


def quota_and_use(key: KeyView) -> str:
    """``1,000 tokens a day (250 used)``; empty: it has no quota."""
    if key.quota is None:
        return ""
    used = key.quota_used_tokens
    return quota(key.quota) if used is None else f"{quota(key.quota)} ({used:,} used)"
