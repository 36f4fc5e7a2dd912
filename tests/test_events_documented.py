"""docs/events.md has every kind of event and every alarm that the box tells, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hydra_box"
EVENTS = (ROOT / "docs" / "events.md").read_text()
WATCHING = (ROOT / "docs" / "watching.md").read_text()

TELLERS = {"record", "_record", "_tell"}
"""What the methods are called that note an event."""

KIND = re.compile(r"[a-z]+\.[a-z_]+")
ALARM = re.compile(r"[a-z]+(\.([a-z-]+|<>))+")
WORD = re.compile(r"[a-z_]+")


@cache
def modules() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def told(tree: ast.AST) -> Iterator[ast.expr]:
    """What is given to whoever notes an event, and what a ``kind`` is without being given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in TELLERS:
                yield from node.args
            yield from (one.value for one in node.keywords if one.arg == "kind")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            yield from (value for name, value in names if name.arg == "kind" and value is not None)


def texts(nodes: Iterator[ast.expr]) -> set[str]:
    return {
        one.value
        for node in nodes
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def values_of(tree: ast.AST, name: str) -> Iterator[ast.expr]:
    """What a name is set to, or which keys the table has that is read by it."""
    tables = {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and isinstance(node.slice, ast.Name)
        and node.slice.id == name
    }
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=set)], value=value) if set == name:
                yield value
            case ast.AnnAssign(target=ast.Name(id=set), value=ast.expr() as value) if set == name:
                yield value
            case ast.Assign(targets=[ast.Name(id=set)], value=ast.Dict(keys=keys)):
                yield from (key for key in keys if key is not None and set in tables)


def composed(tree: ast.AST) -> Iterator[str]:
    """Kinds whose second half is a name: one for each word that it may be."""
    for node in told(tree):
        match node:
            case ast.JoinedStr(
                values=[ast.Constant(value=str(room)), ast.FormattedValue(value=ast.Name(id=name))]
            ) if re.fullmatch(r"[a-z]+\.", room):
                given = (one for one in told(tree) if not isinstance(one, ast.JoinedStr))
                words = texts(values_of(tree, name)) or texts(given)
                yield from (f"{room}{word}" for word in words if WORD.fullmatch(word))


@cache
def kinds() -> set[str]:
    return {
        kind
        for tree in modules().values()
        for kind in (
            *(one for one in texts(told(tree)) if KIND.fullmatch(one)),
            *composed(tree),
        )
    }


def alarms() -> set[str]:
    """Ids of alarms; ``<>`` stands for what differs from one to the next."""
    return {
        text
        for tree in modules().values()
        if any(map(_raises, ast.walk(tree)))
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.JoinedStr)
        and ALARM.fullmatch(text := _shape(node, tree))
    } - kinds()


def _raises(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="raise_") | ast.Name(id="Sign")):
            return True
    return False


def _shape(node: ast.AST, tree: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_shape(part, tree) for part in parts)
        case ast.FormattedValue(value=ast.Name(id=name)) if name.isupper():
            return "".join(texts(values_of(tree, name)))
    return "<>"


def test_every_kind_of_event_is_in_the_table_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([a-z, ]+) \| [^|]+ \|[^|]*\|$", EVENTS, re.MULTILINE)
    assert {kind for kind, _ in rows} == kinds()
    assert len(rows) == len(kinds()) > 40, "each once"
    assert {word for _, severity in rows for word in severity.split(", ")} == {
        *("info", "warning", "error")
    }


def test_every_alarm_is_in_a_table_and_no_other() -> None:
    cells = re.findall(r"^\| (`[^|]+`) \|[^|]+\|[^|]+\|$", WATCHING, re.MULTILINE)
    documented = {id for cell in cells for id in re.findall(r"`([a-z]+\.[^`]+)`", cell)}
    assert {re.sub(r"<[a-z]+>", "<>", id) for id in documented} == alarms()
    assert len(documented) > 15
