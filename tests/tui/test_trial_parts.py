from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from textual.app import App, ComposeResult
from textual.widgets import Collapsible, Markdown

from hydra_box.errors import InvalidRequest, NotFound
from tui.notebook import Notebook
from tui.trial.conversation import Answer, Conversation, Picture, Problem, Settings, Turn
from tui.trial.figures import figures
from tui.trial.history import MOST_BYTES, MOST_CONVERSATIONS, Keeper, Shelf, limited
from tui.trial.listening import Listener, timed
from tui.trial.pictures import media_type_of, read_picture
from tui.trial.requests import as_curl, chat_body, shortened
from tui.trial.thinking import split_thinking
from tui.trial.typed_settings import TypedSettings
from tui.widgets.trial_answer import TrialAnswer
from tui.widgets.trial_turns import TrialTurns

PICTURE = Picture(path="/cat.png", media_type="image/png", size_bytes=3)


def chunk(**delta: str) -> dict[str, Any]:
    return {"choices": [{"delta": delta, "finish_reason": None}]}


def usage(prompt: int, completion: int) -> dict[str, Any]:
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


def answer(name: str, content: str) -> Answer:
    return Answer(access_name=name, context_length=2048, content=content)


@pytest.mark.parametrize(
    ("text", "ended", "parts"),
    [
        ("", False, ("", "")),
        ("Hello", False, ("", "Hello")),
        ("<thi", False, ("", "")),
        ("<thi", True, ("", "<thi")),
        ("<think>why", False, ("why", "")),
        ("\n<think>why</th", False, ("why", "")),
        ("<think>why</th", True, ("why</th", "")),
        ("<think>\nwhy\n</think>\n\nso", True, ("why", "so")),
        ("why</think>so", True, ("why", "so")),
        ("write `</think>` to end it", True, ("", "write `</think>` to end it")),
        ("a <think> in the middle </think>", True, ("", "a <think> in the middle </think>")),
    ],
)
def test_reasoning_is_told_from_the_answer(text: str, ended: bool, parts: tuple[str, str]) -> None:
    assert split_thinking(text, ended=ended) == parts


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_listener_measures_from_the_question_to_the_first_text(field: str) -> None:
    listener = Listener("demo", 2048)
    for at, one in (
        (10.0, {}),
        (10.5, chunk(role="assistant")),
        (11.0, chunk(**{field: "hm"})),
        (12.0, chunk(content="so\r\n\x1b[2J")),
        (13.0, usage(7, 5)),
    ):
        listener.take(at, one)
    whole = listener.answer()
    assert (whole.reasoning, whole.content) == ("hm", "so\n\N{REPLACEMENT CHARACTER}[2J")
    assert whole.ttft_seconds == 1.0
    assert whole.tokens_per_second == 2.0
    assert figures(whole) == "7 + 5 tokens, TTFT 1.0 s, 2.0 tokens/s, context 12 of 2,048 (0 %)"


def test_tokens_that_come_at_once_are_measured_from_the_question() -> None:
    listener = Listener("demo", 2048)
    for at, one in ((0.0, {}), (0.5, chunk(content="a")), (0.5, usage(1, 4))):
        listener.take(at, one)
    assert listener.answer().tokens_per_second == 8.0


def test_an_answer_without_usage_has_no_speed() -> None:
    listener = Listener("demo", 2048)
    listener.take(0.0, {})
    listener.take(1.0, chunk(content="a"))
    told = figures(listener.answer(stopped=True))
    assert told == "stopped, about 1 token, TTFT 1.0 s"


def test_chunks_are_timed_from_before_the_request() -> None:
    times = iter((1.0, 2.0, 3.0))
    asked: list[float] = []

    def ask() -> Any:
        asked.append(1.0)
        yield chunk(content="a")

    timed_chunks = timed(ask, lambda: next(times))
    assert next(timed_chunks) == (1.0, {})
    assert not asked
    assert next(timed_chunks)[0] == 2.0


def test_each_service_is_told_its_own_answers() -> None:
    turns = (
        Turn(prompt="first", answers=(answer("a", "from a"),)),
        Turn(prompt="second", answers=(answer("a", "from a too"), answer("b", "from b"))),
        Turn(prompt="failed", answers=(answer("a", ""),)),
        Turn(prompt="now"),
    )
    body = chat_body("b", Settings(system="Be short.", top_p=0.5), turns, {})
    assert body == {
        "model": "b",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "from a"},
            {"role": "user", "content": "second"},
            {"role": "assistant", "content": "from b"},
            {"role": "user", "content": "now"},
        ],
        "stream_options": {"include_usage": True},
        "top_p": 0.5,
    }


def test_an_image_is_a_part_of_its_question() -> None:
    turn = Turn(prompt="what?", picture=PICTURE)
    body = chat_body("a", Settings(), [turn], {"/cat.png": "data:image/png;base64,QUJD"})
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
    ]


def test_a_long_image_is_cut_where_the_command_is_shown_only() -> None:
    url = f"data:image/png;base64,{'A' * 5000}"
    turn = Turn(prompt='it\'s "this" $HOME `x`\nJSON\n', picture=PICTURE)
    body = chat_body("a", Settings(), [turn], {"/cat.png": url})
    command = as_curl("http://box/", body)
    assert url in command
    assert url not in shortened(command)
    sent = command.partition("<<'JSON'\n")[2].removesuffix("\nJSON\n")
    assert msgspec.json.decode(sent) == {**body, "stream": True}
    assert "JSON" not in sent.splitlines()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0...", "image/jpeg"),
        (b"GIF89a...", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"<svg/>", None),
        (b"", None),
    ],
)
def test_an_image_is_known_by_its_first_bytes(data: bytes, kind: str | None) -> None:
    assert media_type_of(data) == kind


