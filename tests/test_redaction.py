"""What is taken out of text that leaves the box, and what stays readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.keys.secrets import make_secret
from hydra_box.redaction import GONE, Redactor, lines_of, secrets_of

KEY = "hb-" + "aB3_-" * 8 + "xyz"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"the key {KEY} was used", f"the key hb-{GONE} was used"),
        (f"Authorization: Bearer {KEY}", f"Authorization: Bearer hb-{GONE}"),
        ("authorization: bearer abc.def-123", f"authorization: bearer {GONE}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {GONE}"),
        ("HF_TOKEN=hf_AbCdEfGhIjKl", f'HF_TOKEN="{GONE}"'),
        ("using hf_AbCdEfGhIjKlMn for it", f"using hf_{GONE} for it"),
        ("sk-proj-AbCdEfGhIjKl is wrong", f"sk-{GONE} is wrong"),
        ('{"api_key": "any thing", "n": 1}', f'{{"api_key": "{GONE}", "n": 1}}'),
        ("--api-key secret --port 80", f"--api-key {GONE} --port 80"),
        ("--hf-token='se cret' -x", f"--hf-token={GONE} -x"),
        ("password: hunter22", f'password: "{GONE}"'),
        ("GET https://me:pw@hub.test/a?sig=1&x=2 200", f"GET https://{GONE}@hub.test/a?{GONE} 200"),
        ('"https://hub.test/a?sig=1"', f'"https://hub.test/a?{GONE}"'),
        ("prompt: 'tell me \\'all\\'', params: 3", f'prompt: "{GONE}", params: 3'),
        ('{"role": "user", "content": "a \\" b"}', f'{{"role": "user", "content": "{GONE}"}}'),
        ('{"prompt": "cut off in the mid', f'{{"prompt": "{GONE}"'),
    ],
)
def test_what_is_taken_out(text: str, expected: str) -> None:
    assert Redactor().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "slot 0: 128 prompt tokens, 12.5 tokens per second",
        "max_tokens=128 prompt_tokens: 7 completion_tokens: 9",
        "the instance hb-demo-0a1b2c3d is ready",
        "/tmp/hb-x1y2/home/run/instances/01234567/engine.sock",
        "https://hub.test/org/model/resolve/main/a.gguf 404",
        "llama_model_loader: - kv 3: tokenizer.ggml.model str = gpt2",
        "n_ctx_per_seq (2048) < n_ctx_train (131072)",
    ],
)
def test_what_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_private_key_goes_with_all_its_lines() -> None:
    pem = "-----BEGIN EC PRIVATE KEY-----\nMHcC\nAQEE\n-----END EC PRIVATE KEY-----"
    assert Redactor().text(f"before\n{pem}\nafter") == f"before\n{GONE}\nafter"
    assert Redactor().text(f"before\n{pem[:40]}") == f"before\n{GONE}"


def test_every_key_that_this_box_makes_is_one() -> None:
    for _ in range(500):
        secret = make_secret()
        assert secret[3:] not in Redactor().text(f"x {secret}, y")


def test_known_secrets_go_wherever_they_are() -> None:
    redactor = Redactor({"opensesame", "opensesame-longer", "abc", ""})
    assert redactor.text("/opensesame-longer/opensesame/abc") == f"/{GONE}/{GONE}/abc"


def test_values_of_fields_that_are_named_like_secrets() -> None:
    value = {
        "api_key": "x",
        "tls_key": "/etc/key.pem",
        "token": None,
        "max_tokens": 5,
        "inside": [{"hub_password": "pw"}, "Bearer abcdef"],
        "key_name": "laptop",
    }
    assert Redactor().value(value) == {
        "api_key": GONE,
        "tls_key": GONE,
        "token": None,
        "max_tokens": 5,
        "inside": [{"hub_password": GONE}, f"Bearer {GONE}"],
        "key_name": "laptop",
    }


def test_where_secrets_are_looked_for(tmp_path: Path) -> None:
    environ = {"HF_TOKEN": "one", "X_API_KEY": "two", "PATH": "/bin", "DB_PASSWORD": "three"}
    assert secrets_of(environ) == {"one", "two", "three"}
    (tmp_path / "a.key").write_text("four\n")
    (tmp_path / "b.txt").write_text("five")
    (tmp_path / "c.key").mkdir()
    assert lines_of(tmp_path, "*.key") == {"four"}
    assert lines_of(tmp_path / "missing", "*.key") == set()
