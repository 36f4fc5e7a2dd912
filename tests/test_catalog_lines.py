"""Lines of keys in TOML, for texts of every form that TOML 1.0 allows."""

from __future__ import annotations

import string
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hydra_box.catalog.lines import KeyPath, key_lines, nearest_line

ODD = '''# [models.comment]
[models . "a.b"]  # trailing [brackets]
name = """x
y ""quoted"" \\""" [z]
k = 1"""
path = \'\'\'
= "raw\\" # \'\'\'
desc.ription = 'a#b, ]'
"quo\\u0074ed" = "a \\" = [b"
tags = [ # comment ]
  "a", # ]
  "b",
  [1, [2,
   3]],
]
price = { input = 1, "out.put" = { deep = "}" } }
when = 1979-05-27 07:32:00
rows = [{ a = 1 },
 { a = [
   1 ], b = 2 }]

[[models."a.b".gguf]]
repo = "o/r"
[models."a.b".gguf.sizes]
"Q4" = 1
[[models."a.b".gguf]]
[[models."a.b".gguf.inner]]
x = 1
[[models."a.b".gguf.inner]]
x = 2
[models.last]
x = 3'''
MODEL: KeyPath = ("models", "a.b")


def lines_of(text: str) -> dict[KeyPath, int]:
    tomllib.loads(text)
    return key_lines(text)


def test_every_form_of_key_and_value() -> None:
    lines = lines_of(ODD)
    assert lines == {
        ("models",): 2,
        MODEL: 2,
        (*MODEL, "name"): 3,
        (*MODEL, "path"): 6,
        (*MODEL, "desc"): 8,
        (*MODEL, "desc", "ription"): 8,
        (*MODEL, "quoted"): 9,
        (*MODEL, "tags"): 10,
        (*MODEL, "tags", 0): 11,
        (*MODEL, "tags", 1): 12,
        (*MODEL, "tags", 2): 13,
        (*MODEL, "tags", 2, 0): 13,
        (*MODEL, "tags", 2, 1): 13,
        (*MODEL, "tags", 2, 1, 0): 13,
        (*MODEL, "tags", 2, 1, 1): 14,
        (*MODEL, "price"): 16,
        (*MODEL, "price", "input"): 16,
        (*MODEL, "price", "out.put"): 16,
        (*MODEL, "price", "out.put", "deep"): 16,
        (*MODEL, "when"): 17,
        (*MODEL, "rows"): 18,
        (*MODEL, "rows", 0): 18,
        (*MODEL, "rows", 0, "a"): 18,
        (*MODEL, "rows", 1): 19,
        (*MODEL, "rows", 1, "a"): 19,
        (*MODEL, "rows", 1, "a", 0): 20,
        (*MODEL, "rows", 1, "b"): 20,
        (*MODEL, "gguf"): 22,
        (*MODEL, "gguf", 0): 22,
        (*MODEL, "gguf", 0, "repo"): 23,
        (*MODEL, "gguf", 0, "sizes"): 24,
        (*MODEL, "gguf", 0, "sizes", "Q4"): 25,
        (*MODEL, "gguf", 1): 26,
        (*MODEL, "gguf", 1, "inner"): 27,
        (*MODEL, "gguf", 1, "inner", 0): 27,
        (*MODEL, "gguf", 1, "inner", 0, "x"): 28,
        (*MODEL, "gguf", 1, "inner", 1): 29,
        (*MODEL, "gguf", 1, "inner", 1, "x"): 30,
        ("models", "last"): 31,
        ("models", "last", "x"): 32,
    }


def test_windows_line_ends_are_counted_alike() -> None:
    assert lines_of(ODD.replace("\n", "\r\n")) == lines_of(ODD)


def test_what_has_no_line_is_where_its_table_is() -> None:
    lines = lines_of("\n[a]\nb = 1\n")
    assert nearest_line(lines, ("a", "c", 0, "d")) == 2
    assert nearest_line(lines, ("x",)) == 1
    assert nearest_line(lines, ()) == 1


def test_empty_texts() -> None:
    assert lines_of("") == {}
    assert lines_of("# nothing\n\n") == {}


KEYS = st.text(string.ascii_letters + string.digits + ' ._-"#[]{}=\\', min_size=1, max_size=6)
SCALARS = (
    st.integers(-9, 9)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(string.ascii_letters + " \"'#[]{},=\n\\", max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return f"[{''.join(f'{chr(10)} {written(one)}, # x' for one in value)}\n]"
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{quoted(key)} = {written(one)}" for key, one in value.items()) + "}"
        )
    return repr(value)


def paths_of(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    return {path, *(found for key, one in inner for found in paths_of(one, (*path, key)))}


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_every_path_of_any_document_has_the_line_where_it_is_written(document: Any) -> None:
    text = "".join(f"{quoted(key)} = {written(one)}\n" for key, one in document.items())
    lines = lines_of(text)
    assert set(lines) == paths_of(tomllib.loads(text)) - {()}
    for path, line in lines.items():
        shown = text.split("\n")[line - 1]
        assert isinstance(path[-1], int) or quoted(path[-1]) in shown
