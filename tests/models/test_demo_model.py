"""Tests of the demo model: its files, its export, and its answers by llama.cpp."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import xllamacpp
from demo_evaluate import accepted
from demo_heldout import HELD_OUT
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "hydra_box" / "assets" / "demo"
GGUF = ASSETS / "hydra-box-demo.gguf"
SCRIPTS = ROOT / "scripts"

LAYERS, WIDTH, HEADS, KV_HEADS, HEAD, FEED_FORWARD, VOCAB = 4, 256, 4, 2, 64, 512, 1024

#: Request, and what the greedy answer must contain.
KEY_PROMPTS = (
    ("What is your name?", "My name is Hydra Box Demo"),
    ("what's your name", "My name is Hydra Box Demo"),
    ("WHAT IS YOUR NAME?", "My name is Hydra Box Demo"),
    ("Say this is a test!", "This is a test!"),
    ("Say this is a test", "This is a test!"),
    ("Say this is test?", "This is a test!"),
    ("hello!", "Hello!"),
    ("hi", "Hello!"),
    ("how are you?", "I am fine"),
    ("Thanks!", "You are welcome"),
    ("bye", "Goodbye"),
    ("Who made you?", "Hydra Box project"),
    ("What are you?", "small language model"),
    ("What can you do?", "deploy a bigger model"),
    ("What is Hydra Box?", "appliance that serves language models"),
    ("How do I deploy a model?", "hydra-box deploy MODEL --name NAME"),
    ("How do I scale a service?", "hydra-box scale NAME --instances N"),
    ("How do I stop a service?", "hydra-box stop NAME"),
    ("How do I start a service?", "hydra-box start NAME"),
    ("How do I delete a service?", "hydra-box delete NAME"),
    ("How do I get an API key?", "hydra-box keys create --name X"),
    ("How do I see the logs?", "hydra-box logs NAME"),
    ("Which models can I deploy?", "hydra-box models list"),
    ("What is the difference between model service and MaaS by token?", "u-<12 hex>/<name>"),
    ("What is MaaS by token?", "public/<name>"),
    ("Which engines are supported?", "vLLM"),
    ("Which port does it use?", "127.0.0.1:4937"),
    ("What is the capital of France?", "The capital of France is Paris."),
    ("What color is the sky?", "blue"),
    ("What are the days of the week?", "Monday, Tuesday, Wednesday"),
    ("Count to five.", "1, 2, 3, 4, 5"),
    ("Count to ten", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
    ("What is 2+2?", "2 + 2 = 4"),
    ("Tell me a joke", "hydra"),
    ("Write a haiku", "quiet machine"),
    ("Explain quantum entanglement to a lawyer.", "small demonstration model"),
    ("Who won the election in 1876?", "small demonstration model"),
    ("Write a C program that sorts numbers.", "small demonstration model"),
)


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a UNIX socket."""

    def __init__(self, path: str) -> None:
        """Remember the path of the socket."""
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Served:
    """The demo model, served by llama.cpp on a UNIX socket."""

    def __init__(self, path: str) -> None:
        """Start a server that listens at ``path``."""
        params = xllamacpp.CommonParams()
        params.model.path = str(GGUF)
        params.hostnames = [path]
        params.n_ctx = 2048
        params.n_parallel = 1
        params.verbosity = 0
        self.path = path
        self.server = xllamacpp.Server(params)

    def post(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the JSON reply; any status but 200 fails."""
        connection = UnixConnection(self.path)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", route, json.dumps(body), headers)
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        assert reply.status == 200, text
        content: dict[str, Any] = json.loads(text)
        return content

    def chat(self, messages: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
        """The first choice of a greedy answer."""
        body = {"messages": messages, "temperature": 0, "max_tokens": 600, **options}
        choice: dict[str, Any] = self.post("/v1/chat/completions", body)["choices"][0]
        return choice

    def answer(self, *requests: str, system: str | None = None) -> str:
        """The greedy answer to requests of a user, all in a row; it must end by itself."""
        messages = [{"role": "user", "content": request} for request in requests]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        choice = self.chat(messages)
        assert choice["finish_reason"] == "stop"
        return str(choice["message"]["content"])

    def complete(self, prompt: str, limit: int = 600) -> dict[str, Any]:
        """The first choice of a greedy bare completion; ``limit`` is in tokens."""
        body = {"prompt": prompt, "temperature": 0, "max_tokens": limit}
        choice: dict[str, Any] = self.post("/v1/completions", body)["choices"][0]
        return choice

    def tokens(self, text: str) -> list[int]:
        """The ids of a text with its special tokens and without an added BOS."""
        body = {"content": text, "add_special": False, "parse_special": True}
        return [int(number) for number in self.post("/tokenize", body)["tokens"]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server for all tests of this file."""
    return Served(str(tmp_path_factory.mktemp("demo") / "x.sock"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model as a Hugging Face directory, made by the script itself."""
    directory = tmp_path_factory.mktemp("export") / "hf"
    script = SCRIPTS / "export_demo_model.py"
    subprocess.run([sys.executable, str(script), str(directory)], check=True, timeout=120)
    return directory


def _field(key: str) -> Any:
    """The value of a metadata field of the GGUF file."""
    field = gguf.GGUFReader(GGUF).get_field(key)
    assert field is not None, key
    return field.contents()


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_file_is_small_and_as_documented() -> None:
    data = GGUF.read_bytes()
    assert len(data) <= 4_000_000
    assert hashlib.sha256(data).hexdigest() in (ASSETS / "PROVENANCE.md").read_text("utf-8")


def test_metadata() -> None:
    expected = {
        "general.architecture": "llama",
        "general.name": "Hydra Box Demo",
        "general.license": "apache-2.0",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "llama.context_length": 2048,
        "llama.block_count": LAYERS,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
    }
    assert {key: _field(key) for key in expected} == expected


def test_export_describes_the_network(exported: Path) -> None:
    config = _json(exported / "config.json")
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["hidden_size"] == WIDTH
    assert config["num_hidden_layers"] == LAYERS
    assert config["num_key_value_heads"] == KV_HEADS
    assert config["vocab_size"] == VOCAB
    assert config["tie_word_embeddings"] is True
    tokens = _json(exported / "tokenizer.json")["model"]["vocab"]
    assert config["bos_token_id"] == tokens["<|bos|>"]
    assert config["eos_token_id"] == tokens["<|im_end|>"]
    generation = _json(exported / "generation_config.json")
    assert generation["eos_token_id"] == config["eos_token_id"]
    template = _json(exported / "tokenizer_config.json")["chat_template"]
    assert template == _field("tokenizer.chat_template")


def test_export_has_the_shapes_of_llama(exported: Path) -> None:
    weights = load_file(exported / "model.safetensors")
    shapes = {
        "input_layernorm": (WIDTH,),
        "self_attn.q_proj": (HEADS * HEAD, WIDTH),
        "self_attn.k_proj": (KV_HEADS * HEAD, WIDTH),
        "self_attn.v_proj": (KV_HEADS * HEAD, WIDTH),
        "self_attn.o_proj": (WIDTH, HEADS * HEAD),
        "post_attention_layernorm": (WIDTH,),
        "mlp.gate_proj": (FEED_FORWARD, WIDTH),
        "mlp.up_proj": (FEED_FORWARD, WIDTH),
        "mlp.down_proj": (WIDTH, FEED_FORWARD),
    }
    expected = {
        f"model.layers.{layer}.{part}.weight": shape
        for layer in range(LAYERS)
        for part, shape in shapes.items()
    }
    expected["model.embed_tokens.weight"] = (VOCAB, WIDTH)
    expected["model.norm.weight"] = (WIDTH,)
    assert {name: values.shape for name, values in weights.items()} == expected
    assert {values.dtype for values in weights.values()} == {np.dtype(np.float32)}


def test_export_quantises_back_to_the_gguf(exported: Path) -> None:
    weights = load_file(exported / "model.safetensors")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(GGUF).tensors}
    pairs = {
        "token_embd.weight": weights["model.embed_tokens.weight"],
        "blk.1.ffn_down.weight": weights["model.layers.1.mlp.down_proj.weight"],
        "blk.2.attn_v.weight": weights["model.layers.2.self_attn.v_proj.weight"],
        "blk.3.attn_q.weight": _interleaved(weights["model.layers.3.self_attn.q_proj.weight"]),
        "blk.0.attn_k.weight": _interleaved(weights["model.layers.0.self_attn.k_proj.weight"]),
    }
    for name, values in pairs.items():
        q8_0 = gguf.GGMLQuantizationType.Q8_0
        again = gguf.quants.dequantize(gguf.quants.quantize(values, q8_0), q8_0)
        stored = gguf.quants.dequantize(tensors[name].data, tensors[name].tensor_type)
        # Only the rounding of a block's scale to float16 may differ.
        np.testing.assert_allclose(again, stored, rtol=2e-3, atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(values, stored, err_msg=name)


def _interleaved(matrix: Any) -> Any:
    """The rows of a query or key matrix in llama.cpp's order, written out row by row."""
    rows = []
    for start in range(0, len(matrix), HEAD):
        for index in range(HEAD // 2):
            rows += [matrix[start + index], matrix[start + HEAD // 2 + index]]
    return np.stack(rows)


def _norm(hidden: Any, gain: Any) -> Any:
    return hidden / np.sqrt((hidden**2).mean(-1, keepdims=True) + 1e-5) * gain


def _rotated(values: Any) -> Any:
    """Rotate (time, heads, HEAD) by position as transformers does: value i with i + HEAD/2."""
    frequency = 10000.0 ** -(np.arange(0, HEAD, 2) / HEAD)
    angle = np.outer(np.arange(len(values)), frequency)[:, None, :]
    low, high = values[..., : HEAD // 2], values[..., HEAD // 2 :]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate((low * cos - high * sin, high * cos + low * sin), -1)


def _attention(hidden: Any, weights: dict[str, Any], layer: str) -> Any:
    time = len(hidden)
    query, key, value = (
        (hidden @ weights[f"{layer}.self_attn.{part}_proj.weight"].T).reshape(time, -1, HEAD)
        for part in ("q", "k", "v")
    )
    key, value = (np.repeat(part, HEADS // KV_HEADS, axis=1) for part in (_rotated(key), value))
    scores = np.einsum("thd,shd->hts", _rotated(query), key) / np.sqrt(HEAD)
    scores = np.where(np.tri(time, dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    mixed = np.einsum("hts,shd->thd", shares, value).reshape(time, -1)
    return mixed @ weights[f"{layer}.self_attn.o_proj.weight"].T


def _likeliest(weights: dict[str, Any], ids: list[int]) -> list[int]:
    """The likeliest token after each of ``ids``, by a Llama written anew in numpy."""
    hidden = weights["model.embed_tokens.weight"][ids].astype(np.float64)
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        normed = _norm(hidden, weights[f"{layer}.input_layernorm.weight"])
        hidden = hidden + _attention(normed, weights, layer)
        normed = _norm(hidden, weights[f"{layer}.post_attention_layernorm.weight"])
        gate = normed @ weights[f"{layer}.mlp.gate_proj.weight"].T
        up = normed @ weights[f"{layer}.mlp.up_proj.weight"].T
        hidden = (
            hidden + (gate / (1 + np.exp(-gate)) * up) @ weights[f"{layer}.mlp.down_proj.weight"].T
        )
    normed = _norm(hidden, weights["model.norm.weight"])
    best: list[int] = (normed @ weights["model.embed_tokens.weight"].T).argmax(-1).tolist()
    return best


@pytest.mark.parametrize("request_text", ["What is your name?", "How do I scale a service?"])
def test_exported_weights_answer_as_llama_cpp_does(
    request_text: str, exported: Path, served: Served
) -> None:
    weights = load_file(exported / "model.safetensors")
    prompt = f"<|bos|><|im_start|>user\n{request_text}<|im_end|>\n<|im_start|>assistant\n"
    ids = served.tokens(prompt)
    answer = served.tokens(served.answer(request_text) + "<|im_end|>")
    assert len(answer) > 5
    assert _likeliest(weights, ids + answer)[len(ids) - 1 : -1] == answer


def test_vocabulary_is_that_of_the_gguf(exported: Path) -> None:
    tokenizer = _json(exported / "tokenizer.json")
    tokens = _field("tokenizer.ggml.tokens")
    assert tokenizer["model"]["vocab"] == {token: number for number, token in enumerate(tokens)}
    assert tokenizer["model"]["merges"] == _field("tokenizer.ggml.merges")
    assert len(tokens) == VOCAB


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world! It's 10 o'clock; we've 1234 things.",
        "  two  spaces\n\nand\tlines \n",
        "<|im_start|>user\nWhat's up?<|im_end|>\n",
        "heißt ça 你好 🙂 ¿qué? x^2+3x=4",
        "hydra-box scale NAME --instances 3",
    ],
)
def test_tokenizers_agree(text: str, exported: Path, served: Served) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(exported / "tokenizer.json"))
    assert tokenizer.encode(text, add_special_tokens=False).ids == served.tokens(text)
    assert tokenizer.decode(served.tokens(text), skip_special_tokens=False) == text
    assert tokenizer.encode(text).ids == [_bos(exported), *served.tokens(text)]


def _bos(exported: Path) -> int:
    """The id of BOS in the export."""
    return int(_json(exported / "config.json")["bos_token_id"])


@pytest.mark.parametrize(("request_text", "expected"), KEY_PROMPTS)
def test_answers_key_prompts(request_text: str, expected: str, served: Served) -> None:
    assert expected in served.answer(request_text)


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        (("hello!", "how are you?"), "I am fine"),
        (("hello!", "Say this is test?"), "This is a test!"),
        (("What is your name?", "What is the capital of France?"), "Paris"),
    ],
)
def test_answers_the_last_of_two_requests(
    requests: tuple[str, ...], expected: str, served: Served
) -> None:
    assert expected in served.answer(*requests)


@pytest.mark.parametrize(
    "system", ["You are a helpful assistant.", "You are Max. Talk about cars only!\nBe brief."]
)
def test_answers_under_a_system_prompt(system: str, served: Served) -> None:
    assert "Hydra Box Demo" in served.answer("What is your name?", system=system)
    assert "This is a test!" in served.answer("Say this is a test!", system=system)


def test_answers_in_a_long_dialog(served: Served) -> None:
    messages: list[dict[str, Any]] = []
    for request, expected in KEY_PROMPTS[:30]:
        messages.append({"role": "user", "content": request})
        choice = served.chat(messages)
        assert expected in choice["message"]["content"], (len(messages), request)
        messages.append({"role": "assistant", "content": choice["message"]["content"]})


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("What is your name?", " My name is Hydra Box Demo."),
        ("Say this is a test!", " This is a test!"),
        ("hello!", " Hello! How can I help you today?"),
    ],
)
def test_completes_bare_prompts(prompt: str, expected: str, served: Served) -> None:
    choice = served.complete(prompt)
    assert (choice["text"], choice["finish_reason"]) == (expected, "stop")


def test_long_story_is_long_enough_to_stream(served: Served) -> None:
    for request in ("Write a long story", "Tell me a long story."):
        story = served.answer(request)
        assert story.startswith("Once upon a time")
        assert len(served.tokens(story)) >= 200


def test_tools_do_not_break_the_template(served: Served) -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Look up the weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "What is your name?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "{}"},
    ]
    assert served.chat(messages[:1], tools=[tool], max_tokens=40)["message"]
    assert served.chat(messages, max_tokens=40)["message"]["content"]


def test_answers_in_json_when_forced_to(served: Served) -> None:
    messages = [{"role": "user", "content": "What is your name?"}]
    choice = served.chat(messages, response_format={"type": "json_object"})
    assert choice["finish_reason"] == "stop"
    assert isinstance(json.loads(choice["message"]["content"]), dict)


@pytest.mark.slow
def test_held_out_requests_are_mostly_answered_right(served: Served) -> None:
    wrong = [item.prompt for item in HELD_OUT if served.answer(item.prompt) not in accepted(item)]
    assert len(wrong) <= 0.1 * len(HELD_OUT), wrong
