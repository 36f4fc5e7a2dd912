"""A service that is asked, as far as asking it needs."""

from __future__ import annotations

from hydra_box.errors import InvalidRequest
from hydra_box.messages import ServiceView
from hydra_box.types import Frozen, Modality
from tui.trial.conversation import Turn


class Column(Frozen, frozen=True, kw_only=True):
    """One of those that are asked the same."""

    name: str
    access_name: str
    context_length: int
    sees_images: bool

    @classmethod
    def of(cls, view: ServiceView) -> Column:
        """What a service is now."""
        return cls(
            name=view.name,
            access_name=view.access_name,
            context_length=view.context_length,
            sees_images=view.modality is Modality.VISION,
        )

    def check(self, turn: Turn) -> None:
        """See that it can be asked this.

        Raises:
            InvalidRequest: there is an image, and it sees none.

        """
        if turn.picture is not None and not self.sees_images:
            raise InvalidRequest(
                f"{self.name} sees no images: its model takes text only",
                hint="leave the image out, or ask a service whose model takes images",
            )