def test_a_picture_is_read_whole_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.gif"
    file.write_bytes(b"GIF89a")
    picture, url = read_picture(str(file))
    assert picture == Picture(path=str(file), media_type="image/gif", size_bytes=6)
    assert url == f"data:image/gif;base64,{base64.b64encode(b'GIF89a').decode()}"
    with pytest.raises(NotFound, match="there is no file"):
        read_picture(str(tmp_path / "none.gif"))
    with pytest.raises(InvalidRequest, match="cannot be read: Is a directory"):
        read_picture(str(tmp_path))
    file.write_text("no image")
    with pytest.raises(InvalidRequest, match=r"a\.gif is no PNG, JPEG, WebP or GIF image"):
        read_picture(str(file))


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"temperature": "2.1"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": "0"}, "top_p"),
        ({"top_p": "1.5"}, "top_p"),
        ({"max_tokens": "0"}, "max_tokens"),
        ({"max_tokens": "1.5"}, "max_tokens"),
        ({"max_tokens": "4096"}, "max_tokens"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_hint(typed: dict[str, str], field: str) -> None:
    fields = TypedSettings(**typed)
    assert list(fields.problems(2048)) == [field]
    with pytest.raises(InvalidRequest) as refused:
        fields.settings(2048)
    assert refused.value.hint


def test_right_settings_are_numbers() -> None:
    typed = TypedSettings(system="s", temperature=" 0 ", top_p="1", max_tokens="2048")
    assert typed.settings(2048) == Settings(system="s", temperature=0, top_p=1, max_tokens=2048)
    assert TypedSettings().settings(0) == Settings()


def conversation(id: str, prompt: str = "hi") -> Conversation:
    return Conversation(id=id, started_at=0.0, turns=(Turn(prompt=prompt),))


def test_a_shelf_has_the_last_first_and_none_that_is_empty() -> None:
    shelf = Shelf().put(conversation("a")).put(conversation("b")).put(conversation("a", "again"))
    assert [one.id for one in shelf.conversations] == ["a", "b"]
    assert shelf.open() == conversation("a", "again")
    assert shelf.put(replace(conversation("c"), turns=())).open() is None
    assert shelf.without("a").open() is None


def test_old_and_large_conversations_make_room() -> None:
    many = tuple(conversation(str(at)) for at in range(MOST_CONVERSATIONS + 5))
    assert len(limited(many)) == MOST_CONVERSATIONS
    large = tuple(conversation(str(at), "x" * MOST_BYTES) for at in range(3))
    assert limited(large) == large[:1]


def test_an_older_shelf_never_replaces_a_newer_one(tmp_path: Path) -> None:
    keeper = Keeper(Notebook(tmp_path), "svc/../1")
    older, newer = keeper.writer(Shelf(draft="older")), keeper.writer(Shelf(draft="newer"))
    newer()
    older()
    assert keeper.read().draft == "newer"
    assert [one.name for one in tmp_path.iterdir()] == ["trial-svc____1.json"]


class _Answers(App[None]):
    def compose(self) -> ComposeResult:
        yield TrialTurns()


MARKDOWN = (
    "# Title\n\nSome *text* and <b>tags</b>.\n\n- one\n  - two\n\n"
    "```python\nx = 1\n\ny = 2\n```\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\n1. first\n2. second\n\nThe end.\n"
)


async def test_markdown_in_pieces_is_what_it_is_whole() -> None:
    listener = Listener("demo", 2048)
    listener.take(0.0, {})
    listener.take(0.0, chunk(reasoning_content="because"))
    app = _Answers()
    async with app.run_test(size=(100, 50)) as pilot:
        streamed = TrialAnswer("demo", named=False)
        streamed.follow(listener)
        await app.query_one(TrialTurns).add(Turn(prompt="?"), [streamed], instead=False)
        for char in MARKDOWN:
            listener.take(1.0, chunk(content=char))
            await streamed.draw()
        streamed.settle(listener.answer())
        whole = Markdown(MARKDOWN, parser_factory=streamed.query_one(Markdown)._parser_factory)
        await app.mount(whole)
        await pilot.pause()
        assert _texts(streamed.query_one(Markdown)) == _texts(whole)
        assert any("<b>tags</b>" in text for text in _texts(whole))
        folded = streamed.query_one(Collapsible)
        assert folded.display
        assert folded.collapsed
        streamed.toggle_reasoning()
        assert not folded.collapsed


def _texts(markdown: Markdown) -> list[str]:
    texts = (str(getattr(one, "_content", "")) for one in markdown.walk_children())
    return sorted(text for text in texts if text)


async def test_a_failed_answer_tells_fact_and_hint() -> None:
    app = _Answers()
    problem = Problem(fact="the [b]box[/b] is gone", hint="start it")
    async with app.run_test(size=(100, 20)) as pilot:
        failed = TrialAnswer("demo", named=False)
        await app.query_one(TrialTurns).add(Turn(prompt="?"), [failed], instead=False)
        failed.settle(replace(answer("demo", "half"), problem=problem))
        await pilot.pause()
        shown = str(failed.query_one(".problem").render())
        assert shown == "✗ the [b]box[/b] is gone\n  hint: start it"
        assert failed.has_class("-failed")
