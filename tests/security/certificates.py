"""Real certificates, made by openssl for a test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NEEDS_OPENSSL = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed to make certificates with"
)


def make_certificate(directory: Path, name: str = "box") -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 that holds for a day, and its key, 0600."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    key.chmod(0o600)
    subject = ("-subj", "/CN=hydra-box-test", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("-key", str(key), "-out", str(certificate), "-days", "1")
    _openssl("req", "-x509", "-new", *made, *subject)
    return certificate, key


def expired(certificate: Path, key: Path) -> Path:
    """The same certificate, whose time was over yesterday."""
    old = certificate.with_suffix(".old")
    made = ("-signkey", str(key), "-days", "-1", "-out", str(old))
    _openssl("x509", "-in", str(certificate), *made)
    return old


def with_passphrase(key: Path) -> Path:
    """The same key behind a passphrase."""
    locked = key.with_suffix(".locked")
    _openssl("ec", "-in", str(key), "-out", str(locked), "-aes256", "-passout", "pass:secret")
    locked.chmod(0o600)
    return locked


def _openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True)
