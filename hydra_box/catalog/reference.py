"""``hf:org/repo[:file or quantisation][@revision]``: how a hub repository is named."""

from __future__ import annotations

import re

from hydra_box.errors import InvalidRequest
from hydra_box.types import Frozen

PREFIX = "hf:"
_REPOSITORY = r"[\w-][\w.-]*/[\w-][\w.-]*"
_REFERENCE = re.compile(
    rf"(?P<repository>{_REPOSITORY})(?::(?P<file>[^@:]+))?"
    r"(?:@(?P<revision>(?![./])(?!.*(?:\.\.|//|/\.))[\w./-]+(?<!/)))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubReference(Frozen, frozen=True, kw_only=True):
    """A repository of the hub, and what of it."""

    repository: str
    file: str | None
    """The name of a GGUF file, or a quantisation."""
    revision: str | None
    """A branch, a tag or a commit; None: the main branch."""

    @property
    def branch(self) -> str | None:
        """The name that leads to the commit; None: it is the commit."""
        if self.revision is None:
            return "main"
        return None if _COMMIT.fullmatch(self.revision) else self.revision


def is_reference(model: str) -> bool:
    """Whether MODEL names a repository of the hub."""
    return model.startswith(PREFIX)


def is_repository(text: str) -> bool:
    """Whether a text could be the name of a repository."""
    return re.fullmatch(_REPOSITORY, text) is not None


def at_revision(model: str, revision: str) -> str:
    """The reference to another revision of the same model.

    Raises:
        InvalidRequest: it is no model of the hub, or no revision could be called that.
    """
    if not is_reference(model):
        raise InvalidRequest(
            f"{model} has no revisions",
            hint="only a model that comes from a repository of the hub has",
            param="revision",
        )
    named = parse(model)
    file = "" if named.file is None else f":{named.file}"
    reference = f"{PREFIX}{named.repository}{file}@{revision}"
    parse(reference)
    return reference


def parse(model: str) -> HubReference:
    """Take a reference apart.

    Raises:
        InvalidRequest: it is not one.
    """
    found = _REFERENCE.fullmatch(model.removeprefix(PREFIX))
    if found is None:
        raise InvalidRequest(
            f"{model!r} is not the name of a hub repository",
            hint="write hf:org/repo, hf:org/repo:Q4_K_M for one quantisation of it, and "
            "@REVISION at the end for a branch, a tag or a commit",
            param="model",
        )
    return HubReference(
        repository=found["repository"], file=found["file"], revision=found["revision"]
    )
