"""TLS by certificate and key: from the files that an owner names to what a server speaks.

The files are read when the daemon starts, so a renewed certificate is taken up by the next
``hydra-box restart``, which hands the open sockets over.
"""

from __future__ import annotations

import logging
import re
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path

from hydra_box.config import Settings
from hydra_box.errors import ConfigError
from hydra_box.types import Frozen

log = logging.getLogger(__name__)

_EXPIRED = 10
_NOT_YET_VALID = 9
"""OpenSSL's ``X509_V_ERR_CERT_HAS_EXPIRED`` and ``X509_V_ERR_CERT_NOT_YET_VALID``."""

_PLACE_IN_OPENSSL = re.compile(r"^\[\w+\] | \(_ssl\.c:\d+\)$")
"""What stands around OpenSSL's words: its part, and the line of Python's module."""


class TlsFiles(Frozen, frozen=True, kw_only=True):
    """Where the certificate and its key are."""

    certificate: Path
    key: Path


def find_tls_files(settings: Settings, environ: Mapping[str, str]) -> TlsFiles | None:
    """The files that the settings name, or else a unit's credentials; None: plain http.

    ``LoadCredential=`` of the unit lends them as ``tls-certificate`` and ``tls-key``.

    Raises:
        ConfigError: one is named without the other, or the credentials cannot be looked at.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if bool(certificate) != bool(key):
        there, missing = "tls_certificate", "tls_key"
        if key:
            there, missing = missing, there
        raise ConfigError(f"{there} is set and {missing} is not", hint="https needs both files")
    if certificate:
        return TlsFiles(certificate=Path(certificate), key=Path(key))
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        lent = TlsFiles(
            certificate=Path(directory, "tls-certificate"), key=Path(directory, "tls-key")
        )
        if has_credential(lent.certificate) and has_credential(lent.key):
            return lent
    return None


def has_credential(file: Path) -> bool:
    """Whether the service manager has lent a file.

    Raises:
        ConfigError: this user may not look into $CREDENTIALS_DIRECTORY.
    """
    try:
        return file.is_file()
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be looked at: {error.strerror}",
            hint="$CREDENTIALS_DIRECTORY is set by systemd for a unit's own process; unset it",
        ) from error


def open_tls(settings: Settings, environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """What the server speaks; what is wrong with the files although they work is in the log.

    Raises:
        ConfigError: as ``find_tls_files`` and ``load_tls`` do.
    """
    files = find_tls_files(settings, environ)
    if files is None:
        return None
    context, warnings = load_tls(files)
    for warning in warnings:
        log.warning("%s", warning)
    return context


def load_tls(files: TlsFiles) -> tuple[ssl.SSLContext, tuple[str, ...]]:
    """What a server speaks with these files, and what is wrong with them although they work.

    Raises:
        ConfigError: a file is missing, unreadable or not PEM, or they do not belong together.
    """
    for path in (files.certificate, files.key):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    asked = False

    def passphrase() -> str:
        # OpenSSL would ask the terminal, which a daemon does not have.
        nonlocal asked
        asked = True
        return ""

    try:
        context.load_cert_chain(files.certificate, files.key, password=passphrase)
    except ssl.SSLError as error:
        if asked:
            raise ConfigError(
                f"{files.key} has a passphrase",
                hint="openssl pkey -in KEY -out PLAIN takes it away",
            ) from error
        raise _unusable(files, error) from error
    return context, tuple(_warnings(files, context))


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}",
            hint="tls_certificate and tls_key name PEM files that this user may read",
        ) from error


def _unusable(files: TlsFiles, error: ssl.SSLError) -> ConfigError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return ConfigError(
            f"{files.key} is not the key of {files.certificate}",
            hint="name the two files that were issued together",
        )
    why = error.reason or _PLACE_IN_OPENSSL.sub("", str(error))
    why = why.replace("_", " ").lower()
    return ConfigError(
        f"{files.certificate} and {files.key} are no usable certificate and key: {why}",
        hint="both are PEM files; the certificate comes first in its file, then its chain",
    )


def _warnings(files: TlsFiles, context: ssl.SSLContext) -> list[str]:
    found = []
    if files.key.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        mode = stat.S_IMODE(files.key.stat().st_mode)
        found.append(
            f"{files.key} can be read by other users (mode {mode:04o}); hint: chmod 600 {files.key}"
        )
    if fault := validity_fault(files.certificate, context):
        found.append(fault)
    return found


def validity_fault(certificate: Path, context: ssl.SSLContext) -> str | None:
    """What is wrong with the time for which a certificate holds; None: it holds now.

    A handshake in memory with a client that trusts this very certificate says it: the standard
    library reads no date from a certificate that it only serves.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(certificate)
    try:
        _shake_hands(client, context)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
            words = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
            return (
                f"the certificate {certificate} {words}, so clients refuse it; "
                "hint: renew it, then run hydra-box restart"
            )
    return None


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(to_client, to_server)
    answers = server.wrap_bio(to_server, to_client, server_side=True)
    for one in (asks, answers, asks):
        try:
            one.do_handshake()
        except ssl.SSLWantReadError:
            continue
