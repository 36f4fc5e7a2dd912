"""A conversation as the request of OpenAI's API, and that as a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tui.trial.conversation import Picture, Settings, Turn

Message = dict[str, Any]
"""``role`` and ``content``, as OpenAI has them."""
Body = dict[str, Any]

_LONGEST_SHOWN: Final = 200


def chat_body(
    access_name: str, settings: Settings, turns: Sequence[Turn], pictures: Mapping[str, str]
) -> Body:
    """The request that asks a service the last turn's question, after all that was said.

    Args:
        access_name: whom to ask; earlier answers are its own, where it has given one.
        settings: those that are None are left out.
        turns: the last one is the question.
        pictures: path to ``data:`` URL; an image that is not among them is left out.
    """
    given = {
        name: value
        for name in ("temperature", "top_p", "max_tokens")
        if (value := getattr(settings, name)) is not None
    }
    return {
        "model": access_name,
        "messages": list(_messages(access_name, settings, turns, pictures)),
        "stream_options": {"include_usage": True},
        **given,
    }


def _messages(
    access_name: str, settings: Settings, turns: Sequence[Turn], pictures: Mapping[str, str]
) -> Iterator[Message]:
    if settings.system.strip():
        yield {"role": "system", "content": settings.system}
    for turn in turns[:-1]:
        answer = turn.answer_of(access_name)
        # Two questions in a row are more than many chat templates take.
        if answer is not None and answer.content:
            yield _question(turn.prompt, turn.picture, pictures)
            yield {"role": "assistant", "content": answer.content}
    yield _question(turns[-1].prompt, turns[-1].picture, pictures)


def _question(prompt: str, picture: Picture | None, pictures: Mapping[str, str]) -> Message:
    if picture is None or picture.path not in pictures:
        return {"role": "user", "content": prompt}
    image = {"type": "image_url", "image_url": {"url": pictures[picture.path]}}
    return {"role": "user", "content": [{"type": "text", "text": prompt}, image]}


def as_curl(url: str, body: Body) -> str:
    """The request as a command for a shell.

    The body is in a here-document, so that no character of it means anything to the shell.
    """
    data = msgspec.json.format(msgspec.json.encode({**body, "stream": True}), indent=2).decode()
    return (
        f"curl -N {url.rstrip('/')}/v1/chat/completions \\\n"
        '  -H "Authorization: Bearer $HYDRA_BOX_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d @- <<'JSON'\n{data}\nJSON\n"
    )


def shortened(command: str) -> str:
    """The command to be read: without the middle of lines that are pictures."""
    return "\n".join(
        f"{line[:_LONGEST_SHOWN]} … {len(line) - _LONGEST_SHOWN:,} more"
        if "data:image/" in line and len(line) > _LONGEST_SHOWN
        else line
        for line in command.splitlines()
    )
