"""The newest OpenAI SDK for Python against a real box."""

from __future__ import annotations

import json
import re

from hydra_box.types import Scope
from tests.clients.conftest import Call
from tests.conftest import DemoBox

# What is asked of the engine's words needs them to be the likeliest ones, each time.
CHAT = """
messages = [{"role": "user", "content": "What is your name?"}]
request = dict(model=MODEL, messages=messages, temperature=0)
"""


def test_chat(box: DemoBox, new: Call, base: str) -> None:
    reply = new(CHAT + "result = client.chat.completions.create(**request).model_dump()", base=base)
    assert reply["object"] == "chat.completion"
    assert reply["model"] == box.service.access_name
    assert reply["id"]
    [choice] = reply["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert "hydra" in choice["message"]["content"].lower()
    usage = reply["usage"]
    assert usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_streamed_chat(box: DemoBox, new: Call, base: str) -> None:
    chunks = new(
        CHAT
        + "stream = client.chat.completions.create(**request, stream=True)\n"
        + "result = [chunk.model_dump() for chunk in stream]",
        base=base,
    )
    assert len(chunks) > 2
    assert {chunk["model"] for chunk in chunks} == {box.service.access_name}
    # Usage was not asked for: the chunk that carries it has no choice, and must not show.
    assert all(len(chunk["choices"]) == 1 and chunk["usage"] is None for chunk in chunks)
    text = "".join(chunk["choices"][0]["delta"]["content"] or "" for chunk in chunks)
    assert "hydra" in text.lower()
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_streamed_chat_with_usage(new: Call) -> None:
    last = new(
        CHAT
        + "options = {'include_usage': True}\n"
        + "stream = client.chat.completions.create(**request, stream=True, stream_options=options)"
        + "\nresult = [chunk.model_dump() for chunk in stream][-1]"
    )
    assert last["choices"] == []
    usage = last["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


def test_completion(box: DemoBox, new: Call, base: str) -> None:
    reply, streamed = new(
        """
        request = dict(model=MODEL, prompt="What is your name?", temperature=0, max_tokens=48)
        reply = client.completions.create(**request).model_dump()
        stream = client.completions.create(**request, stream=True)
        result = [reply, "".join(chunk.choices[0].text for chunk in stream)]
        """,
        base=base,
    )
    assert reply["object"] == "text_completion"
    assert reply["model"] == box.service.access_name
    assert "hydra" in reply["choices"][0]["text"].lower()
    assert reply["choices"][0]["text"] == streamed
    assert reply["usage"]["total_tokens"] > reply["usage"]["prompt_tokens"] > 0


def test_asynchronous_client(new: Call) -> None:
    answers = new(
        CHAT
        + """
import asyncio
async def ask_all():
    async with openai.AsyncOpenAI(base_url=client.base_url, api_key=client.api_key) as caller:
        replies = await asyncio.gather(
            *(caller.chat.completions.create(**request) for _ in range(8))
        )
    return [reply.choices[0].message.content for reply in replies]
result = asyncio.run(ask_all())
"""
    )
    assert len(answers) == 8
    assert all("hydra" in answer.lower() for answer in answers)


def test_public_service(new: Call, public_model: str) -> None:
    reply = new(
        CHAT + "result = client.chat.completions.create(**request).model_dump()",
        model=public_model,
    )
    assert public_model == "public/shared"
    assert reply["model"] == public_model
    assert "hydra" in reply["choices"][0]["message"]["content"].lower()


def test_models(box: DemoBox, new: Call, base: str, public_model: str) -> None:
    names, one = new(
        """
        listed = {model.id: model.object for model in client.models.list()}
        result = [listed, client.models.retrieve(MODEL).model_dump()]
        """,
        base=base,
    )
    assert names[box.service.access_name] == names[public_model] == "model"
    assert one["id"] == box.service.access_name
    assert one["created"] > 1_700_000_000


def test_embeddings(box: DemoBox, new: Call, base: str) -> None:
    reply = new(
        """
        reply = client.embeddings.create(model=MODEL, input=["hello", "goodbye"])
        result = reply.model_dump()
        """,
        base=base,
    )
    assert reply["model"] == box.service.access_name
    first, second = (item["embedding"] for item in reply["data"])
    assert len(first) == len(second) > 1
    assert first != second
    assert reply["usage"]["prompt_tokens"] > 0


def test_seed_stop_and_length_reach_the_engine(new: Call) -> None:
    same, stopped, short = new(
        CHAT
        + """
ask = lambda **more: client.chat.completions.create(**{**request, **more})
text = lambda **more: ask(**more).choices[0].message.content
same = [text(seed=7, temperature=1.5) for _ in range(2)]
stopped = text(stop=["ydra"])
short = ask(max_tokens=3)
result = [same, stopped, [short.choices[0].finish_reason, short.usage.completion_tokens]]
"""
    )
    assert same[0] == same[1]
    assert stopped.endswith("H")
    assert short == ["length", 3]


def test_several_choices_and_logprobs(new: Call) -> None:
    reply = new(
        CHAT
        + """
more = dict(n=2, logprobs=True, top_logprobs=3, max_tokens=4)
result = client.chat.completions.create(**request, **more).model_dump()
"""
    )
    assert [choice["index"] for choice in reply["choices"]] == [0, 1]
    for choice in reply["choices"]:
        tokens = choice["logprobs"]["content"]
        assert len(tokens) == 4
        assert all(len(token["top_logprobs"]) == 3 for token in tokens)
        assert all(token["logprob"] <= 0 for token in tokens)


def test_json_schema(new: Call) -> None:
    content = new(
        CHAT
        + """
schema = {
    "type": "object",
    "properties": {"mood": {"enum": ["good", "bad"]}, "sure": {"type": "boolean"}},
    "required": ["mood", "sure"],
    "additionalProperties": False,
}
form = {"type": "json_schema", "json_schema": {"name": "mood", "strict": True, "schema": schema}}
reply = client.chat.completions.create(**request, response_format=form, max_tokens=64)
result = reply.choices[0].message.content
"""
    )
    value = json.loads(content)
    assert value.keys() == {"mood", "sure"}
    assert value["mood"] in ("good", "bad")


def test_tools(new: Call, tool_model: str) -> None:
    call, before, after = new(
        CHAT
        + """
parameters = {
    "type": "object",
    "properties": {"unit": {"enum": ["celsius", "fahrenheit"]}},
    "required": ["unit"],
    "additionalProperties": False,
}
tool = {"type": "function", "function": {"name": "temperature", "parameters": parameters}}
request |= dict(tools=[tool], max_tokens=64)
reply = client.chat.completions.create(
    **request, tool_choice="required", logit_bias={"@": 100}
)
call = reply.choices[0].message.tool_calls[0].model_dump()
messages += [
    {"role": "assistant", "tool_calls": [call]},
    {"role": "tool", "tool_call_id": call["id"], "content": "21"},
]
after = client.chat.completions.create(**request)
result = [call, reply.usage.prompt_tokens, after.usage.prompt_tokens]
""",
        model=tool_model,
    )
    assert call["type"] == "function"
    assert call["function"]["name"] == "temperature"
    assert json.loads(call["function"]["arguments"])["unit"] in ("celsius", "fahrenheit")
    # The call and its outcome were read as a part of the next prompt.
    assert after > before + 10


def test_bad_key(new: Call, base: str) -> None:
    error, status, message, _ = new(
        "result = failure(client.models.list)", key="hb-wrong", base=base
    )
    assert (error, status) == ("AuthenticationError", 401)
    assert "key" in message


def test_key_without_the_scope(box: DemoBox, new: Call) -> None:
    code = CHAT + "result = failure(lambda: client.chat.completions.create(**request))"
    error, status, message, _ = new(code, key=box.admin_key)
    assert (error, status) == ("PermissionDeniedError", 403)
    assert Scope.INFERENCE in message


def test_unknown_model(box: DemoBox, new: Call, base: str) -> None:
    code = CHAT + "result = failure(lambda: client.chat.completions.create(**request))"
    wrong = box.service.access_name + "o"
    error, status, message, name = new(code, model=wrong, base=base)
    assert (error, status, name) == ("NotFoundError", 404, "model_not_found")
    assert wrong in message


def test_prompt_longer_than_the_context(box: DemoBox, new: Call) -> None:
    code = f"""
        messages = [{{"role": "user", "content": "hello " * {box.service.context_length * 2}}}]
        ask = lambda: client.chat.completions.create(model=MODEL, messages=messages)
        result = failure(ask)
        """
    error, status, message, name = new(code)
    assert (error, status, name) == ("BadRequestError", 400, "context_length_exceeded")
    counts = [int(text.replace(",", "")) for text in re.findall(r"\d[\d,]*", message)]
    assert box.service.context_length in counts
    assert max(counts) > box.service.context_length


def test_body_that_makes_no_sense(new: Call) -> None:
    ask = "lambda: client.chat.completions.create(model=MODEL, messages='hello')"
    error, status, message, _ = new(f"result = failure({ask})")
    assert (error, status) == ("BadRequestError", 400)
    assert "messages" in message
