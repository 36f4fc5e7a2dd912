"""The secrets of API keys, and how they come with a request.

A secret is ``hb-`` and 43 URL-safe characters, 256 random bits. So much chance needs no slow
hash: nobody guesses it, and each request can afford a SHA-256.
"""

from __future__ import annotations

import hashlib
import secrets

from hydra_box.errors import Unauthenticated

SECRET_PREFIX = "hb-"  # noqa: S105 - the part of a secret that is not secret
LONGEST_CREDENTIAL = 1024
"""Characters of an Authorization header; a longer one is refused before it is hashed."""

_SEND = "send the header 'Authorization: Bearer hb-...'"


def make_secret() -> str:
    """A new key: ``hb-`` and 43 URL-safe characters."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """SHA-256 of the whole key, in hex; any text has one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def mask_secret(secret: str) -> str:
    """What may be shown of a key: its first and last four characters."""
    return f"{secret[:4]}...{secret[-4:]}"


def read_bearer(authorization: str | None) -> str:
    """The secret in an Authorization header; it need not be a valid one.

    Raises:
        Unauthenticated: there is none, or the header is not ``Bearer`` and one word.

    """
    if not authorization:
        raise Unauthenticated("no API key: the Authorization header is missing", hint=_SEND)
    if len(authorization) > LONGEST_CREDENTIAL:
        raise Unauthenticated(
            f"the Authorization header has {len(authorization):,} characters, "
            f"more than {LONGEST_CREDENTIAL:,}",
            hint=_SEND,
        )
    match authorization.split():
        case []:
            raise Unauthenticated("no API key: the Authorization header is empty", hint=_SEND)
        case [scheme, secret] if scheme.lower() == "bearer":
            return secret
    raise Unauthenticated("the Authorization header is not 'Bearer' and a key", hint=_SEND)
