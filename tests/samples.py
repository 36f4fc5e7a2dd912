"""Values to test with: one of each stored struct, and Hypothesis strategies for all of them."""

from __future__ import annotations

import itertools
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from hydra_box.types import (
    Accelerator,
    ApiKey,
    DesiredState,
    Download,
    EngineName,
    Event,
    Frozen,
    Instance,
    InstanceState,
    ModelFile,
    RequestRecord,
    Runtime,
    RuntimeSource,
    Scope,
    Service,
    User,
    WeightFormat,
)

T = TypeVar("T", bound=Frozen)

_numbers = itertools.count(1)

OWNER = User(id="u-1100a15812cc", name="owner", created_at=1.0)


def a_service(name: str = "qwen2", **changes: Any) -> Service:
    """A running service that wants one instance."""
    values: dict[str, Any] = {
        "id": f"svc-{name}",
        "name": name,
        "access_name": f"public/{name}",
        "owner_id": OWNER.id,
        "public": True,
        "base_model": "demo",
        "model_path": "/models/demo.gguf",
        "engine": EngineName.LLAMA_CPP,
        "context_length": 2048,
        "slots": 4,
        "desired_instances": 1,
        "desired_state": DesiredState.RUNNING,
        "created_at": 10.0,
    }
    return Service(**values | changes)


def a_request(**changes: Any) -> RequestRecord:
    """A request for ``a_service()`` that was answered, each with another id."""
    values: dict[str, Any] = {
        "id": f"req-{next(_numbers):024x}",
        "at": 1_000_000.0,
        "key_id": "key-1",
        "key_name": "laptop",
        "user_id": OWNER.id,
        "user_name": OWNER.name,
        "service_id": "svc-qwen2",
        "access_name": "public/qwen2",
        "instance_id": "qwen2-00000001",
        "model": "demo",
        "endpoint": "chat/completions",
    }
    return RequestRecord(**values | changes)


def an_instance(id: str = "qwen2-00000001", **changes: Any) -> Instance:
    """A pending instance of ``a_service()``."""
    values: dict[str, Any] = {
        "id": id,
        "service_id": "svc-qwen2",
        "state": InstanceState.PENDING,
        "device": "cpu",
        "created_at": 20.0,
    }
    return Instance(**values | changes)


def a_key(name: str = "laptop", **changes: Any) -> ApiKey:
    """A live key for inference."""
    values: dict[str, Any] = {
        "id": f"key-{name}",
        "name": name,
        "owner_id": OWNER.id,
        "sha256": name * 3,
        "masked": "hb-a...wxyz",
        "scopes": (Scope.INFERENCE,),
        "created_at": 30.0,
    }
    return ApiKey(**values | changes)


def a_download(id: str = "dl-0123456789ab", **changes: Any) -> Download:
    """A queued download of one small file."""
    values: dict[str, Any] = {
        "id": id,
        "model": "hf:someone/tiny:Q8_0",
        "repository": "someone/tiny",
        "revision": "0" * 40,
        "format": WeightFormat.GGUF,
        "quantization": "Q8_0",
        "files": (ModelFile(name="tiny-Q8_0.gguf", size_bytes=1000, digest="a" * 64),),
        "created_at": 50.0,
    }
    return Download(**values | changes)


def an_event(message: str = "qwen2 was deployed", **changes: Any) -> Event:
    """An event that is not stored yet."""
    values: dict[str, Any] = {"id": 0, "at": 40.0, "kind": "service.deployed", "message": message}
    return Event(**values | changes)


def a_runtime(id: str = "llama.cpp/bundled-1-cpu", **changes: Any) -> Runtime:
    """A runtime that was never verified."""
    values: dict[str, Any] = {
        "id": id,
        "engine": EngineName.LLAMA_CPP,
        "version": "1",
        "accelerator": Accelerator.CPU,
        "source": RuntimeSource.BUNDLED,
        "location": "a wheel",
        "argv": ("python", "-m", "server"),
    }
    return Runtime(**values | changes)


_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(min_value=-(2**63), max_value=2**63 - 1),
    float: st.floats(allow_nan=False),
}


def structs(kind: type[T], **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Every value that a struct can have, but for the fields that are given."""
    fields = {
        field.name: fixed.get(field.name, _field(field.type))
        for field in msgspec.structs.fields(kind)
    }
    return st.builds(kind, **fields)


def _field(annotation: Any) -> st.SearchStrategy[Any]:
    match getattr(annotation, "__args__", ()):
        case (inner, other) if other is type(None):
            return st.none() | _field(inner)
        case (inner, other) if other is Ellipsis:
            return st.lists(_field(inner), max_size=4).map(tuple)
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        return structs(annotation)
    return _BY_TYPE.get(annotation, st.from_type(annotation))
