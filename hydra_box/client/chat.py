"""The endpoint, as any app may call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hydra_box.client.base import (
    Calls,
)
from hydra_box.connection_faults import error_of
from hydra_box.types import ErrorBody


class ChatCalls(Calls):
    """The endpoint, as any app may call it."""

    def chat(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Stream a chat completion: each chunk as OpenAI's API has it."""
        for data in self._connection.event_data(
            "POST", "/v1/chat/completions", body={**body, "stream": True}
        ):
            if data == b"[DONE]":
                return
            chunk = self._connection.decode(data, dict[str, Any], "a chunk")
            if "error" in chunk:
                raise error_of(self._connection.decode(data, ErrorBody, "an error"))
            yield chunk
