"""The SDKs, and short programs that call the shared box with them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.messages import DeployRequest
from tests.clients.sdks import Sdk, node_sdk, python_sdk
from tests.conftest import DemoBox

# The demo model knows no tools. With this template the engine offers them, and takes what comes
# after an @ for a call; a test can press for an @ with logit_bias.
TOOL_TEMPLATE = """
{{- bos_token }}
{%- for tool in tools %}{{ tool | tojson }}{% endfor %}
{%- for message in messages %}
  {{- '<|im_start|>' + message['role'] + '\\n' }}
  {%- if message['content'] is string %}{{ message['content'] }}{% endif %}
  {%- for call in message['tool_calls'] %}
    {{- '@{"name": "' + call['function']['name'] + '", "arguments": ' }}
    {{- (call['function']['arguments'] | tojson) + '}@' }}
  {%- endfor %}
  {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""

Call = Callable[..., Any]
"""``call(code, base="/v1", key=None, model=None)``: the JSON value that the code made.

A Python program sets ``result``; a Node.js program returns it. Both find ``client`` (Python 0.28:
``openai``), ``MODEL`` and ``failure``, which tells the class, status and text of what is raised.
"""

NEW_PYTHON = """
import json, os, openai
MODEL = os.environ["MODEL"]
client = openai.OpenAI(base_url=os.environ["BASE"], api_key=os.environ["KEY"], max_retries=0)
def failure(call):
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.message, error.code]
"""

OLD_PYTHON = """
import json, os, openai
MODEL = os.environ["MODEL"]
openai.api_base, openai.api_key = os.environ["BASE"], os.environ["KEY"]
def failure(call):
    try:
        call()
    except openai.error.OpenAIError as error:
        return [type(error).__name__, error.http_status, str(error), error.code]
"""

NODE = """
const OpenAI = require("openai");
const MODEL = process.env.MODEL;
const client = new OpenAI({
  baseURL: process.env.BASE, apiKey: process.env.KEY, maxRetries: 0,
});
async function failure(call) {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error.status, error.message, error.code];
  }
}
"""


def _python(prelude: str) -> Callable[[str], str]:
    return lambda code: f"{prelude}\n{code}\nprint(json.dumps(result))\n"


def _node(code: str) -> str:
    body = indent(code, "  ")
    return f"{NODE}\n(async () => {{\n{body}\n}})().then((r) => console.log(JSON.stringify(r)));\n"


def _caller(sdk: Sdk, program: Callable[[str], str], box: DemoBox, directory: Path) -> Call:
    def call(code: str, *, base: str = "/v1", key: str | None = None, model: str = "") -> Any:
        return json.loads(
            sdk.run(
                program(dedent(code)),
                directory,
                BASE=box.url + base,
                KEY=key or box.key,
                MODEL=model or box.service.access_name,
            )
        )

    return call


@pytest.fixture(scope="session")
def old_sdk() -> Sdk:
    return python_sdk("openai-0.28.1.txt")


@pytest.fixture(scope="session")
def new_sdk() -> Sdk:
    return python_sdk("openai-newest.txt")


@pytest.fixture(scope="session")
def javascript_sdk() -> Sdk:
    return node_sdk()


@pytest.fixture
def old(old_sdk: Sdk, box: DemoBox, tmp_path: Path) -> Call:
    return _caller(old_sdk, _python(OLD_PYTHON), box, tmp_path)


@pytest.fixture
def new(new_sdk: Sdk, box: DemoBox, tmp_path: Path) -> Call:
    return _caller(new_sdk, _python(NEW_PYTHON), box, tmp_path)


@pytest.fixture
def node(javascript_sdk: Sdk, box: DemoBox, tmp_path: Path) -> Call:
    return _caller(javascript_sdk, _node, box, tmp_path)


@pytest.fixture(params=["/v1", ""], ids=["v1", "bare"])
def base(request: pytest.FixtureRequest) -> str:
    """What stands behind the box's address: both forms are in use."""
    return str(request.param)


@pytest.fixture(scope="session")
def public_model(box: DemoBox) -> str:
    """The access name of a service that every key may call."""
    service = box.running.deploy(DeployRequest(model="demo", name="shared", public=True))
    return service.access_name


@pytest.fixture(scope="session")
def tool_model(box: DemoBox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The access name of a service whose engine can call tools."""
    path = tmp_path_factory.mktemp("tools") / "tools.gguf"
    rewrite = ("-m", "gguf.scripts.gguf_new_metadata", "--chat-template", TOOL_TEMPLATE)
    subprocess.run((sys.executable, *rewrite, DEMO_MODEL, path), capture_output=True, check=True)
    return box.running.deploy(DeployRequest(model=str(path), name="tools")).access_name
