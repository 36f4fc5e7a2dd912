"""https by certificate and key: what is spoken, and what is said of files that do not work."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from functools import partial
from pathlib import Path

import httpx
import pytest

from hydra_box.client import Client
from hydra_box.config import Settings
from hydra_box.errors import ConfigError, DaemonUnreachable
from hydra_box.messages import DeployRequest
from hydra_box.tls import TlsFiles, find_tls_files, load_tls
from hydra_box.types import Scope
from tests.boxes import PROGRAM
from tests.conftest import StartBox
from tests.e2e.streams import chat
from tests.security.certificates import (
    NEEDS_OPENSSL,
    expired,
    make_certificate,
    with_passphrase,
)
from tests.security.raw import SECONDS

pytestmark = NEEDS_OPENSSL

get = partial(httpx.get, timeout=SECONDS)


def files(certificate: Path, key: Path) -> TlsFiles:
    return TlsFiles(certificate=certificate, key=key)


def test_a_good_pair_speaks_tls_1_2_and_newer(tmp_path: Path) -> None:
    context, warnings = load_tls(files(*make_certificate(tmp_path)))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert warnings == ()


def test_what_works_and_is_not_right_is_told(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    old = expired(certificate, key)
    key.chmod(0o644)
    _, warnings = load_tls(files(old, key))
    readable, over = warnings
    assert f"{key} can be read by other users (mode 0644); hint: chmod 600 {key}" == readable
    assert f"the certificate {old} has expired" in over
    assert "hydra-box restart" in over


def test_files_that_do_not_work_are_refused_with_what_to_do(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    _, other_key = make_certificate(tmp_path, "other")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    for pair, fact in (
        (files(tmp_path / "none.crt", key), "none.crt cannot be read: No such file"),
        (files(certificate, tmp_path), "cannot be read: Is a directory"),
        (files(certificate, other_key), "other.key is not the key of"),
        (files(certificate, with_passphrase(key)), "has a passphrase"),
        (files(nonsense, key), "are no usable certificate and key"),
        (files(key, certificate), "are no usable certificate and key"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_tls(pair)
        assert fact in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize("there", ["tls_certificate", "tls_key"])
def test_one_file_without_the_other_is_refused(there: str) -> None:
    with pytest.raises(ConfigError, match=f"{there} is set and tls_.* is not"):
        find_tls_files(Settings(**{there: "/etc/x.pem"}), {})  # type: ignore[arg-type]


def test_where_the_files_are(tmp_path: Path) -> None:
    unit = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_tls_files(Settings(), {}) is None
    assert find_tls_files(Settings(), unit) is None
    for name in ("tls-certificate", "tls-key"):
        (tmp_path / name).touch()
    assert find_tls_files(Settings(), unit) == files(
        tmp_path / "tls-certificate", tmp_path / "tls-key"
    )
    named = find_tls_files(Settings(tls_certificate="/c.pem", tls_key="/k.pem"), unit)
    assert named == files(Path("/c.pem"), Path("/k.pem"))


def test_a_box_over_https(
    start_box: StartBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path)
    box = start_box(tls_certificate=certificate, tls_key=key)
    assert box.url.startswith("https://127.0.0.1:")
    service = box.deploy(DeployRequest(model="demo", name="demo"))
    secret, admin = box.key("app", Scope.INFERENCE), box.key("admin", Scope.ADMIN)

    trusting = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(verify=trusting, timeout=SECONDS) as http:
        answer = http.post(
            f"{box.url}/v1/chat/completions",
            json=chat(service.access_name, max_tokens=4),
            headers={"Authorization": f"Bearer {secret}"},
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]

    # A client that does not know who signed it says so, and what helps.
    with Client(url=box.url, api_key=admin) as stranger:
        with pytest.raises(DaemonUnreachable) as caught:
            stranger.status()
        assert caught.value.message.endswith(" is not trusted here: self-signed certificate")
        assert "SSL_CERT_FILE" in (caught.value.hint or "")
    with Client(url=box.url.replace("https", "http"), api_key=admin) as plain:
        with pytest.raises(DaemonUnreachable) as caught:
            plain.status()
        assert caught.value.hint == f"if that box speaks https: --url {box.url}"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Client(url=box.url, api_key=admin) as client:
        assert client.status().url == box.url
    shown = subprocess.run(
        (PROGRAM, "--url", box.url, "--api-key", admin, "status", "--json"),
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shown.stdout)["url"] == box.url

    # Who speaks plain http to it is not answered in the clear, and older TLS not at all.
    with pytest.raises(httpx.TransportError):
        get(box.url.replace("https:", "http:") + "/healthz")
    old = ssl.create_default_context(cafile=str(certificate))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert get(f"{box.url}/healthz", verify=old).status_code == 200


def test_a_renewed_certificate_is_used_after_a_restart(start_box: StartBox, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    before = ssl.create_default_context(cafile=str(certificate))
    box = start_box(tls_certificate=certificate, tls_key=key)
    assert get(f"{box.url}/healthz", verify=before).status_code == 200
    box.stop()
    make_certificate(tmp_path)
    box = start_box(tls_certificate=certificate, tls_key=key)
    after = ssl.create_default_context(cafile=str(certificate))
    assert get(f"{box.url}/healthz", verify=after).status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        get(f"{box.url}/healthz", verify=before)


def test_serve_takes_the_files_as_options(tmp_path: Path) -> None:
    refused = subprocess.run(
        (PROGRAM, "serve", "--port", "0", "--tls-certificate", str(tmp_path / "none.crt")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "tls_certificate is set and tls_key is not" in refused.stderr
    assert "hint: https needs both files" in refused.stderr
