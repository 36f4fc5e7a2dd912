"""The hosted product's own code samples run against a box: address, key and model changed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.samples import REFERENCE, adapted, samples
from tests.clients.sdks import Sdk
from tests.conftest import DemoBox

pytestmark = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason=f"the reference documents are not at {REFERENCE}"
)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(box: DemoBox) -> None:
    model = box.service.access_name
    [sample] = samples("model-deployment.md", "shell", "curl")
    command = adapted(sample, url=box.url, key=box.key, model=model)
    done = subprocess.run(
        ("bash", "-c", command), capture_output=True, text=True, timeout=60, check=True
    )
    reply = json.loads(done.stdout)
    assert reply["object"] == "chat.completion"
    assert reply["model"] == model
    assert reply["id"]
    assert reply["created"] > 1_700_000_000
    [choice] = reply["choices"]
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert "test" in choice["message"]["content"].lower()
    usage = reply["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_python_chat(box: DemoBox, new_sdk: Sdk, tmp_path: Path) -> None:
    [sample] = samples("model-deployment.md", "python", "OpenAI(")
    program = adapted(sample, url=box.url, key=box.key, model=box.service.access_name)
    assert "test" in new_sdk.run(program, tmp_path).lower()


def test_node_chat(box: DemoBox, javascript_sdk: Sdk, tmp_path: Path) -> None:
    [sample] = samples("model-deployment.md", "js", "require('openai')")
    program = adapted(sample, url=box.url, key=box.key, model=box.service.access_name)
    assert len(javascript_sdk.run(program, tmp_path).split()) > 1


@pytest.mark.parametrize("hosting", ["public", "dedicated"])
def test_python_completion(
    box: DemoBox, public_model: str, old_sdk: Sdk, tmp_path: Path, hosting: str
) -> None:
    public, dedicated = samples("model-invocation.md", "python", "openai.Completion.create")
    sample, model = {
        "public": (public, public_model),
        "dedicated": (dedicated, box.service.access_name),
    }[hosting]
    program = adapted(sample, url=box.url, key=box.key, model=model)
    assert "hydra" in old_sdk.run(program, tmp_path).lower()
