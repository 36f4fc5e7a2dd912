"""``hf:org/repo[:file or quantisation][@revision]``."""

from __future__ import annotations

import pytest

from hydra_box.catalog.reference import HubReference, parse
from hydra_box.errors import InvalidRequest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("model", "reference", "branch"),
    [
        ("hf:org/repo", ("org/repo", None, None), "main"),
        ("hf:org/repo:Q8_0", ("org/repo", "Q8_0", None), "main"),
        (
            "hf:org/repo.v1:sub/Model-Q8_0.gguf",
            ("org/repo.v1", "sub/Model-Q8_0.gguf", None),
            "main",
        ),
        ("hf:org/repo@v1.0", ("org/repo", None, "v1.0"), "v1.0"),
        ("hf:org/repo:Q8_0@refs/pr/1", ("org/repo", "Q8_0", "refs/pr/1"), "refs/pr/1"),
        (f"hf:org/repo:Q8_0@{COMMIT}", ("org/repo", "Q8_0", COMMIT), None),
    ],
)
def test_references(
    model: str, reference: tuple[str, str | None, str | None], branch: str | None
) -> None:
    repository, file, revision = reference
    found = parse(model)
    assert found == HubReference(repository=repository, file=file, revision=revision)
    assert found.branch == branch


@pytest.mark.parametrize(
    "model",
    [
        *("hf:", "hf:repo", "hf:org/repo:", "hf:org/repo@", "hf:org/repo:a:b", "hf:org/a b"),
        *("hf:../etc/passwd", "hf:org/repo/sub", "hf:org/repo@a b", "hf:org/repo:x@y@z"),
        *("hf:org/repo@../../evil", "hf:org/repo@/etc", "hf:org/repo@a/../b", "hf:org/repo@a/"),
    ],
)
def test_other_things(model: str) -> None:
    with pytest.raises(InvalidRequest, match="is not the name of a hub repository") as caught:
        parse(model)
    assert "hf:org/repo:Q4_K_M" in (caught.value.hint or "")
