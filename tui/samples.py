"""Calls of a service to paste: the samples of its page, with the real address and name."""

from __future__ import annotations

import json
from typing import Final

from hydra_box.types import Frozen

PLACEHOLDER: Final = "<Your API Key here>"
"""What stands for the key: the box does not have it any more."""


class Sample(Frozen, frozen=True, kw_only=True):
    """One call in one language."""

    key: str
    """What to press to copy it."""
    title: str
    text: str


def samples(url: str, access_name: str) -> tuple[Sample, ...]:
    """curl, Python and Node.js; ``url`` is the endpoint without a path."""
    return (
        Sample(key="c", title="curl", text=_curl(url, access_name)),
        Sample(key="p", title="Python", text=_python(url, access_name)),
        Sample(key="n", title="Node.js", text=_node(url, access_name)),
    )


def _curl(url: str, access_name: str) -> str:
    return f"""\
curl '{url}/v1/chat/completions' \\
  -H "Content-Type: application/json" \\
  -H "Authorization: Bearer {PLACEHOLDER}" \\
  -d '{{
    "model": {json.dumps(access_name)},
    "messages": [{{"role": "user", "content": "Say this is a test!"}}],
    "temperature": 0.7
  }}'
"""


def _python(url: str, access_name: str) -> str:
    return f"""\
# Compatible with OpenAI Python library v1.0.0 and above

from openai import OpenAI

client = OpenAI(
    base_url="{url}/v1/",
    api_key="{PLACEHOLDER}"
)

messages = [
    {{"role": "user", "content": "hello!"}},
    {{"role": "user", "content": "Say this is test?"}}
]

response = client.chat.completions.create(
    model={json.dumps(access_name)},
    messages=messages
)

content = response.choices[0].message.content

print(content)
"""


def _node(url: str, access_name: str) -> str:
    return f"""\
const OpenAI = require('openai');

const openai = new OpenAI({{
  baseURL: '{url}/v1',
  apiKey: '{PLACEHOLDER}',
}});

async function getData() {{
  try {{
    const chatCompletion = await openai.chat.completions.create({{
      model: {json.dumps(access_name)},
      messages: [
        {{ role: 'user', content: 'hello!' }},
        {{ role: 'user', content: 'how are you?' }},
      ],
    }});

    console.log(chatCompletion.choices[0].message.content);
  }} catch (error) {{
    if (error instanceof OpenAI.APIError) {{
      console.error('API Error:', error.status, error.message);
      console.error('Error details:', error.error);
    }} else {{
      console.error('Unexpected error:', error);
    }}
  }}
}}

getData();
"""
